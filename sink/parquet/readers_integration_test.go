//go:build integration

package parquet_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

func TestMain(m *testing.M) { real.Main(m) }

const pyArrow = `
import sys, json, decimal, datetime, pyarrow.parquet as pq
def plain(v):
    if isinstance(v, decimal.Decimal): return format(v, 'f')
    if isinstance(v, datetime.datetime): return v.strftime('%Y-%m-%dT%H:%M:%S.%f')
    if isinstance(v, datetime.date): return v.isoformat()
    if isinstance(v, bytes): return v.hex()
    if isinstance(v, (list, tuple)): return [plain(x) for x in v]
    if isinstance(v, dict): return {k: plain(x) for k, x in v.items()}
    return v
f = pq.ParquetFile(sys.argv[1])
t = f.read()
meta = f.metadata
print(json.dumps({
  'types': [str(x.type) for x in t.schema],
  'nullable': [x.nullable for x in t.schema],
  'rows': [[plain(r[c]) for c in t.schema.names] for r in t.to_pylist()],
  'groups': meta.num_row_groups, 'by': meta.created_by, 'kv': meta.metadata[b'txn'].decode(),
  'stats': all(meta.row_group(g).column(c).is_stats_set and meta.row_group(g).column(c).has_column_index and meta.row_group(g).column(c).has_offset_index
               for g in range(meta.num_row_groups) for c in range(meta.num_columns)),
  'codec': meta.row_group(0).column(0).compression if meta.num_row_groups else ''}))
`

const duckDB = `
import sys, json, duckdb
c = duckdb.connect(); c.execute("SET TimeZone='UTC'")
f = "read_parquet('" + sys.argv[1] + "')"
types = [r[1] for r in c.execute('DESCRIBE SELECT * FROM ' + f).fetchall()]
rows = c.execute("""SELECT s, hex(raw), b, i, l, f, CAST(d AS VARCHAR), strftime(ts, '%Y-%m-%dT%H:%M:%S.%f'), strftime(local, '%Y-%m-%dT%H:%M:%S.%f'),
  CAST(d9 AS VARCHAR), CAST(d18 AS VARCHAR), CAST(d38 AS VARCHAR), to_json(tags), to_json(lines), to_json(map_entries(m)), to_json(st) FROM """ + f).fetchall()
print(json.dumps({'types': types, 'rows': rows}))
`

func everyType() *arrow.Schema {
	null := func(n string, t arrow.DataType) arrow.Field { return arrow.Field{Name: n, Type: t, Nullable: true} }
	return arrow.NewSchema([]arrow.Field{
		{Name: "s", Type: arrow.BinaryTypes.String}, null("raw", arrow.BinaryTypes.Binary), null("b", arrow.FixedWidthTypes.Boolean),
		null("i", arrow.PrimitiveTypes.Int32), {Name: "l", Type: arrow.PrimitiveTypes.Int64}, null("f", arrow.PrimitiveTypes.Float64),
		null("d", arrow.FixedWidthTypes.Date32), null("ts", utc), null("local", &arrow.TimestampType{Unit: arrow.Microsecond}),
		null("d9", &arrow.Decimal128Type{Precision: 9, Scale: 2}), null("d18", &arrow.Decimal128Type{Precision: 18, Scale: 4}), null("d38", &arrow.Decimal128Type{Precision: 38, Scale: 9}),
		null("tags", arrow.ListOf(arrow.BinaryTypes.String)),
		null("lines", arrow.ListOf(arrow.StructOf(null("sku", arrow.BinaryTypes.String), null("price", &arrow.Decimal128Type{Precision: 12, Scale: 2})))),
		null("m", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64)),
		null("st", arrow.StructOf(null("x", arrow.PrimitiveTypes.Int32), null("y", arrow.BinaryTypes.String))),
	}, nil)
}

