package parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

func id(n string) arrow.Metadata {
	return arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{n})
}

// The file's schema, word for word: types, repetition, field ids at every depth.
func TestSchema(t *testing.T) {
	m := arrow.MapOfFields(arrow.Field{Name: "key", Type: arrow.BinaryTypes.String, Metadata: id("11")},
		arrow.Field{Name: "value", Type: arrow.PrimitiveTypes.Int64, Nullable: true, Metadata: id("12")})
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String, Metadata: id("1")},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true, Metadata: id("2")},
		{Name: "at", Type: utc, Nullable: true},
		{Name: "local", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
		{Name: "d9", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}, Nullable: true},
		{Name: "d18", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}, Nullable: true},
		{Name: "d38", Type: &arrow.Decimal128Type{Precision: 38, Scale: 9}, Nullable: true},
		{Name: "raw", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "tags", Type: arrow.ListOfField(arrow.Field{Name: "item", Type: arrow.BinaryTypes.String, Nullable: true, Metadata: id("9")}), Nullable: true, Metadata: id("8")},
		{Name: "m", Type: m, Nullable: true, Metadata: id("10")},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32, Metadata: id("14")}), Nullable: true, Metadata: id("13")},
	}, nil)
	pf, err := file.NewParquetReader(bytes.NewReader(encode(t, s, parquet.DefaultOptions(), map[string]string{"b": "2", "a": "1"})))
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	schema.PrintSchema(pf.MetaData().Schema.Root(), &got, 2)
	want := `required group field_id=-1 schema {
  required byte_array field_id=1 id (String);
  optional int32 field_id=2 day (Date);
  optional int64 field_id=-1 at (Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false));
  optional int64 field_id=-1 local (Timestamp(isAdjustedToUTC=false, timeUnit=microseconds, is_from_converted_type=false, force_set_converted_type=false));
  optional int32 field_id=-1 d9 (Decimal(precision=9, scale=2));
  optional int64 field_id=-1 d18 (Decimal(precision=18, scale=2));
  optional fixed_len_byte_array field_id=-1 d38 (Decimal(precision=38, scale=9));
  optional byte_array field_id=-1 raw;
  optional group field_id=8 tags (List) {
    repeated group field_id=-1 list {
      optional byte_array field_id=9 element (String);
    }
  }
  optional group field_id=10 m (Map) {
    repeated group field_id=-1 key_value {
      required byte_array field_id=11 key (String);
      optional int64 field_id=12 value;
    }
  }
  optional group field_id=13 s {
    required int32 field_id=14 x;
  }
}
`
	if squeeze(got.String()) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	for i, want := range []string{"UTF8", "DATE", "TIMESTAMP_MICROS", "NONE", "DECIMAL", "DECIMAL", "DECIMAL", "NONE", "UTF8"} {
		if got := pf.MetaData().Schema.Column(i).ConvertedType().String(); !strings.EqualFold(got, want) {
			t.Errorf("column %d: got converted type %s, want %s", i, got, want)
		}
	}
	if kv := pf.MetaData().KeyValueMetadata(); *kv.FindValue("a") != "1" || *kv.FindValue("b") != "2" {
		t.Errorf("got key-value metadata %v", kv)
	}
	if got := *pf.MetaData().CreatedBy; got != "millrace version 0.1.0" {
		t.Errorf("created by %q", got)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// Every column chunk says its bounds and has a page index; a column that repeats itself has a dictionary.
func TestStatisticsAndDictionary(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: "word", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
	b := stream.NewBatch(s)
	for i := range 5000 {
		b.Cols[0].AppendI64(int64(i) - 17)
		b.Cols[1].AppendString([]string{"a", "b", "c"}[i%3])
	}
	b.Rows = 5000
	b.SelectAll()
	pf, err := file.NewParquetReader(bytes.NewReader(encode(t, s, parquet.DefaultOptions(), nil, b)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true} {
		c, err := pf.MetaData().RowGroup(0).ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		if c.HasDictionaryPage() != want {
			t.Errorf("column %d: dictionary %v, want %v", i, c.HasDictionaryPage(), want)
		}
		st, err := c.Statistics()
		if err != nil || st == nil || !st.HasMinMax() || !st.HasNullCount() {
			t.Errorf("column %d: statistics %v, %v", i, st, err)
		}
		if g := pf.MetaData().RowGroups[0].Columns[i]; g.ColumnIndexOffset == nil || g.OffsetIndexOffset == nil {
			t.Errorf("column %d has no page index", i)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, f := range map[string]arrow.Field{
		"no columns":    {},
		"empty struct":  {Name: "s", Type: arrow.StructOf()},
		"nanoseconds":   {Name: "t", Type: arrow.FixedWidthTypes.Timestamp_ns},
		"unknown types": {Name: "u", Type: arrow.PrimitiveTypes.Uint16},
	} {
		var fs []arrow.Field
		if f.Name != "" {
			fs = append(fs, f)
		}
		_, err := parquet.NewEncoder(arrow.NewSchema(fs, nil), &bytes.Buffer{}, parquet.DefaultOptions())
		if !errors.Is(err, stream.ErrPermanent) {
			t.Errorf("%s: got %v, want a permanent error", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	if f := parquet.DefaultOptions().Validate(); len(f) != 0 {
		t.Errorf("defaults: %v", f)
	}
	o := parquet.Options{Compression: "gzip", RowGroup: parquet.RowGroup{Size: 1, Rows: -1}}
	got := o.Validate()
	want := []string{"compression", "row_group.size", "row_group.rows"}
	if len(got) != len(want) {
		t.Fatalf("got %v, want faults at %v", got, want)
	}
	for i, f := range got {
		if f.Path != want[i] || f.Code == "" || f.Fix == "" {
			t.Errorf("got %+v, want a fault at %s with code and fix", f, want[i])
		}
	}
	if _, err := parquet.NewFormat(o); !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("got %v, want a permanent error", err)
	}
}

// Every page's bounds and null count are those of exactly its rows, with a dictionary and without: readers skip pages by
// them.
func TestPageIndexIsExact(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "word", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "needed", Type: arrow.BinaryTypes.String},
		{Name: "unique", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	const rows = 300_000
	b := stream.NewBatch(s)
	for i := range rows {
		if i%7 == 3 || i/20_000 == 9 {
			b.Cols[0].AppendNull()
			b.Cols[2].AppendNull()
		} else {
			b.Cols[0].AppendString(fmt.Sprintf("word-%05d", i/5000*7919%1000))
			b.Cols[2].AppendString(fmt.Sprintf("u-%09d", i*7919%1_000_003))
		}
		b.Cols[1].AppendString(fmt.Sprintf("state-%03d", (i/900)*37%100))
	}
	b.Rows = rows
	b.SelectAll()
	pf, err := file.NewParquetReader(bytes.NewReader(encode(t, s, parquet.DefaultOptions(), nil, b)))
	if err != nil {
		t.Fatal(err)
	}
	rg, err := pf.GetPageIndexReader().RowGroup(0)
	if err != nil {
		t.Fatal(err)
	}
	for c := range b.Cols {
		ci, err := rg.GetColumnIndex(c)
		if err != nil {
			t.Fatal(err)
		}
		oi, err := rg.GetOffsetIndex(c)
		if err != nil {
			t.Fatal(err)
		}
		pages := oi.GetPageLocations()
		if len(pages) < 3 {
			t.Fatalf("column %d has %d pages, want several", c, len(pages))
		}
		for p := range pages {
			to := rows
			if p+1 < len(pages) {
				to = int(pages[p+1].FirstRowIndex)
			}
			least, most, nulls := bounds(b.Cols[c], int(pages[p].FirstRowIndex), to)
			if got := string(ci.GetMinValues()[p]); got != least {
				t.Errorf("column %d page %d: least value %q, want %q", c, p, got, least)
			}
			if got := string(ci.GetMaxValues()[p]); got != most {
				t.Errorf("column %d page %d: greatest value %q, want %q", c, p, got, most)
			}
			if got := ci.GetNullCounts()[p]; got != nulls {
				t.Errorf("column %d page %d: %d nulls, want %d", c, p, got, nulls)
			}
		}
		least, most, nulls := bounds(b.Cols[c], 0, rows)
		cc, err := pf.MetaData().RowGroup(0).ColumnChunk(c)
		if err != nil {
			t.Fatal(err)
		}
		st, err := cc.Statistics()
		if err != nil || string(st.EncodeMin()) != least || string(st.EncodeMax()) != most || st.NullCount() != nulls || st.NumValues() != rows-nulls {
			t.Errorf("column %d: statistics %v (%v), want %q to %q and %d nulls", c, st, err, least, most, nulls)
		}
		if cc.HasDictionaryPage() != (c < 2) {
			t.Errorf("column %d: dictionary %v", c, cc.HasDictionaryPage())
		}
	}
}

func bounds(v *stream.Vec, from, to int) (least, most string, nulls int64) {
	first := true
	for i := from; i < to; i++ {
		if v.IsNull(i) {
			nulls++
			continue
		}
		x := v.StringAt(i)
		if first || x < least {
			least = x
		}
		if first || x > most {
			most = x
		}
		first = false
	}
	return least, most, nulls
}
