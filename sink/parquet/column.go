package parquet

import (
	"fmt"
	"hash/maphash"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/millrace/millrace/stream"
)

// blockRows is how many rows of a column are brought into Parquet's terms at a time: levels and values stay in the cache.
const blockRows = 4096

// scratch is what encoding a row group needs besides the rows. It is borrowed for that long.
type scratch struct {
	levels
	words
	ones   []int16
	bools  []bool
	i32    []int32
	i64    []int64
	f64    []float64
	bytes  []parquet.ByteArray
	fixed  []parquet.FixedLenByteArray
	packed []byte
	seen   [2 * sampleRows]uint64
	seed   maphash.Seed
}

func newScratch() *scratch {
	s := &scratch{seed: maphash.MakeSeed(), ones: make([]int16, blockRows)}
	for i := range s.ones {
		s.ones[i] = 1
	}
	return s
}

// write encodes a leaf of the first n rows of v.
func (s *scratch) write(w file.ColumnChunkWriter, lf *leaf, v *stream.Vec, n int) error {
	if n == 0 {
		return nil
	}
	if bw, ok := w.(*file.ByteArrayColumnChunkWriter); ok && len(lf.steps) == 1 && !bw.SupportsArrowOffsets() {
		if done, err := s.writeWords(bw, lf, v, n); done || err != nil {
			return wrap(lf, err)
		}
	}
	flat := len(lf.steps) == 1 && len(v.Valid) == 0
	for from := 0; from < n; from += blockRows {
		to := min(from+blockRows, n)
		if flat {
			var def []int16
			if lf.steps[0].optional {
				def = s.ones[:to-from]
			}
			if err := s.dense(w, lf, v, from, to, def); err != nil {
				return wrap(lf, err)
			}
			continue
		}
		if err := s.expand(lf, v, from, to); err != nil {
			return err
		}
		def, rep := s.def, s.rep
		if w.Descr().MaxDefinitionLevel() == 0 {
			def = nil
		}
		if w.Descr().MaxRepetitionLevel() == 0 {
			rep = nil
		}
		if err := s.gather(w, lf, def, rep); err != nil {
			return wrap(lf, err)
		}
	}
	return nil
}

func wrap(lf *leaf, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("parquet: column %q: %w", lf.path, err)
}

// dense writes rows that all have a value straight from the column where Parquet's form is Arrow's.
func (s *scratch) dense(w file.ColumnChunkWriter, lf *leaf, v *stream.Vec, from, to int, def []int16) error {
	var err error
	switch w := w.(type) {
	case *file.BooleanColumnChunkWriter:
		_, err = w.WriteBitmapBatch(v.Bits, int64(from), to-from, def, nil)
		return err
	case *file.Int32ColumnChunkWriter:
		if lf.kind == kindI32 {
			_, err = w.WriteBatch(v.I32[from:to], def, nil)
			return err
		}
	case *file.Int64ColumnChunkWriter:
		if lf.kind == kindI64 {
			_, err = w.WriteBatch(v.I64[from:to], def, nil)
			return err
		}
	case *file.Float64ColumnChunkWriter:
		_, err = w.WriteBatch(v.F64[from:to], def, nil)
		return err
	case *file.ByteArrayColumnChunkWriter:
		if w.SupportsArrowOffsets() {
			_, err = w.WriteBatchArrow(v.Bytes, v.Offsets[from:to+1], def, nil)
			return err
		}
	}
	s.idx, s.at = s.idx[:0], v
	for i := from; i < to; i++ {
		s.idx = append(s.idx, int32(i)) //nolint:gosec // a row group has fewer than 2^31 rows
	}
	return s.gather(w, lf, def, nil)
}

