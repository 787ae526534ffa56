package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

var utc = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// randomType is a type that tables may have, nested at most depth levels.
func randomType(r *rand.Rand, depth int) arrow.DataType {
	flat := []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64,
		arrow.FixedWidthTypes.Date32, utc, arrow.BinaryTypes.String, arrow.BinaryTypes.Binary,
		&arrow.Decimal128Type{Precision: 9, Scale: 2}, &arrow.Decimal128Type{Precision: 18, Scale: 4},
		&arrow.Decimal128Type{Precision: 19, Scale: 0}, &arrow.Decimal128Type{Precision: 38, Scale: 9},
	}
	if depth == 0 || r.IntN(3) == 0 {
		return flat[r.IntN(len(flat))]
	}
	switch r.IntN(3) {
	case 0:
		return arrow.ListOfField(randomField(r, "element", depth-1))
	case 1:
		m := arrow.MapOf(flat[r.IntN(3)+1], randomType(r, depth-1))
		m.SetItemNullable(r.IntN(2) == 0)
		return m
	}
	var fs []arrow.Field
	for i := range 1 + r.IntN(3) {
		fs = append(fs, randomField(r, fmt.Sprintf("f%d", i), depth-1))
	}
	return arrow.StructOf(fs...)
}

func randomField(r *rand.Rand, name string, depth int) arrow.Field {
	return arrow.Field{Name: name, Type: randomType(r, depth), Nullable: r.IntN(3) > 0}
}

// appendRandom adds one row; few says that values come from a small set, so that dictionaries are used.
func appendRandom(r *rand.Rand, v *stream.Vec, nullable, few bool) {
	if nullable && r.IntN(4) == 0 {
		v.AppendNull()
		return
	}
	n := r.Uint64()
	if few {
		n %= 5
	}
	switch t := v.Type.(type) {
	case *arrow.BooleanType:
		v.AppendBool(n%2 == 0)
	case *arrow.Int32Type, *arrow.Date32Type:
		v.AppendI32(int32(n))
	case *arrow.Int64Type, *arrow.TimestampType:
		v.AppendI64(int64(n))
	case *arrow.Float64Type:
		v.AppendF64(math.Float64frombits(n &^ (1 << 62))) // never NaN, which equals nothing
	case *arrow.Decimal128Type:
		x := decimal128.New(int64(n>>3)*int64(r.IntN(3)-1), r.Uint64())
		if few {
			x = decimal128.FromI64(-int64(n))
		}
		for !x.FitsInPrecision(t.Precision) {
			x, _ = x.Div(decimal128.FromI64(1_000_000))
		}
		v.AppendDec(x)
	case *arrow.StringType:
		v.AppendString(strings.Repeat("é", r.IntN(3)) + fmt.Sprint(n))
	case *arrow.BinaryType:
		v.AppendBytes([]byte{byte(n), 0, byte(n >> 8)}[:n%4%3])
	case *arrow.ListType:
		for range r.IntN(4) {
			appendRandom(r, v.Kids[0], t.ElemField().Nullable, few)
		}
		v.EndRow()
	case *arrow.MapType:
		for range r.IntN(4) {
			appendRandom(r, v.Kids[0].Kids[0], false, few)
			appendRandom(r, v.Kids[0].Kids[1], t.ItemField().Nullable, few)
			v.Kids[0].EndRow()
		}
		v.EndRow()
	case *arrow.StructType:
		for i, f := range t.Fields() {
			appendRandom(r, v.Kids[i], f.Nullable, few)
		}
		v.EndRow()
	}
}

// value is row i of a as plain Go values, so that two arrays of different origin can be compared.
func value(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Int32:
		return a.Value(i)
	case *array.Int64:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Date32:
		return a.Value(i)
	case *array.Timestamp:
		return a.Value(i)
	case *array.Decimal128:
		return a.Value(i)
	case *array.String:
		return a.Value(i)
	case *array.Binary:
		return string(a.Value(i))
	case array.ListLike: // maps too
		from, to := a.ValueOffsets(i)
		l := []any{}
		for k := from; k < to; k++ {
			l = append(l, value(a.ListValues(), int(k)))
		}
		return l
	case *array.Struct:
		l := []any{}
		for k := range a.NumField() {
			l = append(l, value(a.Field(k), i))
		}
		return l
	}
	panic(fmt.Sprintf("no value of %T", a))
}

