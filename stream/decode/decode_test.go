package decode_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
	"github.com/millrace/millrace/stream/decode/raw"
)

var everything = decode.Metadata{Topic: "_topic", Partition: "_partition", Offset: "_offset", Key: "_key", Timestamp: "_ts", Headers: "_headers"}

func schema(required bool) *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: !required},
		{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	}, nil)
}

func decoder(t testing.TB, required bool, change func(*decode.Options)) stream.Decoder {
	t.Helper()
	row, err := json.New(json.DefaultConfig(), schema(required))
	if err != nil {
		t.Fatal(err)
	}
	o := decode.DefaultOptions()
	if change != nil {
		change(&o)
	}
	d, err := decode.New(row, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func batchOf(values ...string) *stream.RawBatch {
	r := &stream.RawBatch{Topic: "orders", Number: 7}
	for i, v := range values {
		rec := stream.Record{Offset: int64(100 + i), Timestamp: stream.Micros(i)}
		if v != "null" {
			rec.Value = []byte(v)
		}
		r.Records = append(r.Records, rec)
		r.Bytes += int64(len(v))
	}
	return r
}

func decodeAll(t testing.TB, d stream.Decoder, r *stream.RawBatch) *stream.Batch {
	t.Helper()
	b := stream.NewBatch(d.Schema())
	if next, err := d.Decode(r, 0, b); err != nil || next != len(r.Records) {
		t.Fatalf("got next %d, error %v", next, err)
	}
	for i, c := range b.Cols {
		if c.N != b.Rows {
			t.Fatalf("column %d has %d rows, want %d", i, c.N, b.Rows)
		}
	}
	if len(b.Origin) != b.Rows {
		t.Fatalf("%d origins for %d rows", len(b.Origin), b.Rows)
	}
	if got := b.Rows + len(b.Raw.Bad) + int(b.Raw.Skipped); got != len(r.Records) {
		t.Fatalf("%d records ended somewhere, want %d", got, len(r.Records))
	}
	return b
}

func TestEveryRecordEndsOnce(t *testing.T) {
	b := decodeAll(t, decoder(t, true, nil), batchOf(`{"id":"a"}`, "null", ``, `{"id":"b","tags":["x",`, `{"tags":["y"]}`, `{"id":"c","tags":["z"]}`, `{"id":"d","tags":["z",1]}`))
	if b.Rows != 2 || b.Raw.Skipped != 1 || b.Origin[0].Record != 0 || b.Origin[1].Record != 5 {
		t.Errorf("got %d rows from %v, %d skipped", b.Rows, b.Origin, b.Raw.Skipped)
	}
	if got := b.Cols[0].StringAt(1) + string(b.Cols[1].Kids[0].Bytes); got != "cz" {
		t.Errorf("got %q in the columns, want only what belongs to rows: cz", got)
	}
	var got []string
	for _, bad := range b.Raw.Bad {
		got = append(got, fmt.Sprint(bad.Record, bad.Step, " ", bad.Column, " ", bad.Code))
	}
	want := "2decode  empty_value|3decode  bad_json|4decode id missing_required|6decode tags[] wrong_type"
	if strings.Join(got, "|") != want {
		t.Errorf("bad rows: got %s, want %s", strings.Join(got, "|"), want)
	}
}

func TestNullValues(t *testing.T) {
	tests := []struct {
		policy             string
		rows, bad, skipped int
	}{{"skip", 1, 0, 1}, {"row", 2, 0, 0}, {"dead_letter", 1, 1, 0}}
	for _, tt := range tests {
		d := decoder(t, false, func(o *decode.Options) { o.NullValues, o.Metadata = tt.policy, everything })
		b := decodeAll(t, d, batchOf("null", `{"id":"a"}`))
		if b.Rows != tt.rows || len(b.Raw.Bad) != tt.bad || int(b.Raw.Skipped) != tt.skipped {
			t.Errorf("%s: got %d rows, %d bad, %d skipped", tt.policy, b.Rows, len(b.Raw.Bad), b.Raw.Skipped)
		}
		if tt.policy == "row" && (!b.Cols[0].IsNull(0) || b.Cols[4].I64[0] != 100) {
			t.Errorf("row: got id %q and offset %d, want null and 100", b.Cols[0].BytesAt(0), b.Cols[4].I64[0])
		}
		if tt.policy == "dead_letter" && b.Raw.Bad[0].Code != decode.NullValue {
			t.Errorf("dead_letter: got %+v", b.Raw.Bad[0])
		}
	}
}

func TestMetadata(t *testing.T) {
	row, err := raw.New(raw.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := decode.DefaultOptions()
	o.Metadata = everything
	d, err := decode.New(row, o)
	if err != nil {
		t.Fatal(err)
	}
	r := batchOf("a", "b", "c")
	r.Records[0].Key = []byte("k")
	r.Records[0].Headers = []stream.Header{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}}
	r.Records[1].Key = []byte{}
	r.Records[2].Headers = []stream.Header{{Key: "fine"}, {Key: "\xff"}}
	b := decodeAll(t, d, r)
	if got, want := fmt.Sprint(d.Schema().NumFields(), b.Rows), "7 2"; got != want {
		t.Fatalf("got %s columns and rows, want %s", got, want)
	}
	c := b.Cols
	if c[1].StringAt(0) != "orders" || c[2].I32[1] != 7 || c[3].I64[1] != 101 || c[5].I64[1] != 1 {
		t.Errorf("got %q %d %d %d", c[1].StringAt(0), c[2].I32[1], c[3].I64[1], c[5].I64[1])
	}
	if string(c[4].BytesAt(0)) != "k" || c[4].IsNull(1) || len(c[4].BytesAt(1)) != 0 {
		t.Errorf("keys: an empty key is not null: got %q, null %v", c[4].BytesAt(0), c[4].IsNull(1))
	}
	pairs := c[6].Kids[0]
	if c[6].N != 2 || pairs.N != 2 || pairs.Kids[0].StringAt(1) != "h" || pairs.Kids[1].IsNull(0) || !pairs.Kids[1].IsNull(1) {
		t.Errorf("headers: got %d rows, %d pairs", c[6].N, pairs.N)
	}
	if bad := b.Raw.Bad; len(bad) != 1 || bad[0].Code != decode.BadUTF8 || bad[0].Column != "_headers" {
		t.Errorf("got %+v, want bad_utf8 in _headers", bad)
	}
}

// TestTimesOfRecords: a record without a time is not of 1969, and one of a year that SQL cannot write is no row.
func TestTimesOfRecords(t *testing.T) {
	d := decoder(t, false, func(o *decode.Options) { o.Metadata.Timestamp = "_ts" })
	r := batchOf(`{}`, `{}`, `{}`, `{}`, `{}`, `{}`, `{}`)
	for i, at := range []stream.Micros{stream.NoTime, -62135596800_000_000, 253402300799_999_999, -62135596800_000_001, 253402300800_000_000, math.MaxInt64, math.MinInt64} {
		r.Records[i].Timestamp = at
	}
	b := decodeAll(t, d, r)
	ts := b.Cols[2]
	if b.Rows != 3 || !ts.IsNull(0) || ts.IsNull(1) || ts.I64[1] != -62135596800_000_000 || ts.I64[2] != 253402300799_999_999 {
		t.Errorf("got %d rows, %v", b.Rows, ts.I64)
	}
	for _, bad := range b.Raw.Bad {
		if bad.Code != decode.BadTimestamp || bad.Column != "_ts" || !strings.Contains(bad.Reason, "0001 to 9999") {
			t.Errorf("got %+v, want bad_timestamp in _ts", bad)
		}
	}
	// Who does not ask for the time does not stumble over it.
	if b := decodeAll(t, decoder(t, false, nil), r); b.Rows != 7 {
		t.Errorf("got %d rows and %+v without the column", b.Rows, b.Raw.Bad)
	}
}

// TestHugeRecords: nobody looks into what is over the limit, and what is within it does not need a second copy.
func TestHugeRecords(t *testing.T) {
	d := decoder(t, false, func(o *decode.Options) { o.Metadata = everything })
	r := batchOf("x", `{"id":"`+strings.Repeat("x", 15<<20)+`"}`, `{}`, "\xff")
	r.Records[0].Value = make([]byte, 50<<20)
	r.Records[2].Key = make([]byte, 50<<20)
	b := decodeAll(t, d, r)
	if b.Rows != 1 || len(b.Cols[0].BytesAt(0)) != 15<<20 {
		t.Errorf("got %d rows", b.Rows)
	}
	var codes []string
	for _, bad := range b.Raw.Bad {
		codes = append(codes, bad.Code)
		if len(bad.Reason) > 500 {
			t.Errorf("a reason of %d bytes", len(bad.Reason))
		}
	}
	if got := strings.Join(codes, " "); got != "too_large too_large bad_json" {
		t.Errorf("got %s", got)
	}
}

func TestLimits(t *testing.T) {
	d := decoder(t, false, func(o *decode.Options) { o.MaxRecordSize = 1 << 20 })
	r := batchOf(`{"id":"`+strings.Repeat("x", 1<<20)+`"}`, `{}`, `{}`, `{}`)
	r.Records[1].Headers = make([]stream.Header, 10_000)
	r.Records[2].Headers = []stream.Header{{Key: "k", Value: make([]byte, 1<<20)}}
	b := decodeAll(t, d, r)
	if b.Rows != 1 || len(b.Raw.Bad) != 3 {
		t.Fatalf("got %d rows and %+v", b.Rows, b.Raw.Bad)
	}
	for i, want := range []string{"1048585 bytes, over max_record_size (1MiB)", "10000 headers; at most 4096 are taken", "1048579 bytes, over max_record_size (1MiB)"} {
		if got := b.Raw.Bad[i]; got.Code != decode.TooLarge || got.Reason != want {
			t.Errorf("got %s: %s, want too_large: %s", got.Code, got.Reason, want)
		}
	}
}

// TestBatchesFillAcrossRawBatches also sees that bad rows count, as raw batches are held for them.
func TestBatchesFillAcrossRawBatches(t *testing.T) {
	d := decoder(t, true, nil)
	values := make([]string, 5000)
	for i := range values {
		values[i] = `{"id":"a"}`
		if i%2 == 1 {
			values[i] = `{"id":1}`
		}
	}
	first, second := batchOf(values...), batchOf(values...)
	b := stream.NewBatch(d.Schema())
	if next, _ := d.Decode(first, 0, b); next != 5000 || b.Full() {
		t.Fatalf("got next %d, full %v", next, b.Full())
	}
	next, _ := d.Decode(second, 0, b)
	if next != stream.BatchRows-5000 || !b.Full() || b.Rows+len(b.Raw.Bad) != stream.BatchRows {
		t.Fatalf("got next %d, full %v, %d rows, %d bad", next, b.Full(), b.Rows, len(b.Raw.Bad))
	}
	if o := b.Origin[b.Rows-1]; o.Raw != 1 || int(o.Record) != next-2 {
		t.Errorf("last origin: got %+v, want record %d of raw batch 1", o, next-2)
	}
	if again, _ := d.Decode(second, next, b); again != next {
		t.Errorf("a full batch took %d more records", again-next)
	}
	b.Reset()
	if next, _ = d.Decode(second, next, b); next != 5000 || b.Origin[0].Raw != 0 {
		t.Errorf("after the reset: next %d, first origin %+v", next, b.Origin[0])
	}
}

// TestWideRowsStopABatch: nulls of wide schemas take room although the input is small.
func TestWideRowsStopABatch(t *testing.T) {
	var fields []arrow.Field
	for i := range 2000 {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("f", i), Type: &arrow.Decimal128Type{Precision: 38}, Nullable: true})
	}
	row, err := json.New(json.DefaultConfig(), arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	d, err := decode.New(row, decode.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	values := make([]string, stream.BatchRows)
	for i := range values {
		values[i] = `{}`
	}
	b := stream.NewBatch(d.Schema())
	next, _ := d.Decode(batchOf(values...), 0, b)
	var size int64
	for _, c := range b.Cols {
		size += c.Size()
	}
	if next >= stream.BatchRows || next == 0 || size > 65<<20 {
		t.Errorf("got %d records and %d bytes in one batch, want some, and about 64 MiB", next, size)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(*decode.Options)
		want   string
	}{
		{"policy", func(o *decode.Options) { o.NullValues = "keep" }, `decode: null_values: "keep" is no policy for null values: permanent`},
		{"no size", func(o *decode.Options) { o.MaxRecordSize = 0 }, `decode: max_record_size: 0B is not between 1B and 256MiB: permanent`},
		{"size", func(o *decode.Options) { o.MaxRecordSize = 1 << 30 }, `decode: max_record_size: 1GiB is not between 1B and 256MiB: permanent`},
		{"name taken", func(o *decode.Options) { o.Metadata.Topic = "ID" }, `decode: metadata column "ID": there is a column of that name: permanent`},
		{"name twice", func(o *decode.Options) { o.Metadata.Topic, o.Metadata.Key = "_x", "_x" }, `decode: metadata column "_x": there is a column of that name: permanent`},
		{"rows of null", func(o *decode.Options) { o.NullValues = "row" }, `decode: null values cannot become rows: column "id" is required: permanent`},
	}
	row, err := json.New(json.DefaultConfig(), schema(true))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		o := decode.DefaultOptions()
		tt.change(&o)
		if _, err := decode.New(row, o); !errors.Is(err, stream.ErrPermanent) || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestWhatIsToleratedIsCounted(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := decode.NewMetrics(reg)
	d := decoder(t, false, func(o *decode.Options) { o.Metrics = m })
	decodeAll(t, d, batchOf("\xef\xbb\xbf{}", `{"x":1,"y":2}`, `{"x":1}`, "\xef\xbb\xbf{\"x\":1", `{}`))
	want := `
# HELP millrace_decode_tolerated_records_total Records decoded although something in them was odd, by what it was.
# TYPE millrace_decode_tolerated_records_total counter
millrace_decode_tolerated_records_total{reason="byte_order_mark"} 1
millrace_decode_tolerated_records_total{reason="duplicate_key"} 0
millrace_decode_tolerated_records_total{reason="extra_field"} 2
millrace_decode_tolerated_records_total{reason="invalid_utf8"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("got %v %v", problems, err)
	}
}

func TestNoAllocationsPerRecord(t *testing.T) {
	d := decoder(t, true, func(o *decode.Options) { o.Metadata = everything })
	values := make([]string, 1000)
	for i := range values {
		values[i] = `{"id":"abc","tags":["x","y"],"other":1}`
	}
	r := batchOf(values...)
	for i := range r.Records {
		r.Records[i].Headers = []stream.Header{{Key: "h", Value: []byte("1")}}
	}
	b := stream.NewBatch(d.Schema())
	fill := func() {
		b.Reset()
		if next, err := d.Decode(r, 0, b); next != 1000 || err != nil {
			t.Fatal(next, err)
		}
	}
	fill()
	if n := testing.AllocsPerRun(5, fill); n != 0 {
		t.Errorf("got %v allocations for 1000 records, want 0", n)
	}
}
