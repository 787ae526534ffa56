package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

// TestSampleRows: what is shown of a file is what was written to it, for every type that is not nested.
func TestSampleRows(t *testing.T) {
	null := func(name string, typ arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: typ, Nullable: true}
	}
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String},
		null("flag", arrow.FixedWidthTypes.Boolean), null("i32", arrow.PrimitiveTypes.Int32), null("i64", arrow.PrimitiveTypes.Int64), null("f64", arrow.PrimitiveTypes.Float64),
		null("day", arrow.FixedWidthTypes.Date32), null("at", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}),
		null("text", arrow.BinaryTypes.String), null("raw", arrow.BinaryTypes.Binary),
		null("d9", &arrow.Decimal128Type{Precision: 9, Scale: 2}), null("d18", &arrow.Decimal128Type{Precision: 18, Scale: 4}),
		null("d38", &arrow.Decimal128Type{Precision: 38, Scale: 9}), null("d19", &arrow.Decimal128Type{Precision: 19, Scale: 0}),
		null("list", arrow.ListOf(arrow.PrimitiveTypes.Int32)),
	}, nil)
	b := stream.NewBatch(s)
	row := func(id string, fill func(c []*stream.Vec)) {
		b.Cols[0].AppendString(id)
		fill(b.Cols)
		b.Rows++
	}
	nulls := func(c []*stream.Vec) {
		for _, v := range c[1:] {
			v.AppendNull()
		}
	}
	values := func(sign int64, flag bool, at int64, text string) func(c []*stream.Vec) {
		return func(c []*stream.Vec) {
			c[1].AppendBool(flag)
			c[2].AppendI32(int32(sign * 7))
			c[3].AppendI64(sign * 9_007_199_254_740_993)
			c[4].AppendF64(float64(sign) * 0.1)
			c[5].AppendI32(int32(sign))
			c[6].AppendI64(at)
			c[7].AppendString(text)
			c[8].AppendBytes([]byte{0, 0xff})
			c[9].AppendDec(decimal128.FromI64(sign * 5))
			c[10].AppendDec(decimal128.FromI64(sign * 1_234_567))
			c[11].AppendDec(decimal128.FromI64(sign).Mul(decimal128.GetScaleMultiplier(30)))
			c[12].AppendDec(decimal128.FromI64(sign * 42))
			c[13].AppendNull()
		}
	}
	row("a", nulls)
	row("b", values(1, true, 1_767_225_600_000_001, "one\nline"))
	row("c", values(-1, false, -1, strings.Repeat("x", 50)))
	row("d", nulls)
	b.SelectAll()

	path := filepath.Join(t.TempDir(), "x.parquet")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := parquet.NewEncoder(s, f, parquet.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(b); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Close(nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	want := []string{"text", "none", "id", "flag", "i32", "i64", "f64", "day", "at", "raw", "d9", "d18", "d38", "d19", "list"}
	header, cells, err := sampleRows(path, 3, want)
	if err != nil {
		t.Fatal(err)
	}
	got := append([][]string{header}, cells...)
	n := "null"
	expect := [][]string{
		{"text", "id", "flag", "i32", "i64", "f64", "day", "at", "raw", "d9", "d18", "d38", "d19"},
		{n, "a", n, n, n, n, n, n, n, n, n, n, n},
		{"one line", "b", "true", "7", "9007199254740993", "0.1", "1970-01-02", "2026-01-01 00:00:00.000001Z", "00ff", "0.05", "123.4567", "1000000000000000000000.000000000", "42"},
		{strings.Repeat("x", 39) + "…", "c", "false", "-7", "-9007199254740993", "-0.1", "1969-12-31", "1969-12-31 23:59:59.999999Z", "00ff", "-0.05", "-123.4567", "-1000000000000000000000.000000000", "-42"},
	}
	if !reflect.DeepEqual(got, expect) {
		t.Errorf("got\n%q\nwant\n%q", got, expect)
	}
	if _, cells, err := sampleRows(path, 100, []string{"id"}); err != nil || len(cells) != 4 {
		t.Errorf("more rows than there are: got %q, %v", cells, err)
	}
	if _, _, err := sampleRows(filepath.Join(t.TempDir(), "none"), 1, want); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestWriteRows(t *testing.T) {
	header := []string{"id", "amount", "note"}
	cells := [][]string{{"a", "1.50", "x"}, {"bb", "12.00", "null"}}
	for width, want := range map[int]string{
		80: "  id  amount  note\n  a     1.50  x\n  bb   12.00  null\n  … and 8 more rows\n",
		16: "  id  amount\n  a     1.50\n  bb   12.00\n  … and 8 more rows\n",
		1:  "  id\n  a\n  bb\n  … and 8 more rows\n",
	} {
		var b strings.Builder
		writeRows(&b, header, cells, 10, width)
		if b.String() != want {
			t.Errorf("width %d: got\n%swant\n%s", width, b.String(), want)
		}
	}
}

func TestWriteFolders(t *testing.T) {
	var files []stream.File
	for _, k := range []string{"a", "b", "b", "c", "d", "e", "f", "g", "h"} {
		files = append(files, stream.File{Key: "day=" + k + "/x.parquet", Bytes: 70144})
	}
	var b strings.Builder
	writeFolders(&b, "./lake", files)
	if got := b.String(); strings.Count(got, "\n") != 7 || !strings.Contains(got, "  ./lake/day=b/  2 files   137 KiB\n") || !strings.HasSuffix(got, "  … and 2 more folders\n") {
		t.Errorf("got\n%s", got)
	}
}
