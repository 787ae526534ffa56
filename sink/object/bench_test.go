package object_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// upload stages and publishes one file of 64 MiB a round, and reports the processor time that a gigabyte takes.
func upload(b *testing.B, c store.Client) {
	u := object.New(c, object.Options{})
	body := random(64 << 20)
	b.SetBytes(int64(len(body)))
	cpu := func() float64 {
		var r syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
		return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
	}
	begin := cpu()
	n := 0
	for b.Loop() {
		key := fmt.Sprintf("d/%d", n)
		n++
		s, err := u.Stage(b.Context(), key, stream.UploadMeta{Txn: txn})
		if err != nil {
			b.Fatal(err)
		}
		for off := 0; off < len(body); off += 1 << 20 {
			if _, err := s.Write(body[off : off+1<<20]); err != nil {
				b.Fatal(err)
			}
		}
		r, err := s.Seal(b.Context())
		if err == nil {
			err = u.Publish(b.Context(), r)
		}
		if err == nil {
			err = c.Delete(b.Context(), key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-begin)/(float64(n)*float64(len(body))/1e9), "cpu-s/GB")
}

func BenchmarkFolder(b *testing.B) {
	c, err := store.Open(b.Context(), b.TempDir(), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	upload(b, c)
}

func BenchmarkChecksum(b *testing.B) {
	body := random(1 << 20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		store.CRC64NVME(0, body)
	}
}