func num(t testing.TB, s string, p, scale int32) decimal128.Num {
	t.Helper()
	n, err := decimal128.FromString(s, p, scale)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fill makes n rows; every third has nulls wherever they may be. want is what PyArrow should say.
func fill(t testing.TB, n int) (*stream.Batch, []any) {
	b := stream.NewBatch(everyType())
	want := []any{}
	for k := range n {
		c := b.Cols
		c[0].AppendString(fmt.Sprintf("é%d\x00", k%50))
		c[4].AppendI64(int64(k) << 40)
		if k%3 == 2 {
			w := make([]any, len(c))
			for i := range c {
				if i != 0 && i != 4 {
					c[i].AppendNull()
				}
			}
			w[0], w[4] = fmt.Sprintf("é%d\x00", k%50), float64(int64(k)<<40)
			want = append(want, w)
			continue
		}
		c[1].AppendBytes([]byte{0xff, byte(k)})
		c[2].AppendBool(k%2 == 0)
		c[3].AppendI32(int32(-k))
		c[5].AppendF64(float64(k) / 8)
		c[6].AppendI32(int32(k - 1000))
		micros := int64(1_760_000_000_123_456) + int64(k)*7_000_001
		c[7].AppendI64(micros)
		c[8].AppendI64(micros - 1)
		d9, d18, d38 := fmt.Sprintf("-%d.05", k), fmt.Sprintf("%d.1234", k*1000000), fmt.Sprintf("-12345678901234567890123456%03d.000000001", k%1000)
		c[9].AppendDec(num(t, d9, 9, 2))
		c[10].AppendDec(num(t, d18, 18, 4))
		c[11].AppendDec(num(t, d38, 38, 9))
		tags := []any{}
		for j := range k % 3 {
			c[12].Kids[0].AppendString(fmt.Sprint("t", j))
			tags = append(tags, fmt.Sprint("t", j))
		}
		c[12].EndRow()
		e := c[13].Kids[0]
		e.Kids[0].AppendString("sku")
		e.Kids[1].AppendNull()
		e.EndRow()
		e.AppendNull()
		c[13].EndRow()
		e = c[14].Kids[0]
		e.Kids[0].AppendString("a")
		e.Kids[1].AppendI64(int64(k))
		e.EndRow()
		e.Kids[0].AppendString("b")
		e.Kids[1].AppendNull()
		e.EndRow()
		c[14].EndRow()
		c[15].Kids[0].AppendI32(int32(k))
		c[15].Kids[1].AppendNull()
		c[15].EndRow()
		const at = "2006-01-02T15:04:05.000000"
		want = append(want, []any{fmt.Sprintf("é%d\x00", k%50), fmt.Sprintf("ff%02x", byte(k)), k%2 == 0, float64(-k), float64(int64(k) << 40), float64(k) / 8,
			time.Unix(int64(k-1000)*86400, 0).UTC().Format("2006-01-02"), time.UnixMicro(micros).UTC().Format(at), time.UnixMicro(micros - 1).UTC().Format(at),
			d9, d18, d38, tags, []any{map[string]any{"sku": "sku", "price": nil}, nil}, []any{[]any{"a", float64(k)}, []any{"b", nil}}, map[string]any{"x": float64(k), "y": nil}})
	}
	b.Rows = n
	b.SelectAll()
	return b, want
}

// PyArrow and DuckDB read what was written, value by value and type by type, over every codec and with several row groups.
func TestReaders(t *testing.T) {
	for _, word := range []string{"zstd", "snappy", "lz4_raw", "none"} {
		for _, n := range []int{0, 1, 1000} {
			t.Run(fmt.Sprint(word, "/", n), func(t *testing.T) {
				o := parquet.DefaultOptions()
				o.Compression, o.RowGroup.Rows = word, 300
				b, want := fill(t, n)
				half := *b
				b.Sel, half.Sel = b.Sel[:n/2], b.Sel[n/2:]
				path := filepath.Join(t.TempDir(), "f.parquet")
				if err := os.WriteFile(path, encode(t, everyType(), o, map[string]string{"txn": "7f3a-0-1-1"}, b, &half), 0o600); err != nil {
					t.Fatal(err)
				}
				var got struct {
					Types    []string
					Nullable []bool
					Rows     []any
					Groups   int
					By, KV   string
					Stats    bool
					Codec    string
				}
				decode(t, real.RunPython(t, pyArrow, path), &got)
				types := []string{"string", "binary", "bool", "int32", "int64", "double", "date32[day]", "timestamp[us, tz=UTC]", "timestamp[us]",
					"decimal128(9, 2)", "decimal128(18, 4)", "decimal128(38, 9)", "list<element: string>", "list<element: struct<sku: string, price: decimal128(12, 2)>>",
					"map<string, int64 ('m')>", "struct<x: int32, y: string>"}
				for i := range types {
					if got.Types[i] != types[i] || got.Nullable[i] != (i != 0 && i != 4) {
						t.Errorf("column %d: PyArrow sees %s, nullable %v; want %s", i, got.Types[i], got.Nullable[i], types[i])
					}
				}
				compare(t, "PyArrow", got.Rows, want)
				if got.By != "millrace version 0.1.0" || got.KV != "7f3a-0-1-1" || !got.Stats || n > 300 && got.Groups < 2 {
					t.Errorf("created by %q, metadata %q, statistics and indexes %v, %d row groups", got.By, got.KV, got.Stats, got.Groups)
				}
				codec := map[string]string{"zstd": "ZSTD", "snappy": "SNAPPY", "lz4_raw": "LZ4", "none": "UNCOMPRESSED"}[word]
				if n > 0 && got.Codec != codec {
					t.Errorf("got codec %s, want %s", got.Codec, codec)
				}
				duck(t, path, want)
			})
		}
	}
}

func duck(t *testing.T, path string, want []any) {
	t.Helper()
	var got struct {
		Types []string
		Rows  [][]any
	}
	decode(t, real.RunPython(t, duckDB, path), &got)
	types := []string{"VARCHAR", "BLOB", "BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "DATE", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DECIMAL(9,2)", "DECIMAL(18,4)", "DECIMAL(38,9)",
		"VARCHAR[]", "STRUCT(sku VARCHAR, price DECIMAL(12,2))[]", "MAP(VARCHAR, BIGINT)", "STRUCT(x INTEGER, y VARCHAR)"}
	if !reflect.DeepEqual(got.Types, types) {
		t.Errorf("DuckDB sees types %v, want %v", got.Types, types)
	}
	var rows []any
	for _, r := range got.Rows {
		for i, v := range r {
			text, ok := v.(string)
			switch {
			case !ok:
			case i == 1:
				r[i] = strings.ToLower(text)
			case i >= 12:
				var nested any
				decode(t, text, &nested)
				if i == 14 {
					nested = pairs(nested)
				}
				r[i] = nested
			}
		}
		rows = append(rows, r)
	}
	compare(t, "DuckDB", rows, want)
}

// pairs turns the entries of a map into pairs of key and value.
func pairs(v any) any {
	entries, ok := v.([]any)
	if !ok {
		return v
	}
	out := []any{}
	for _, e := range entries {
		m, _ := e.(map[string]any)
		out = append(out, []any{m["key"], m["value"]})
	}
	return out
}

func decode(t *testing.T, s string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), v); err != nil {
		t.Fatalf("%v in %.200s", err, s)
	}
}

func compare(t *testing.T, who string, got, want []any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s reads %d rows, want %d", who, len(got), len(want))
	}
	for i := range got {
		g, _ := json.Marshal(got[i])
		w, _ := json.Marshal(want[i])
		if string(g) != string(w) {
			t.Fatalf("%s, row %d:\ngot  %s\nwant %s", who, i, g, w)
		}
	}
}
