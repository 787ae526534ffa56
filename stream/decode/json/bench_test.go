package json_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode/json"
)

const order = `{"order_id":"o-0000000012345678","customer_id":"c-00123456","country":"DE","amount":1234.56,"quantity":3,"status":"paid","created_at":"2026-01-01T00:10:00.123456Z","channel":"web","email":"customer-123456@example.com","note":"leave it at the door, ring twice, please"}`

func ordersSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: arrow.BinaryTypes.String},
		{Name: "customer_id", Type: arrow.BinaryTypes.String},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}},
		{Name: "quantity", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "status", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "created_at", Type: arrow.FixedWidthTypes.Timestamp_us},
		{Name: "channel", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "email", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
}

func BenchmarkOrders(b *testing.B) {
	r, err := json.New(json.DefaultConfig(), ordersSchema())
	if err != nil {
		b.Fatal(err)
	}
	batch := stream.NewBatch(r.Schema())
	value := []byte(order)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if batch.Cols[0].N == stream.BatchRows {
			batch.Reset()
		}
		if _, f := r.Append(value, batch.Cols); f != nil {
			b.Fatal(f)
		}
	}
}
