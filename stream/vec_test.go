package stream_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

func types() []arrow.DataType {
	dec := &arrow.Decimal128Type{Precision: 18, Scale: 2}
	return []arrow.DataType{
		arrow.FixedWidthTypes.Boolean, arrow.PrimitiveTypes.Int32, arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Float64,
		arrow.FixedWidthTypes.Date32, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, dec,
		arrow.BinaryTypes.String, arrow.BinaryTypes.Binary, arrow.ListOf(arrow.BinaryTypes.String),
		arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64),
		arrow.StructOf(arrow.Field{Name: "a", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, arrow.Field{Name: "b", Type: arrow.ListOf(dec), Nullable: true}),
	}
}

// put appends a random value that may be null, as all code does that fills columns.
func put(r *rand.Rand, v *stream.Vec) {
	if r.IntN(4) == 0 {
		v.AppendNull()
		return
	}
	present(r, v)
}

func present(r *rand.Rand, v *stream.Vec) {
	switch t := v.Type.(type) {
	case *arrow.BooleanType:
		v.AppendBool(r.IntN(2) == 0)
	case *arrow.Int32Type, *arrow.Date32Type:
		v.AppendI32(r.Int32())
	case *arrow.Int64Type, *arrow.TimestampType:
		v.AppendI64(r.Int64())
	case *arrow.Float64Type:
		v.AppendF64(r.Float64())
	case *arrow.Decimal128Type:
		v.AppendDec(decimal128.FromI64(r.Int64()))
	case *arrow.StringType, *arrow.BinaryType:
		v.AppendString("abcdefghij"[:r.IntN(10)])
	case *arrow.MapType:
		for range r.IntN(3) {
			present(r, v.Kids[0].Kids[0])
			put(r, v.Kids[0].Kids[1])
			v.Kids[0].EndRow()
		}
		v.EndRow()
	case *arrow.ListType:
		for range r.IntN(3) {
			put(r, v.Kids[0])
		}
		v.EndRow()
	case *arrow.StructType:
		for i := range t.Fields() {
			put(r, v.Kids[i])
		}
		v.EndRow()
	}
}

func fill(r *rand.Rand, t arrow.DataType, n int) *stream.Vec {
	v := stream.NewVec(t)
	for range n {
		put(r, v)
	}
	return v
}

func TestAVecIsAnArrowArray(t *testing.T) {
	for _, typ := range types() {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 7, 8, 9, 200} {
			v := fill(r, typ, n)
			a := v.Arrow()
			if a.Len() != n || a.NullN() != v.Nulls() {
				t.Errorf("%s: got %d rows with %d nulls, want %d with %d", typ, a.Len(), a.NullN(), n, v.Nulls())
			}
			for i := range n {
				if a.IsNull(i) != v.IsNull(i) {
					t.Fatalf("%s: row %d of %d: null in one and not in the other", typ, i, n)
				}
				_ = a.ValueStr(i)
			}
		}
	}
}

func TestTruncateUndoesAppends(t *testing.T) {
	for _, typ := range types() {
		r := rand.New(rand.NewPCG(3, 4))
		v := fill(r, typ, 100)
		for _, n := range []int{77, 64, 9, 8, 1, 0} {
			want := stream.NewVec(typ)
			sel := make([]int32, n)
			for i := range sel {
				sel[i] = int32(i)
			}
			want.AppendRows(v, sel)
			v.Truncate(n)
			put(r, v) // what comes after must not see anything of what was cut
			v.Truncate(n)
			equal(t, typ, v, want)
		}
	}
}

func TestRowsAreCopiedInTheOrderOfTheSelection(t *testing.T) {
	for _, typ := range types() {
		r := rand.New(rand.NewPCG(5, 6))
		src, dense := fill(r, typ, 300), stream.NewVec(typ)
		for range 300 {
			present(r, dense)
		}
		for _, from := range []*stream.Vec{src, dense} {
			var sel []int32
			for i := range int32(300) {
				if r.IntN(3) > 0 {
					sel = append(sel, i)
				}
			}
			all, one := stream.NewVec(typ), stream.NewVec(typ)
			all.AppendRows(from, sel)
			for _, i := range sel {
				one.AppendRow(from, int(i))
			}
			equal(t, typ, all, one)
			a, b := from.Arrow(), all.Arrow()
			for k, i := range sel {
				if a.ValueStr(int(i)) != b.ValueStr(k) {
					t.Fatalf("%s: row %d: got %s, want %s", typ, i, b.ValueStr(k), a.ValueStr(int(i)))
				}
			}
		}
	}
}

func TestNoMemoryIsTakenOnceGrown(t *testing.T) {
	for _, typ := range types() {
		r := rand.New(rand.NewPCG(7, 8))
		src, v := fill(r, typ, 500), stream.NewVec(typ)
		sel := []int32{0, 1, 2, 10, 11, 400}
		v.AppendRows(src, sel)
		if n := testing.AllocsPerRun(20, func() { v.Reset(); v.AppendRows(src, sel) }); n != 0 {
			t.Errorf("%s: %v allocations per refill, want 0", typ, n)
		}
	}
}

func equal(t *testing.T, typ arrow.DataType, got, want *stream.Vec) {
	t.Helper()
	a, b := got.Arrow(), want.Arrow()
	if !array.Equal(a, b) {
		t.Fatalf("%s: got %v, want %v", typ, a, b)
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]stream.Bytes{"256MiB": 256 << 20, "1GiB": 1 << 30, "1.5KiB": 1536, "10B": 10, "2MB": 2e6, "2 GiB": 2 << 30, "0B": 0, "0.5kB": 500} {
		got, err := stream.ParseBytes(in)
		if err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"10", "-1MiB", "MiB", "1e400MiB", "NaNB", "NaNMiB", "+InfKiB", "InfMiB", "1e3MiB", "0x10MiB", "1_0MiB", "+1MiB", "-0MiB", ".5MiB", "1.MiB", ".MiB", "1..2MiB",
		"1,5MiB", "1  MiB", "\t1MiB", " 1MiB", "1MiB ", "1mib", "1M", "٣MiB", "", "B", "99999999999999TiB", "1" + strings.Repeat("0", 400) + "B"} {
		if got, err := stream.ParseBytes(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
	for b, want := range map[stream.Bytes]string{256 << 20: "256MiB", 1536: "1.5KiB", 12: "12B", 3 << 30: "3GiB"} {
		if b.String() != want {
			t.Errorf("got %s, want %s", b, want)
		}
	}
}
