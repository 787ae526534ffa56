package sink_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

// nowhere is uploads of which nothing is kept.
type nowhere struct{}

type nothing struct{ n int64 }

func (nowhere) Stage(context.Context, string, stream.UploadMeta) (stream.Staged, error) {
	return &nothing{}, nil
}
func (n *nothing) Write(p []byte) (int, error)                  { n.n += int64(len(p)); return len(p), nil }
func (*nothing) Buffered() int64                                { return 0 }
func (*nothing) Abort(context.Context) error                    { return nil }
func (nowhere) Verify(context.Context, stream.StagedRef) error  { return nil }
func (nowhere) Publish(context.Context, stream.StagedRef) error { return nil }
func (nowhere) Discard(context.Context, stream.StagedRef) error { return nil }
func (nowhere) Pending(context.Context, string) iter.Seq2[stream.StagedRef, error] {
	return nil
}
func (n *nothing) Seal(context.Context) (stream.StagedRef, error) {
	return stream.StagedRef{Bytes: n.n}, nil
}

func ordersSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: arrow.BinaryTypes.String},
		{Name: "customer_id", Type: arrow.BinaryTypes.String},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}},
		{Name: "quantity", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "status", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "created_at", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}},
		{Name: "paid", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "part", Type: arrow.FixedWidthTypes.Date32},
	}, nil)
}

// orders are full batches of flat rows whose partitions are scattered evenly.
func orders(batches, partitions int) (out []*stream.Batch, bytes int64) {
	r := rand.New(rand.NewPCG(1, 9))
	countries, states := []string{"DE", "FR", "NL", "ES", "IT", "US", "GB", "PL"}, []string{"paid", "open", "sent", "returned"}
	for n := range batches {
		b := stream.NewBatch(ordersSchema())
		for i := range stream.BatchRows {
			b.Cols[0].AppendString(fmt.Sprintf("%016x%08x", r.Uint64(), n))
			b.Cols[1].AppendString(fmt.Sprintf("c-%06d", r.IntN(100000)))
			b.Cols[2].AppendString(countries[r.IntN(len(countries))])
			b.Cols[3].AppendDec(decimal128.FromI64(int64(r.IntN(1_000_000))))
			b.Cols[4].AppendI32(int32(1 + r.IntN(9)))
			b.Cols[5].AppendString(states[r.IntN(len(states))])
			b.Cols[6].AppendI64(1_760_000_000_000_000 + int64(n)*1e9 + int64(i)*1000 + r.Int64N(2_000_000))
			b.Cols[7].AppendBool(r.IntN(2) == 0)
			b.Cols[8].AppendF64(r.Float64() * 100)
			if r.IntN(5) == 0 {
				b.Cols[9].AppendNull()
			} else {
				b.Cols[9].AppendString([]string{"leave at the door", "gift", "call first"}[r.IntN(3)])
			}
			b.Cols[10].AppendI32(20000 + int32(r.IntN(partitions)))
		}
		b.Rows = stream.BatchRows
		b.Origin = make([]stream.Origin, b.Rows)
		b.SelectAll()
		out = append(out, b)
		for _, c := range b.Cols {
			bytes += c.Size()
		}
	}
	return out, bytes
}

func parquetSink(t testing.TB, up stream.Uploads, pool *sink.Pool, codec string) *sink.Sink {
	o := parquet.DefaultOptions()
	o.Compression = codec
	f := must[*parquet.Format](t)(parquet.NewFormat(o))
	return newSink(t, sink.Config{Schema: ordersSchema(), Ref: stream.TableRef{Name: "orders", Location: "s3://lake/orders/", Partitions: []stream.PartitionColumn{{Name: "part", Type: "date"}}}},
		sink.Deps{Uploads: up, Pool: pool, NewEncoder: f.NewEncoder})
}

// The same number of rows a file, over more and more table partitions: the cost of a row must stay flat.
func BenchmarkPartitions(b *testing.B) {
	for _, rowsPerFile := range []int{2048, 16384} {
		for _, partitions := range []int{1, 24, 1000} {
			if partitions*rowsPerFile > 3_000_000 {
				continue
			}
			b.Run(fmt.Sprintf("rows=%d/partitions=%d", rowsPerFile, partitions), func(b *testing.B) {
				batches, size := orders(32, partitions)
				s := parquetSink(b, nowhere{}, nil, "zstd")
				count := max(1, partitions*rowsPerFile/stream.BatchRows)
				b.ReportAllocs()
				b.SetBytes(size / int64(len(batches)) * int64(count))
				n := 0
				for b.Loop() {
					n++
					w := s.Begin(txn("0", uint64(n)))
					for i := range count {
						if err := w.Write(b.Context(), batches[i%len(batches)]); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := w.Seal(b.Context(), nil); err != nil {
						b.Fatal(err)
					}
				}
				rows := float64(n * count * stream.BatchRows)
				b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric(b.Elapsed().Seconds()/rows*1e9, "ns/row")
			})
		}
	}
}

// 2,000 open partitions under a limit of 64 MiB: what is counted stays below it, and what the heap really holds is not much
// more.
func TestMemoryOfManyPartitions(t *testing.T) {
	const limit = 64 << 20
	batches, _ := orders(4, 2000)
	for _, b := range batches {
		long := stream.NewVec(arrow.BinaryTypes.String) // so that few rows fill the memory
		for i := range b.Rows {
			long.AppendString(strings.Repeat(string(rune('a'+i%26)), 600))
		}
		b.Cols[9] = long
	}
	budget := &stream.Budget{Limit: limit}
	s := parquetSink(t, nowhere{}, sink.NewPool(budget, nil), "snappy") // under the race detector, zstd makes an encoder for every page
	base := heap()
	var counted int64
	var real uint64
	w := s.Begin(txn("0", 1))
	for i := range 20 {
		write(t, w, batches[i%len(batches)])
		counted = max(counted, budget.Used())
		if i%4 == 3 {
			real = max(real, heap()-base)
		}
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("counted %d MiB, heap %d MiB", counted>>20, real>>20)
	if counted < limit/2 || counted > limit*13/10 {
		t.Errorf("%d bytes were counted, limit %d", counted, limit)
	}
	if real > limit*3/2 { // what the collector has not freed yet comes on top of what is counted
		t.Errorf("the heap held %d bytes, limit %d", real, limit)
	}
	if budget.Used() != 0 {
		t.Errorf("%d bytes are still counted", budget.Used())
	}
}

// heap is what the last collection found alive: what is freed but not yet collected is the collector's business.
func heap() uint64 {
	runtime.GC()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}
