package config

import "strings"

// laterKeys are keys that belong to the language and that this version does not know yet. They are told apart from slips,
// and refused: what was accepted and ignored would be found out by missing data. A key that a struct takes never gets here.
var laterKeys = []string{ //nolint:gochecknoglobals // a table, never written
	"event_time", "tests", "schedule", "depends_on", "lanes", "watermark",

	"source.kinesis", "source.files", "source.limits", "source.skip_corrupt_batch", "source.kafka.limits",
	"source.decode.avro", "source.decode.protobuf", "source.decode.csv", "source.decode.parquet",
	"source.decode.json.duplicate_keys", "source.decode.json.extra_fields", "source.decode.json.invalid_utf8",
	"source.kafka.topic_pattern", "source.kafka.group", "source.kafka.start_at", "source.kafka.isolation",
	"source.kafka.keyed_by", "source.kafka.identity", "source.kafka.rack", "source.kafka.tls", "source.kafka.sasl",
	"source.kafka.skip_corrupt_batch", "source.metadata.path", "source.metadata.row", "source.schedule",

	"steps.dedupe", "steps.expect", "steps.aggregate", "steps.route", "steps.spigot", "steps.lookup", "steps.union",
	"steps.fill", "steps.apply_mapping", "steps.resolve_choice", "steps.relationalize", "steps.unbox", "steps.unnest",
	"steps.explode", "steps.flatten", "steps.split_fields", "steps.split_rows", "steps.mask", "steps.hash", "steps.map",
	"steps.join", "steps.uuid", "steps.format_timestamp", "steps.max_ratio", "steps.on_error",

	"sinks.iceberg", "sinks.csv", "sinks.json", "sinks.delta", "sinks.parquet.sort_by", "sinks.parquet.bloom",
	"sinks.parquet.adopt", "sinks.catalog.iceberg", "sinks.catalog.rest", "sinks.on_schema_change", "sinks.upsert",
	"sinks.catalog.glue.lf_tags",

	"dead_letter.parquet.partition_by", "dead_letter.parquet.write", "dead_letter.parquet.max_open",
	"dead_letter.parquet.roll", "dead_letter.parquet.sort_by", "dead_letter.parquet.bloom", "dead_letter.parquet.adopt",
	"dead_letter.iceberg", "dead_letter.catalog", "store.file", "store.gcs", "store.azure",
}

// later tells whether path, without its indices, is a key of a later version.
func later(path string) bool {
	path = indices.ReplaceAllString(path, "")
	for _, k := range laterKeys {
		if k == path {
			return true
		}
	}
	return false
}

// later reports a key that is known to the language and not yet to this version.
func (l *loader) later(k *node, path string) {
	l.fault(k.span(), codeLater, "%s is not yet known in this version", path).Fix = "a later version brings it; leave it out"
}

// home is where a key belongs that stands under the wrong one.
func (l *loader) home(key, path string) string {
	for _, p := range homes {
		under, k, _ := cutLast(p)
		if k == key && under != path {
			if under == "" {
				return "the top level"
			}
			return under
		}
	}
	return ""
}

// homes are the keys that are most often one level off.
var homes = []string{ //nolint:gochecknoglobals // a table, never written
	"name", "version", "description", "source", "steps", "sinks", "delivery", "dead_letter", "retry", "store",
	"source.decode", "source.schema", "source.metadata", "source.null_values", "source.max_record_size", "source.on_error", "source.on_gap",
	"source.kafka.brokers", "source.kafka.topics", "source.kafka.start_at",
	"sinks[].from", "sinks[].catalog", "sinks[].parquet.location", "sinks[].parquet.partition_by", "sinks[].parquet.roll", "sinks[].parquet.compression",
	"delivery.commit_every", "delivery.commit_size", "delivery.ledger", "delivery.history", "delivery.max_pending",
	"dead_letter.max_ratio", "dead_letter.raw_limit", "retry.initial", "retry.give_up_after",
	"store.s3", "store.s3.path_style", "store.s3.region",
}

func cutLast(path string) (under, key string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
