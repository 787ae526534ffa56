//go:build integration

package e2e

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// typed is a column of every type: what a record holds, and the text by which both readers must know it.
type typed struct {
	column
	declared string
	values   [4]struct{ json, text string }
}

type pair = struct{ json, text string }

// typedColumns holds ends of ranges, values that other readers like to round, and values that end somebody's string.
func typedColumns() []typed {
	b64 := func(s string) pair {
		return pair{strconv.Quote(base64.StdEncoding.EncodeToString([]byte(s))), fmt.Sprintf("%X", s)}
	}
	wide := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	wide.Sub(wide, big.NewInt(1))
	null := pair{"null", ""}
	return []typed{
		{column{"s", "VARCHAR", "string"}, "string", [4]pair{{`"plain"`, "plain"}, {`""`, ""}, {`"a\u0000b\n\t\"'\\ é 😀"`, "a\x00b\n\t\"'\\ é 😀"}, null}},
		{column{"b", "BOOLEAN", "bool"}, "bool", [4]pair{{"true", "true"}, {"false", "false"}, {"true", "true"}, null}},
		{column{"i", "INTEGER", "int32"}, "int32", [4]pair{{"-2147483648", "-2147483648"}, {"2147483647", "2147483647"}, {"1e2", "100"}, null}},
		{column{"l", "BIGINT", "int64"}, "int64", [4]pair{{"-9223372036854775808", "-9223372036854775808"}, {"9223372036854775807", "9223372036854775807"}, {`"9007199254740993"`, "9007199254740993"}, null}},
		{column{"f", "DOUBLE", "double"}, "float64", [4]pair{{"0.1", "0.1"}, {"-1.7976931348623157e308", "-1.7976931348623157e+308"}, {"5e-324", "5e-324"}, null}},
		{column{"d", "DECIMAL(18,2)", "decimal128(18, 2)"}, "decimal(18,2)", [4]pair{{"0.1", "0.10"}, {"-9999999999999999.99", "-9999999999999999.99"}, {`"12.500"`, "12.50"}, null}},
		{column{"w", "DECIMAL(38,0)", "decimal128(38, 0)"}, "decimal(38,0)", [4]pair{{wide.String(), wide.String()}, {"-" + wide.String(), "-" + wide.String()}, {"0", "0"}, null}},
		{column{"day", "DATE", "date32[day]"}, "date", [4]pair{{`"0001-01-01"`, "0001-01-01"}, {`"9999-12-31"`, "9999-12-31"}, {`"1969-12-31"`, "1969-12-31"}, null}},
		{column{"at", "TIMESTAMP WITH TIME ZONE", "timestamp[us, tz=UTC]"}, "timestamp", [4]pair{
			{`"2026-01-01T00:30:00.123456789+02:00"`, "2025-12-31T22:30:00.123456Z"}, {`"1969-12-31T23:59:59.999999Z"`, "1969-12-31T23:59:59.999999Z"},
			{`"9999-12-31T23:59:59.999999Z"`, "9999-12-31T23:59:59.999999Z"}, null,
		}},
		{column{"raw", "BLOB", "binary"}, "bytes", [4]pair{b64("\x00\xff bytes"), b64(""), b64("PAR1"), null}},
		{column{"st", `STRUCT(id BIGINT, "name" VARCHAR)`, "struct<id: int64 not null, name: string>"}, "{id: int64!, name: string}", [4]pair{
			{`{"id":1,"name":"one"}`, "{'id': 1, 'name': one}"}, {`{"id":2}`, "{'id': 2, 'name': NULL}"}, {`{"name":"three","id":3}`, "{'id': 3, 'name': three}"}, null,
		}},
		{column{"li", "VARCHAR[]", "list<element: string>"}, "[string]", [4]pair{{`["x","y"]`, "[x, y]"}, {"[]", "[]"}, {`["z",null]`, "[z, NULL]"}, null}},
		{column{"m", "MAP(VARCHAR, BIGINT)", "map<string, int64 ('m')>"}, "map(string, int64)", [4]pair{{`{"a":1,"b":2}`, "{a=1, b=2}"}, {"{}", "{}"}, {`{"c":null}`, "{c=NULL}"}, null}},
		{
			column{"deep", `STRUCT(sku VARCHAR, price DECIMAL(12,2), tags MAP(VARCHAR, DATE))[]`, "list<element: struct<sku: string not null, price: decimal128(12, 2), tags: map<string, date32[day] ('tags')>>>"},
			"[{sku: string!, price: 'decimal(12,2)', tags: 'map(string, date)'}]",
			[4]pair{
				{`[{"sku":"p","price":1.5,"tags":{"k":"2026-01-02"}},{"sku":"q"}]`, "[{'sku': p, 'price': 1.50, 'tags': {k=2026-01-02}}, {'sku': q, 'price': NULL, 'tags': NULL}]"},
				{"[]", "[]"}, {`[null,{"sku":"r","tags":{}}]`, "[NULL, {'sku': r, 'price': NULL, 'tags': {}}]"}, null,
			},
		},
	}
}

