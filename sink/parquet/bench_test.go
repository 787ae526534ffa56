package parquet_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

func ordersSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: arrow.BinaryTypes.String},
		{Name: "customer_id", Type: arrow.BinaryTypes.String},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}},
		{Name: "quantity", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "status", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "created_at", Type: utc},
		{Name: "paid", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
}

// orders is a batch of flat rows as the demo's generator makes them, some of them with nulls.
func orders(seed uint64) *stream.Batch {
	r := rand.New(rand.NewPCG(seed, 9))
	b := stream.NewBatch(ordersSchema())
	countries, states := []string{"DE", "FR", "NL", "ES", "IT", "US", "GB", "PL"}, []string{"paid", "open", "sent", "returned"}
	for i := range stream.BatchRows {
		b.Cols[0].AppendString(fmt.Sprintf("%016x%08x", r.Uint64(), seed))
		b.Cols[1].AppendString(fmt.Sprintf("c-%06d", r.IntN(100000)))
		b.Cols[2].AppendString(countries[r.IntN(len(countries))])
		b.Cols[3].AppendDec(decimal128.FromI64(int64(r.IntN(1_000_000))))
		b.Cols[4].AppendI32(int32(1 + r.IntN(9)))
		b.Cols[5].AppendString(states[r.IntN(len(states))])
		b.Cols[6].AppendI64(1_760_000_000_000_000 + int64(seed)*1e9 + int64(i)*1000 + r.Int64N(2_000_000))
		b.Cols[7].AppendBool(r.IntN(2) == 0)
		b.Cols[8].AppendF64(r.Float64() * 100)
		if r.IntN(5) == 0 {
			b.Cols[9].AppendNull()
		} else {
			b.Cols[9].AppendString([]string{"leave at the door", "gift", "call first"}[r.IntN(3)])
		}
	}
	b.Rows = stream.BatchRows
	b.SelectAll()
	return b
}

func BenchmarkEncode(b *testing.B) {
	var batches []*stream.Batch
	var size int64
	for i := range 16 {
		x := orders(uint64(i))
		for _, c := range x.Cols {
			size += c.Size()
		}
		batches = append(batches, x)
	}
	for _, word := range []string{"zstd", "snappy", "lz4_raw", "none"} {
		b.Run(word, func(b *testing.B) {
			o := parquet.DefaultOptions()
			o.Compression = word
			f, err := parquet.NewFormat(o)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(size)
			var out int64
			for b.Loop() {
				e, err := f.NewEncoder(batches[0].Schema, io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				for _, x := range batches {
					if err := e.Write(x); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := e.Close(nil); err != nil {
					b.Fatal(err)
				}
				out = e.Written()
			}
			rows := float64(16 * stream.BatchRows)
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(out)/rows, "B/row")
		})
	}
}