// encode writes batches of at most rows rows, every row of b but those with an odd number when halves is set.
func encode(t testing.TB, s *arrow.Schema, o parquet.Options, meta map[string]string, batches ...*stream.Batch) []byte {
	t.Helper()
	f, err := parquet.NewFormat(o)
	if err != nil {
		t.Fatal(err)
	}
	return encodeWith(t, f, s, false, meta, batches...)
}

// encodeWith is encode with a format that other files have used. With flush, row groups end with each batch.
func encodeWith(t testing.TB, f *parquet.Format, s *arrow.Schema, flush bool, meta map[string]string, batches ...*stream.Batch) []byte {
	t.Helper()
	var out bytes.Buffer
	e, err := f.NewEncoder(s, &out)
	if err != nil {
		t.Fatal(err)
	}
	empty := e.Buffered()
	want := int64(0)
	for _, b := range batches {
		if err := e.Write(b); err != nil {
			t.Fatal(err)
		}
		want += int64(len(b.Sel))
		if !flush {
			continue
		}
		for range 2 { // the second has nothing to do
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if want > 0 && (e.Buffered() < empty || e.Buffered() > empty+16<<10 || e.Written() != int64(out.Len()) || out.Len() == 0) {
			t.Fatalf("flushed: %d bytes are held, %d written, want %d and some for the index, and %d", e.Buffered(), e.Written(), empty, out.Len())
		}
	}
	rows, err := e.Close(meta)
	if err != nil {
		t.Fatal(err)
	}
	if rows != want || e.Written() != int64(out.Len()) || e.Buffered() != 0 {
		t.Errorf("got %d rows, %d bytes written and %d buffered, want %d, %d and 0", rows, e.Written(), e.Buffered(), want, out.Len())
	}
	return out.Bytes()
}

func read(t testing.TB, b []byte) arrow.Table {
	t.Helper()
	pf, err := file.NewParquetReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	fr, err := pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func column(tab arrow.Table, i int) []any {
	vs := []any{}
	for _, c := range tab.Column(i).Data().Chunks() {
		for k := range c.Len() {
			vs = append(vs, value(c, k))
		}
	}
	return vs
}

// Any schema and any rows come back as they went in, over every codec, with rows left out and several row groups.
func TestRoundTrip(t *testing.T) {
	words := []string{"zstd", "snappy", "none", "lz4_raw"}
	formats := map[string]*parquet.Format{} // shared by files, whose memory goes from one to the other
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		var fs []arrow.Field
		for i := range 1 + r.IntN(4) {
			fs = append(fs, randomField(r, fmt.Sprintf("c%d", i), 3))
		}
		s := arrow.NewSchema(fs, nil)
		few := r.IntN(2) == 0
		want := make([][]any, len(fs))
		var batches []*stream.Batch
		for range r.IntN(5) {
			b := stream.NewBatch(s)
			for range r.IntN(400) {
				for i, c := range b.Cols {
					appendRandom(r, c, fs[i].Nullable, few)
				}
				if r.IntN(3) > 0 {
					b.Sel = append(b.Sel, int32(b.Rows))
				}
				b.Rows++
			}
			for i, c := range b.Cols {
				a := c.Arrow()
				for _, k := range b.Sel {
					want[i] = append(want[i], value(a, int(k)))
				}
			}
			batches = append(batches, b)
		}
		o := parquet.DefaultOptions()
		o.Compression = words[seed%4]
		o.RowGroup.Rows = int64(r.IntN(3) * 150)
		word := fmt.Sprint(o)
		if formats[word] == nil {
			f, err := parquet.NewFormat(o)
			if err != nil {
				t.Fatal(err)
			}
			formats[word] = f
		}
		tab := read(t, encodeWith(t, formats[word], s, r.IntN(3) == 0, nil, batches...))
		for i := range fs {
			got := column(tab, i)
			if len(got) != len(want[i]) {
				t.Fatalf("seed %d: got %d rows, want %d; schema %s", seed, len(got), len(want[i]), s)
			}
			for k := range got {
				if !reflect.DeepEqual(got[k], want[i][k]) {
					t.Fatalf("seed %d, column %s, row %d: got %v, want %v", seed, fs[i], k, got[k], want[i][k])
				}
			}
		}
	}
}

func TestRowsNoneOneAndNull(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "b", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil)
	for _, tc := range []struct {
		name string
		rows int
		set  bool
	}{{"no rows", 0, false}, {"one row", 1, true}, {"all null", 10000, false}} {
		t.Run(tc.name, func(t *testing.T) {
			b := stream.NewBatch(s)
			for range tc.rows {
				if tc.set {
					b.Cols[0].AppendI64(7)
					b.Cols[1].Kids[0].AppendString("x")
					b.Cols[1].EndRow()
				} else {
					b.Cols[0].AppendNull()
					b.Cols[1].AppendNull()
				}
			}
			b.Rows = tc.rows
			b.SelectAll()
			tab := read(t, encode(t, s, parquet.DefaultOptions(), nil, b))
			if got := tab.NumRows(); got != int64(tc.rows) {
				t.Fatalf("got %d rows, want %d", got, tc.rows)
			}
			for i, want := range []any{int64(7), []any{"x"}} {
				if !tc.set {
					want = nil
				}
				for k, got := range column(tab, i) {
					if !reflect.DeepEqual(got, want) {
						t.Fatalf("column %d row %d: got %v, want %v", i, k, got, want)
					}
				}
			}
		})
	}
}

