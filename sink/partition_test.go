package sink_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/stream"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"DE":                  "DE",
		"../../x":             "..%2F..%2Fx",
		"a/b":                 "a%2Fb",
		"a=b":                 "a%3Db",
		"100%":                "100%25",
		"😀 é":                 "😀 é",
		"2026-01-01 00:10:00": "2026-01-01 00%3A10%3A00",
		"\x00\x01\n\x1f\x7f":  "%00%01%0A%1F%7F",
		"\"#'*?\\{[]^":        "%22%23%27%2A%3F%5C%7B%5B%5D%5E",
		"} !$&()+,-.;<>@_`|~": "} !$&()+,-.;<>@_`|~",
	} {
		if got := sink.Escape(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestPartitionValues(t *testing.T) {
	dec := &arrow.Decimal128Type{Precision: 12, Scale: 2}
	utc := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	for _, tc := range []struct {
		name   string
		typ    arrow.DataType
		append func(*stream.Vec)
		folder string
		value  stream.PartitionValue
	}{
		{"date", arrow.FixedWidthTypes.Date32, func(v *stream.Vec) { v.AppendI32(20456) }, "p=2026-01-03", stream.PartitionValue{Value: "2026-01-03"}},
		{"date before 1970", arrow.FixedWidthTypes.Date32, func(v *stream.Vec) { v.AppendI32(-1) }, "p=1969-12-31", stream.PartitionValue{Value: "1969-12-31"}},
		{"timestamp", utc, func(v *stream.Vec) { v.AppendI64(1767398400000000) }, "p=2026-01-03 00%3A00%3A00", stream.PartitionValue{Value: "2026-01-03 00:00:00"}},
		{"timestamp with a fraction", utc, func(v *stream.Vec) { v.AppendI64(1767398400120000) }, "p=2026-01-03 00%3A00%3A00.12", stream.PartitionValue{Value: "2026-01-03 00:00:00.12"}},
		{"true", arrow.FixedWidthTypes.Boolean, func(v *stream.Vec) { v.AppendBool(true) }, "p=true", stream.PartitionValue{Value: "true"}},
		{"int32", arrow.PrimitiveTypes.Int32, func(v *stream.Vec) { v.AppendI32(-7) }, "p=-7", stream.PartitionValue{Value: "-7"}},
		{"int64", arrow.PrimitiveTypes.Int64, func(v *stream.Vec) { v.AppendI64(1 << 60) }, "p=1152921504606846976", stream.PartitionValue{Value: "1152921504606846976"}},
		{"decimal", dec, func(v *stream.Vec) { v.AppendDec(decimal128.FromI64(1250)) }, "p=12.50", stream.PartitionValue{Value: "12.50"}},
		{"small negative decimal", dec, func(v *stream.Vec) { v.AppendDec(decimal128.FromI64(-5)) }, "p=-0.05", stream.PartitionValue{Value: "-0.05"}},
		{"string", arrow.BinaryTypes.String, func(v *stream.Vec) { v.AppendString("a/b") }, "p=a%2Fb", stream.PartitionValue{Value: "a/b"}},
		{"null", arrow.BinaryTypes.String, (*stream.Vec).AppendNull, "p=__HIVE_DEFAULT_PARTITION__", stream.PartitionValue{Null: true}},
		{"null date", arrow.FixedWidthTypes.Date32, (*stream.Vec).AppendNull, "p=__HIVE_DEFAULT_PARTITION__", stream.PartitionValue{Null: true}},
		{"empty", arrow.BinaryTypes.String, func(v *stream.Vec) { v.AppendString("") }, "p=__HIVE_DEFAULT_PARTITION__", stream.PartitionValue{Null: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "p", Type: tc.typ, Nullable: true}}, nil)
			up := newUploads()
			sk := must[*sink.Sink](t)(sink.New(sink.Config{Schema: s, Ref: stream.TableRef{Name: "t", Location: "/lake/t", Partitions: []stream.PartitionColumn{{Name: "p"}}}},
				sink.Deps{Uploads: up, NewEncoder: encoder(8)}))
			b := stream.NewBatch(s)
			b.Cols[0].AppendI64(1)
			tc.append(b.Cols[1])
			b.Rows = 1
			b.SelectAll()
			w := sk.Begin(txn("0", 1))
			if err := w.Write(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			f := must[[]stream.File](t)(w.Seal(t.Context(), nil))[0]
			tc.value.Column = "p"
			if want := tc.folder + "/7f3a-0-17-1-0.parquet"; f.Key != want || f.Partition[0] != tc.value {
				t.Errorf("got %s %+v, want %s %+v", f.Key, f.Partition, want, tc.value)
			}
		})
	}
}

// Null, the empty string and Hive's own word are one folder, and so one file.
func TestDefaultPartitionIsOne(t *testing.T) {
	up := newUploads()
	sk := must[*sink.Sink](t)(sink.New(config(), sink.Deps{Uploads: up, NewEncoder: encoder(8)}))
	b := batch(row{1, 0, ""}, row{2, 0, sink.DefaultPartition}, row{3, 0, "x"})
	b.Cols[0].AppendI32(0)
	b.Cols[1].AppendI64(4)
	b.Cols[2].AppendNull()
	b.Rows = 4
	b.SelectAll()
	w := sk.Begin(txn("0", 1))
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	files := must[[]stream.File](t)(w.Seal(t.Context(), nil))
	if len(files) != 2 || files[0].Rows != 3 || !strings.Contains(files[0].Key, "/country=__HIVE_DEFAULT_PARTITION__/") {
		t.Errorf("got %+v, want one file of 3 rows in the default partition and one beside it", files)
	}
}

func TestNewRefuses(t *testing.T) {
	col := func(name string, typ arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: typ, Nullable: true}
	}
	i64, str := arrow.PrimitiveTypes.Int64, arrow.BinaryTypes.String
	schemaOf := func(fs ...arrow.Field) *arrow.Schema { return arrow.NewSchema(fs, nil) }
	for _, tc := range []struct {
		name       string
		rows, file *arrow.Schema
		part, want string
	}{
		{"float partition", schemaOf(col("id", i64), col("f", arrow.PrimitiveTypes.Float64)), nil, "f", `"f"`},
		{"binary partition", schemaOf(col("id", i64), col("f", arrow.BinaryTypes.Binary)), nil, "f", `"f"`},
		{"nested partition", schemaOf(col("id", i64), col("f", arrow.ListOf(str))), nil, "f", `"f"`},
		{"missing partition", schemaOf(col("id", i64)), nil, "f", `"f"`},
		{"nothing left", schemaOf(col("f", i64)), nil, "f", "every column"},
		{"other type", schemaOf(col("id", i64), col("f", str)), schemaOf(col("id", str)), "f", `"id" is int64 here and utf8`},
		{"column not in the table", schemaOf(col("id", i64), col("x", i64), col("f", str)), schemaOf(col("id", i64)), "f", `no column "x"`},
		{"required by the table", schemaOf(col("id", i64), col("f", str)), schemaOf(col("id", i64), arrow.Field{Name: "y", Type: i64}), "f", `requires a column "y"`},
	} {
		_, err := sink.New(sink.Config{Schema: tc.rows, FileSchema: tc.file, Ref: stream.TableRef{Name: "t", Partitions: []stream.PartitionColumn{{Name: tc.part}}}},
			sink.Deps{NewEncoder: func(*arrow.Schema, io.Writer) (stream.Encoder, error) { return nil, nil }})
		if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want a permanent error with %s", tc.name, err, tc.want)
		}
	}
}
