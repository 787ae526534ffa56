package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	pq "github.com/parquet-go/parquet-go"

	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

// TestParquetGoReadsIt has a reader that shares no code with the writer read every flat type, with and without nulls.
func TestParquetGoReadsIt(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		{Name: "at", Type: utc},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}},
		{Name: "ratio", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "ok", Type: arrow.FixedWidthTypes.Boolean},
	}, nil)
	const rows = 20_000
	names := []string{"red", "green", "blue"}
	var out bytes.Buffer
	enc, err := parquet.NewEncoder(schema, &out, parquet.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	b := stream.NewBatch(schema)
	for i := 0; i < rows; {
		b.Reset()
		for ; i < rows && b.Rows < stream.BatchRows; i++ {
			b.Cols[0].AppendI64(int64(i))
			if i%7 == 0 {
				b.Cols[1].AppendNull()
				b.Cols[2].AppendNull()
				b.Cols[5].AppendNull()
			} else {
				b.Cols[1].AppendString(names[i%3])
				b.Cols[2].AppendI32(int32(i % 1000))
				b.Cols[5].AppendF64(float64(i) / 4)
			}
			b.Cols[3].AppendI64(int64(i) * 1_000_003)
			b.Cols[4].AppendDec(decimal128.FromI64(int64(i) * 101))
			b.Cols[6].AppendBool(i%2 == 0)
			b.Rows++
		}
		b.SelectAll()
		if err := enc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := enc.Close(map[string]string{"millrace.transaction": "t-1"}); err != nil {
		t.Fatal(err)
	}
	f, err := pq.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := f.Lookup("millrace.transaction"); !ok || v != "t-1" {
		t.Errorf("the footer has %q, want t-1", v)
	}
	at := 0
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]pq.Row, 512)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				flat(t, row, at, names)
				at++
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_ = r.Close()
	}
	if at != rows {
		t.Errorf("parquet-go reads %d rows, want %d", at, rows)
	}
	for i, want := range []string{"INT(64,true)", "STRING", "DATE", "TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "DECIMAL(18,2)"} {
		l := f.Schema().Fields()[i].Type().LogicalType()
		if i > 0 && (l == nil || l.String() != want) {
			t.Errorf("column %d has the logical type %v, want %s", i, l, want)
		}
	}
}

func flat(t *testing.T, row pq.Row, i int, names []string) {
	t.Helper()
	null := i%7 == 0
	if row[0].Int64() != int64(i) || row[3].Int64() != int64(i)*1_000_003 || row[4].Int64() != int64(i)*101 || row[6].Boolean() != (i%2 == 0) {
		t.Fatalf("row %d: got %v", i, row)
	}
	if row[1].IsNull() != null || row[2].IsNull() != null || row[5].IsNull() != null {
		t.Fatalf("row %d: nulls are wrong: %v", i, row)
	}
	if !null && (row[1].String() != names[i%3] || row[2].Int32() != int32(i%1000) || row[5].Double() != float64(i)/4) {
		t.Fatalf("row %d: got %v", i, row)
	}
}