func TestNullInRequiredColumn(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
	var out bytes.Buffer
	e, err := parquet.NewEncoder(s, &out, parquet.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	b := stream.NewBatch(s)
	b.Cols[0].AppendNull()
	b.Rows = 1
	b.SelectAll()
	err = e.Write(b)
	if err == nil {
		_, err = e.Close(nil)
	}
	if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), `"id"`) || stream.Next(err) == "" {
		t.Errorf("got %v, want a permanent error that names the column and what to do", err)
	}
}

type brokenWriter struct{ room int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, fmt.Errorf("disk: %w", stream.ErrFull)
	}
	return len(p), nil
}

// Whatever the library makes of a failed write, its class stays readable.
func TestWriterErrorKeepsItsClass(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
	for _, room := range []int{0, 4, 30, 2000} {
		e, err := parquet.NewEncoder(s, &brokenWriter{room}, parquet.DefaultOptions())
		if err != nil {
			t.Fatal(err)
		}
		b := stream.NewBatch(s)
		for i := range 5000 {
			b.Cols[0].AppendI64(int64(i * i * i))
		}
		b.Rows = 5000
		b.SelectAll()
		if err = e.Write(b); err == nil {
			_, err = e.Close(nil)
		}
		if !errors.Is(err, stream.ErrFull) {
			t.Errorf("room for %d bytes: got %v, want ErrFull", room, err)
		}
	}
}

// A file leaves while it grows, and what is held never exceeds a row group by more than the room columns grow by.
func TestRowGroupsLeaveAtOnce(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
	o := parquet.DefaultOptions()
	o.RowGroup.Size = 256 << 10
	var out bytes.Buffer
	e, err := parquet.NewEncoder(s, &out, o)
	if err != nil {
		t.Fatal(err)
	}
	b := stream.NewBatch(s)
	r := rand.New(rand.NewPCG(1, 1))
	for range stream.BatchRows {
		b.Cols[0].AppendI64(r.Int64())
	}
	b.Rows = stream.BatchRows
	b.SelectAll()
	for i := range 40 {
		if err := e.Write(b); err != nil {
			t.Fatal(err)
		}
		if got := e.Buffered(); got > 2*256<<10+2<<10 {
			t.Fatalf("batch %d: %d bytes held", i, got)
		}
	}
	if want := int64(512 << 10); e.Written() < want {
		t.Errorf("got %d bytes written before the end, want at least %d", e.Written(), want)
	}
}

// A column that looks repetitive and is not gives its dictionary up on the way.
func TestDictionaryGivenUp(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "w", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	b := stream.NewBatch(s)
	const rows = 200_000
	for i := range rows {
		switch {
		case i%101 == 5:
			b.Cols[0].AppendNull()
		case i < rows*6/10:
			b.Cols[0].AppendString("same")
		default:
			b.Cols[0].AppendString(fmt.Sprintf("%040d", i))
		}
	}
	b.Rows = rows
	b.SelectAll()
	got, want := column(read(t, encode(t, s, parquet.DefaultOptions(), nil, b)), 0), b.Cols[0].Arrow()
	for i := range rows {
		if got[i] != value(want, i) {
			t.Fatalf("row %d: got %v, want %v", i, got[i], value(want, i))
		}
	}
}
