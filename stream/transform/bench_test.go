package transform

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

func ordersSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: typeString()},
		{Name: "customer_id", Type: typeString(), Nullable: true},
		{Name: "country", Type: typeString(), Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}},
		{Name: "quantity", Type: typeI32(), Nullable: true},
		{Name: "status", Type: typeString(), Nullable: true},
		{Name: "created_at", Type: typeTime()},
	}, nil)
}

func ordersBatch(rows int) *stream.Batch {
	b := stream.NewBatch(ordersSchema())
	for i := range rows {
		b.Cols[0].AppendString(fmt.Sprintf("o-%010d", i))
		b.Cols[1].AppendString(fmt.Sprintf("c-%05d", i%1000))
		if i%50 == 0 {
			b.Cols[2].AppendNull()
		} else {
			b.Cols[2].AppendString([]string{" de", "fr", "us ", "Österreich"}[i*7%31%4])
		}
		b.Cols[3].AppendDec(decimal128.FromI64(int64(i%9000) - 100))
		b.Cols[4].AppendI32(int32(i%20) + 1)
		b.Cols[5].AppendString([]string{"paid", "test", "open", "sent", "paid", "paid"}[i%6])
		b.Cols[6].AppendI64(1767225600000000 + int64(i)*1000)
		b.Origin = append(b.Origin, stream.Origin{Record: int32(i)})
	}
	b.Rows = rows
	b.SelectAll()
	b.Time = 1767225600000000
	return b
}

func build(tb testing.TB, in *arrow.Schema, builders ...Builder) []stream.Step {
	tb.Helper()
	var steps []stream.Step
	for i, bl := range builders {
		s, errs := bl.Build(in, fmt.Sprintf("%d:%s", i, bl.Kind()), Builtins())
		for _, e := range errs {
			tb.Fatalf("step %d %s: %s %s", i, bl.Kind(), e.Path, e)
		}
		steps = append(steps, s)
		in = s.Ports()[0].Schema
	}
	return steps
}

// run applies steps one after the other and calls end with what comes out.
func run(steps []stream.Step, b *stream.Batch, end func(*stream.Batch)) error {
	if len(steps) == 0 {
		end(b)
		return nil
	}
	return steps[0].Apply(b, func(_ int, b *stream.Batch) error { return run(steps[1:], b, end) })
}

// chain is run without closures made on the way.
func chain(steps []stream.Step, end stream.Emit) stream.Emit {
	for i := len(steps) - 1; i >= 0; i-- {
		step, next := steps[i], end
		end = func(_ int, b *stream.Batch) error { return step.Apply(b, next) }
	}
	return end
}

func deriveSteps() []Builder {
	return []Builder{
		Filter{"status <> 'test' AND amount > 0"},
		Set{[]Assign{{"country", "upper(trim(country))"}, {"gross_amount", "quantity * amount"}, {"processed_at", "batch_time()"}}},
	}
}

func tenSteps() []Builder {
	return append(deriveSteps(),
		DropNulls{[]string{"order_id", "customer_id", "amount"}},
		Set{[]Assign{{"order_date", "date(created_at)"}, {"hour", "hour(created_at)"}, {"net", "CAST(gross_amount / 1.19 AS decimal(18,2))"}}},
		Filter{"country IS NULL OR length(country) = 2 OR country LIKE 'ÖST%'"},
		Set{[]Assign{{"size", "CASE WHEN quantity >= 15 THEN 'large' WHEN quantity >= 5 THEN 'medium' ELSE 'small' END"}}},
		Rename{[]Pair{{"net", "net_amount"}}},
		Set{[]Assign{{"customer_id", "replace(customer_id, 'c-', '')"}, {"country", "coalesce(country, 'unknown')"}}},
		Filter{"quantity BETWEEN 1 AND 100 AND status IN ('paid', 'open', 'sent')"},
		Drop{[]string{"status"}},
	)
}

func benchmark(b *testing.B, builders []Builder) {
	batch := ordersBatch(stream.BatchRows)
	apply := chain(build(b, batch.Schema, builders...), func(int, *stream.Batch) error { return nil })
	for range 3 {
		if err := apply(0, batch); err != nil {
			b.Fatal(err)
		}
	}
	if len(batch.Raw.Bad) > 0 {
		b.Fatal(batch.Raw.Bad[0])
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = apply(0, batch)
	}
	b.ReportMetric(float64(batch.Rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkDerive(b *testing.B)   { benchmark(b, deriveSteps()) }
func BenchmarkTenSteps(b *testing.B) { benchmark(b, tenSteps()) }