// TestEveryTypeReachesTheReaders writes every type of the language, nested ones too, and has both readers compare each value.
func TestEveryTypeReachesTheReaders(t *testing.T) {
	t.Parallel()
	cols := typedColumns()
	for _, where := range []string{"s3", "disk"} {
		t.Run(where, func(t *testing.T) {
			p := onS3(t, "types_"+where)
			if where == "disk" {
				p = onDisk(t, "types_"+where)
			}
			cl := client(t, p.broker)
			createTopic(t, cl, p.name, 1)
			want := write(t, "types.jsonl", "")
			f := create(t, want)
			stamp := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
			for i := range 4 {
				var value strings.Builder
				row := map[string]any{"_key": fmt.Sprintf("%X", "k"+strconv.Itoa(i)), "_ts": "2026-01-02T03:04:05.678000Z", "_headers": "[{'key': h, 'value': v}]"}
				for j, c := range cols {
					value.WriteString(map[bool]string{true: "{", false: ","}[j == 0])
					fmt.Fprintf(&value, "%q:%s", c.name, c.values[i].json)
					row[c.name] = c.values[i].text
					if c.values[i].json == "null" {
						row[c.name] = nil
					}
				}
				f.line(row)
				rec := &kgo.Record{Topic: p.name, Key: []byte("k" + strconv.Itoa(i)), Value: []byte(value.String() + "}"), Timestamp: stamp, Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("v")}}}
				if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			f.close()
			var schema strings.Builder
			all := []column{
				{"_key", "BLOB", "binary"}, {"_ts", "TIMESTAMP WITH TIME ZONE", "timestamp[us, tz=UTC]"},
				{"_headers", `STRUCT("key" VARCHAR, "value" BLOB)[]`, "list<element: struct<key: string, value: binary>>"},
			}
			for _, c := range cols {
				fmt.Fprintf(&schema, "    %s: %s\n", c.name, c.declared)
				all = append(all, c.column)
			}
			stores, catalog := "", fmt.Sprintf("local: {path: %q, database: shop, table: %s}", p.lake+"/catalog", p.name)
			if p.s3 != "" {
				stores = fmt.Sprintf("store: {s3: {endpoint: %q, path_style: true, region: us-east-1}}\n", p.s3)
				catalog = fmt.Sprintf("glue: {database: shop, table: %s, endpoint: %q, region: us-east-1}", p.name, p.glue)
			}
			conf := write(t, p.name+".yaml", fmt.Sprintf(`version: 1
name: %[1]s
source:
  kafka: {brokers: %[2]q, topics: [%[1]s]}
  decode: json
  metadata: {key: _key, timestamp: _ts, headers: _headers}
  schema:
%[3]ssinks:
  - parquet: {location: %[4]q}
    catalog: {%[5]s}
delivery: {commit_every: 1s, ledger: %[6]q}
dead_letter: {parquet: {location: %[7]q}}
%[8]s`, p.name, p.broker, schema.String(), p.table(), catalog, p.lake+"/ledger/"+p.name+"/", p.dead(), stores))
			if code, d := run(t, time.Minute, nil, "run", "--once", conf); code != 0 {
				t.Fatalf("exit %d:\n%s", code, d.stderr())
			}
			if r := check(t, p.table(), all, want); r.DuckDB.Rows != 4 {
				t.Errorf("%d rows, want 4", r.DuckDB.Rows)
			}
		})
	}
}
