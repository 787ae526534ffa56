package config_test

import (
	"strings"
	"testing"
)

// TestLater: every key of the language that this version does not know is refused as that, and not as a slip.
func TestLater(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"sinks:", "event_time: {column: at}\nsinks:"},
		{"sinks:", "tests: []\nsinks:"},
		{"sinks:", "schedule: daily\nsinks:"},
		{"kafka: {brokers: [a:9092], topics: [orders]}", "kinesis: {stream: s}"},
		{"kafka: {brokers: [a:9092], topics: [orders]}", "files: {location: ./x/}"},
		{"decode: json", "decode: json\n  limits: {records_per_second: 1}"},
		{"decode: json", "decode: json\n  on_gap: skip"},
		{"decode: json", "decode: avro"},
		{"decode: json", "decode: {protobuf: {}}"},
		{"decode: json", "decode: csv"},
		{"decode: json", "decode: parquet"},
		{"decode: json", "decode: {json: {extra_fields: evolve}}"},
		{"decode: json", "decode: json\n  metadata: {path: _file}"},
		{"decode: json", "decode: json\n  metadata: {row: _row}"},
		{"topics: [orders]", "topics: [orders], keyed_by: [id]"},
		{"filter: amount > 0", "dedupe: {by: [id]}"},
		{"filter: amount > 0", "expect: {a: {that: amount > 0}}"},
		{"filter: amount > 0", "aggregate: {by: [id]}"},
		{"filter: amount > 0", "apply_mapping: []"},
		{"filter: amount > 0", "resolve_choice: {}"},
		{"filter: amount > 0", "relationalize: {}"},
		{"filter: amount > 0", "unbox: {}"},
		{"filter: amount > 0", "unnest: {}"},
		{"filter: amount > 0", "explode: tags"},
		{"filter: amount > 0", "route: {}"},
		{"filter: amount > 0", "spigot: {}"},
		{"filter: amount > 0", "lookup: {}"},
		{"filter: amount > 0", "union: {}"},
		{"filter: amount > 0", "fill: {}"},
		{"filter: amount > 0", "mask: {}"},
		{"filter: amount > 0", "hash: {}"},
		{"parquet: {location: ./t/}", "iceberg: {table: a.b}"},
		{"./t/}", "./t/, sort_by: [id]}"},
		{"./t/}", "./t/, bloom: [id]}"},
		{"./t/}", "./t/, adopt: true}"},
		{"./t/}", "./t/, write: overwrite_table}"},
		{"./t/}", "./t/, write: overwrite_partitions}"},
		{"./t/}", "./t/, write: replace_slice}"},
		{"./t/}", "./t/}\n    catalog: {iceberg: {}}"},
		{"sinks:", "dead_letter: {parquet: {location: ./d/, partition_by: [code]}}\nsinks:"},
	} {
		faults := bad(t, change(c.from, c.to), "is not yet known in this version [E1004]")
		if strings.Contains(faults.Error(), "[E1003]") {
			t.Errorf("%s: got\n%s", c.to, faults.Error())
		}
	}
	text := strings.Replace(base[:strings.Index(base, "  schema:")]+base[strings.Index(base, "steps:"):], "decode: json", "decode: json\n  schema: infer", 1)
	bad(t, text, "source.schema: infer is not yet known in this version [E1004]")
}