// gather writes the values at idx of the column at.
func (s *scratch) gather(w file.ColumnChunkWriter, lf *leaf, def, rep []int16) error {
	var err error
	v := s.at
	switch w := w.(type) {
	case *file.BooleanColumnChunkWriter:
		s.bools = s.bools[:0]
		for _, i := range s.idx {
			s.bools = append(s.bools, v.Bits.Get(int(i)))
		}
		_, err = w.WriteBatch(s.bools, def, rep)
	case *file.Int32ColumnChunkWriter:
		s.i32 = s.i32[:0]
		for _, i := range s.idx {
			if lf.kind == kindDec32 {
				s.i32 = append(s.i32, int32(v.Dec[i].LowBits())) //nolint:gosec // at most 9 digits
			} else {
				s.i32 = append(s.i32, v.I32[i])
			}
		}
		_, err = w.WriteBatch(s.i32, def, rep)
	case *file.Int64ColumnChunkWriter:
		s.i64 = s.i64[:0]
		for _, i := range s.idx {
			if lf.kind == kindDec64 {
				s.i64 = append(s.i64, int64(v.Dec[i].LowBits())) //nolint:gosec // at most 18 digits
			} else {
				s.i64 = append(s.i64, v.I64[i])
			}
		}
		_, err = w.WriteBatch(s.i64, def, rep)
	case *file.Float64ColumnChunkWriter:
		s.f64 = s.f64[:0]
		for _, i := range s.idx {
			s.f64 = append(s.f64, v.F64[i])
		}
		_, err = w.WriteBatch(s.f64, def, rep)
	case *file.ByteArrayColumnChunkWriter:
		s.bytes = s.bytes[:0]
		for _, i := range s.idx {
			s.bytes = append(s.bytes, v.BytesAt(int(i)))
		}
		_, err = w.WriteBatch(s.bytes, def, rep)
	case *file.FixedLenByteArrayColumnChunkWriter:
		_, err = w.WriteBatch(s.decimals(lf, v), def, rep)
	default:
		panic(fmt.Sprintf("parquet: no writer for a column of %T", w))
	}
	return err
}

// decimals are the values at idx as big-endian two's complement numbers of the leaf's width.
func (s *scratch) decimals(lf *leaf, v *stream.Vec) []parquet.FixedLenByteArray {
	s.fixed, s.packed = s.fixed[:0], s.packed[:0]
	if need := len(s.idx) * lf.width; cap(s.packed) < need {
		s.packed = make([]byte, 0, need) // values point into it: it must not move
	}
	for _, i := range s.idx {
		hi, lo := uint64(v.Dec[i].HighBits()), v.Dec[i].LowBits() //nolint:gosec // the bits, not the number
		at := len(s.packed)
		for shift := (lf.width - 1) * 8; shift >= 0; shift -= 8 {
			if shift >= 64 {
				s.packed = append(s.packed, byte(hi>>(shift-64)))
			} else {
				s.packed = append(s.packed, byte(lo>>shift))
			}
		}
		s.fixed = append(s.fixed, s.packed[at:])
	}
	return s.fixed
}

// sampleRows is how many values of a column are looked at to decide on a dictionary.
const sampleRows = 512

// repeats tells whether a dictionary pays for a leaf of v: whether at least half of a sample, taken in strides over the
// whole of it, are values that the sample has already seen. A wrong guess costs size, never correctness, and the library
// gives a dictionary up when it has grown to a page.
func (s *scratch) repeats(lf *leaf, v *stream.Vec) bool {
	for _, st := range lf.steps[:len(lf.steps)-1] {
		if st.list {
			v = v.Kids[0]
		} else {
			v = v.Kids[st.kid]
		}
	}
	if lf.kind == kindBool || v.N < 16 {
		return false
	}
	clear(s.seen[:])
	stride := max(1, v.N/sampleRows)
	looked, distinct := 0, 0
	for i := 0; i < v.N && looked < sampleRows; i += stride {
		looked++
		if s.firstSeen(s.hash(lf, v, i)) {
			distinct++
		}
	}
	return distinct*2 <= looked
}

// firstSeen adds h to the open-addressed set seen, which is never more than half full.
func (s *scratch) firstSeen(h uint64) bool {
	h |= 1 // zero marks an empty slot
	for k := h >> 1 % uint64(len(s.seen)); ; k = (k + 1) % uint64(len(s.seen)) {
		switch s.seen[k] {
		case h:
			return false
		case 0:
			s.seen[k] = h
			return true
		}
	}
}

func (s *scratch) hash(lf *leaf, v *stream.Vec, i int) uint64 {
	switch lf.kind {
	case kindBytes:
		return maphash.Bytes(s.seed, v.BytesAt(i))
	case kindI32:
		return maphash.Comparable(s.seed, v.I32[i])
	case kindI64:
		return maphash.Comparable(s.seed, v.I64[i])
	case kindF64:
		return maphash.Comparable(s.seed, v.F64[i])
	default:
		return maphash.Comparable(s.seed, v.Dec[i])
	}
}
