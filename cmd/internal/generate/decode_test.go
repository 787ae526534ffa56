package generate_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
)

func schema(t testing.TB) *arrow.Schema {
	t.Helper()
	types := map[string]arrow.DataType{
		"string": arrow.BinaryTypes.String, "int32": arrow.PrimitiveTypes.Int32, "timestamp": arrow.FixedWidthTypes.Timestamp_us,
		"decimal(18,2)": &arrow.Decimal128Type{Precision: 18, Scale: 2},
	}
	var fields []arrow.Field
	for _, f := range generate.Fields() {
		name, typ, required := f[0], f[1], false
		if n := len(typ) - 1; typ[n] == '!' {
			typ, required = typ[:n], true
		}
		fields = append(fields, arrow.Field{Name: name, Type: types[typ], Nullable: !required})
	}
	return arrow.NewSchema(fields, nil)
}

func decoder(t testing.TB) stream.Decoder {
	t.Helper()
	row, err := json.New(json.DefaultConfig(), schema(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := decode.New(row, decode.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func rawBatch(g *generate.Generator, from, n int64) *stream.RawBatch {
	raw := &stream.RawBatch{Topic: "orders"}
	for seq := from; seq < from+n; seq++ {
		_, key, value := g.Append(nil, seq)
		raw.Records = append(raw.Records, stream.Record{Key: key, Value: value, Offset: seq})
		raw.Bytes += int64(len(value))
	}
	return raw
}

// TestDecodedAsExpected decodes records and compares every row and every dead letter with what Expect and Order say.
func TestDecodedAsExpected(t *testing.T) {
	g, d := generate.Orders(mixed()), decoder(t)
	raw := rawBatch(g, 0, 8000)
	b := stream.NewBatch(d.Schema())
	if next, err := d.Decode(raw, 0, b); err != nil || next != len(raw.Records) {
		t.Fatal(next, err)
	}
	var rows, dead, skipped int
	for seq := range int64(8000) {
		switch e := g.Expect(seq); e.Fate {
		case generate.Skipped:
			skipped++
		case generate.Dead:
			if bad := b.Raw.Bad[dead]; int64(bad.Record) != seq || bad.Code != e.Code || bad.Column != e.Column {
				t.Fatalf("record %d: got %+v, want %+v", seq, bad, e)
			}
			dead++
		default:
			o, c := g.Order(seq), b.Cols
			got := generate.Order{
				OrderID: c[0].StringAt(rows), CustomerID: c[1].StringAt(rows), Country: c[2].StringAt(rows), Cents: int64(c[3].Dec[rows].LowBits()),
				Currency: c[4].StringAt(rows), Quantity: c[5].I32[rows], Status: c[6].StringAt(rows), Channel: c[7].StringAt(rows), Email: c[8].StringAt(rows),
				CreatedAt: o.CreatedAt,
			}
			if int64(b.Origin[rows].Record) != seq || got != o || c[9].I64[rows] != o.CreatedAt.UnixMicro() {
				t.Fatalf("record %d: got %+v at %d, want %+v", seq, got, c[9].I64[rows], o)
			}
			rows++
		}
	}
	if rows != b.Rows || dead != len(b.Raw.Bad) || int64(skipped) != b.Raw.Skipped {
		t.Errorf("got %d rows, %d bad, %d skipped; want %d, %d, %d", b.Rows, len(b.Raw.Bad), b.Raw.Skipped, rows, dead, skipped)
	}
}

// BenchmarkDecode decodes clean orders, batch by batch.
func BenchmarkDecode(b *testing.B) {
	d := decoder(b)
	raw := rawBatch(generate.Orders(generate.Options{Seed: 1}), 0, stream.BatchRows)
	batch := stream.NewBatch(d.Schema())
	b.SetBytes(raw.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		batch.Reset()
		if next, err := d.Decode(raw, 0, batch); err != nil || next != len(raw.Records) {
			b.Fatal(next, err)
		}
	}
	b.ReportMetric(float64(b.N*stream.BatchRows)/b.Elapsed().Seconds(), "records/s")
}
