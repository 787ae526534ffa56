//go:build integration

package kafka_test

import (
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream"
)

// BenchmarkRead reads 266-byte JSON records of four partitions through one lane and reports bytes of values per CPU second of this
// process, which leaves the broker out.
func BenchmarkRead(b *testing.B) {
	const perPartition, partitions = 150_000, 4
	for _, c := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}} {
		b.Run(c.name, func(b *testing.B) {
			g := newRig(b, []string{real.Kafka(b)}, kgo.ProducerBatchCompression(c.codec))
			topic := "bench-" + c.name + strconv.FormatInt(time.Now().UnixNano(), 36)
			id := g.create(topic, partitions)
			fill(b, g, topic, partitions, perPartition)
			d := g.deps()
			d.Log = nil
			s := g.source(g.config(topic), d)
			var bytes, records int64
			var cpu time.Duration
			b.ResetTimer()
			for range b.N {
				before := used()
				at := []stream.Bookmark{bookmark(topic, 0, 0, id), bookmark(topic, 1, 0, id), bookmark(topic, 2, 0, id), bookmark(topic, 3, 0, id)}
				r, err := s.Open(b.Context(), "0", at)
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < perPartition*partitions; {
					raw, err := r.Next(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					n += len(raw.Records)
					records += int64(len(raw.Records))
					for i := range raw.Records {
						bytes += int64(len(raw.Records[i].Value))
					}
					raw.Release()
				}
				_ = r.Close()
				cpu += used() - before
			}
			b.ReportMetric(float64(bytes)/1e6/cpu.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(bytes)/1e6/b.Elapsed().Seconds(), "MB/s")
			b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func fill(b *testing.B, g *rig, topic string, partitions, n int) {
	b.Helper()
	for i := range n {
		for p := range partitions {
			v := []byte(`{"order_id":"o-` + strconv.Itoa(i*7919%10_000_000) + `","customer_id":"c-` + strconv.Itoa(i*104_729%100_000) +
				`","country":"DE","amount":12.50,"quantity":2,"status":"paid","created_at":"2026-01-01T00:10:00Z","note":"` +
				strconv.FormatInt(int64(i)*1_000_003*int64(p+1), 36) + `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}`)
			g.cl.Produce(b.Context(), &kgo.Record{Topic: topic, Partition: int32(p), Value: v}, nil)
		}
	}
	if err := g.cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func used() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
