package store

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/minio/crc64nvme"
)

// CRC64NVME continues the checksum crc with p; start from 0. It runs at memory speed.
func CRC64NVME(crc uint64, p []byte) uint64 { return crc64nvme.Update(crc, p) }

// EncodeCRC writes a checksum as stores do: base64 of its big-endian bytes.
func EncodeCRC(crc uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc))
}

// DecodeCRC reads what EncodeCRC wrote.
func DecodeCRC(s string) (crc uint64, ok bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// CombineCRC is the checksum of two byte strings one after the other, from their checksums and the length of the second.
// Appending n bytes multiplies the first checksum by x^8n modulo the polynomial; polynomials are kept with their bits
// reversed, so the highest bit stands for 1 and a shift to the right multiplies by x.
func CombineCRC(a, b uint64, n int64) uint64 {
	shift, square := uint64(1)<<63, uint64(1)<<62 // 1 and x
	for range 3 {
		square = mulCRC(square, square)
	}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			shift = mulCRC(shift, square)
		}
		square = mulCRC(square, square)
	}
	return mulCRC(shift, a) ^ b
}

// crcPoly is the polynomial of CRC-64/NVME, bits reversed.
const crcPoly = 0x9a6c9329ac4bc9b5

func mulCRC(a, b uint64) uint64 {
	var p uint64
	for m := uint64(1) << 63; m != 0; m >>= 1 {
		if a&m != 0 {
			p ^= b
		}
		if b&1 == 1 {
			b = b>>1 ^ crcPoly
		} else {
			b >>= 1
		}
	}
	return p
}
