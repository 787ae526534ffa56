package cli

import (
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/transform"
)

const configurationIntro = `One YAML file is one pipeline; a folder is many. [deploy/quickstart/orders.yaml](../quickstart/orders.yaml) is a whole one, with
comments; [deploy/examples](../examples) has more. ` + "`millrace validate FILE`" + ` reports everything that is wrong at once, with its place
and what to write instead, and connects to nothing.

- Keys are checked strictly: an unknown key is an error, and a key of a later version is refused, never ignored.
- A component is named by a single key: ` + "`decode: json`" + `, or with settings ` + "`decode: {json: {extra_fields: dead_letter}}`" + `.
- Durations and sizes carry units: ` + "`1m`, `90s`, `256MiB`" + `. A bare number is refused.
- ` + "`${NAME}`" + ` is a variable of the environment, of ` + "`--env-file`" + ` or ` + "`--set NAME=value`" + `; ` + "`${NAME:-x}`" + ` is x if it is not set;
  ` + "`${file:/run/secrets/x}`" + ` is what a file holds; ` + "`$$`" + ` is a dollar sign. Values are put in after the file was parsed, so they
  cannot change its structure. Without a default, a variable that is not set is an error.
- Relative paths start at the working directory.
`

const partitionWords = `
` + "`partition_by`" + ` is a list of columns, ` + "`[country]`" + `, or a map of computed ones, ` + "`{day: date(created_at)}`" + `. Partition columns are
folders, ` + "`day=2026-01-31/`" + `, and are not repeated inside the files. Values are escaped as Hive does; a null or empty one is the
folder ` + "`__HIVE_DEFAULT_PARTITION__`" + `. ` + "`write`" + ` knows ` + "`append`" + `.
`

const expressionWords = `
## Expressions

Steps take SQL's scalar expressions: ` + "`AND OR NOT`, `= <> != < <= > >=`, `IS [NOT] NULL`, `IN`, `BETWEEN`, `LIKE`, `CASE WHEN`, `CAST(x AS type)`,\n`TRY_CAST`" + `, arithmetic, paths such as ` + "`a.b[0].c`" + `, and the functions below. NULL follows three-valued logic; decimals are exact. All
types are known when the file is loaded, so that a mistake is an error of ` + "`validate`" + ` with line and column. At run time a value that
cannot be computed (a failed cast, an overflow, a division by zero) makes that record a dead letter, never a silent null.
`

const metricsIntro = `What ` + "`/metrics`" + ` serves, in base units. Timestamps are Unix time: an age is ` + "`time() - x`" + `. Counters of records count
committed transactions only where they say so. Go's own and the process's metrics (` + "`go_*`, `process_*`" + `) are there as well.

`

const metricsQuestions = `
## What to watch

| question | expression |
|---|---|
| Is it committing? | ` + "`time() - millrace_last_commit_timestamp_seconds > 3 * millrace_commit_interval_seconds`" + ` while there is lag |
| How far is it behind? | ` + "`sum by (pipeline) (millrace_source_lag_records)`, `max by (pipeline) (millrace_source_lag_seconds)`" + ` |
| Does it need a person? | ` + "`millrace_pipeline_state{state=\"halted\"} == 1`" + ` |
| Is something away? | ` + "`millrace_pipeline_state{state=~\"waiting\\|backoff\"} == 1`" + ` for longer than you accept |
| Is the input bad? | ` + "`sum by (pipeline, reason) (rate(millrace_dead_letter_records_total[10m]))`" + ` |
| Are files too small? | ` + "`rate(millrace_sink_bytes_total[1h]) / rate(millrace_sink_files_total[1h])`" + ` |
| Does every record add up? | ` + "`millrace_conservation_imbalance_records != 0`" + ` must never be |
| Is memory short? | ` + "`millrace_buffer_bytes / millrace_memory_limit_bytes`" + ` near 1: files are closed early, and get small |
`

const deadLettersIntro = `A record that does not fit becomes a row of the pipeline's dead-letter table, in the same transaction as the records around it:
exactly once, like they. The table is Parquet at ` + "`dead_letter.parquet.location`" + `, by default beside the ledger; any engine that reads
Parquet reads it. ` + "`source.on_error`" + ` may be ` + "`drop`" + ` (counted, not kept) or ` + "`fail`" + ` (the lane halts) instead. If more than
` + "`dead_letter.max_ratio`" + ` of the records of 10 minutes are dead letters, the pipeline halts: then most likely the schema is wrong.

## Columns

`

const deadLettersEnd = `
For example, the commonest reasons, with DuckDB:

    SELECT code, step, "column", count(*), min("offset"), any_value(reason)
    FROM read_parquet('./millrace-demo/dead_letter/**/*.parquet') GROUP BY ALL ORDER BY 4 DESC;
`

func deadLetterColumns() map[string]string {
	return map[string]string{
		"time": "of the transaction", "pipeline": "name of the pipeline", "source_partition": "where it was read: kafka/orders/2",
		"topic": "Kafka topic", "partition": "its partition", "offset": "its offset in it", "path": "of a file; null for Kafka", "row": "in that file; null for Kafka",
		"key": "the record's key", "raw": "its value as it came, cut at dead_letter.raw_limit", "raw_size": "length of the whole value",
		"raw_sha256": "digest of the whole value, in hexadecimal digits", "headers": "the record's headers", "record_time": "the record's timestamp",
		"step": "decode, the step's name or its number and kind, or the sink", "column": "the column that was wrong; null: the record as a whole",
		"code": "one of the codes below; the label `reason` of millrace_dead_letter_records_total", "reason": "for people, with the value and what was wrong with it",
		"transaction": "incarnation, lane, epoch and number of the transaction",
	}
}

func deadLetterCodes() [][2]string {
	return [][2]string{
		{decode.NullValue, "the value is null, and source.null_values is dead_letter"},
		{decode.TooLarge, "over source.max_record_size, too many headers, or far too many values for its size"},
		{decode.EmptyValue, "a value of no bytes, where the format needs some"},
		{decode.BadJSON, "not JSON by RFC 8259; the reason names the byte"},
		{decode.TooDeep, "JSON nested deeper than the limit"},
		{decode.BadUTF8, "invalid UTF-8, or half of a surrogate pair"},
		{decode.DuplicateKey, "one key twice in a JSON object"},
		{decode.ExtraField, "a key that is not in the schema, and extra_fields is dead_letter"},
		{decode.MissingRequired, "a required column is missing or null"},
		{decode.WrongType, "a value of another kind than the column's, or a fraction where a whole number belongs"},
		{decode.OutOfRange, "a number that the column's type cannot hold exactly, or beyond float64"},
		{decode.BadTimestamp, "not an RFC 3339 timestamp, or one that cannot be represented"},
		{decode.BadDate, "not a date as YYYY-MM-DD"},
		{decode.BadBase64, "not base64, in a column of bytes"},
		{transform.CodeOverflow, "an expression's number is too large for its type"},
		{transform.CodeZero, "a division by zero"},
		{transform.CodeCast, "a value cannot be cast to the type that was asked for"},
		{transform.CodeArgument, "a function cannot work on this value"},
		{"partition_value_too_long", "a partition value is too long to be the name of a folder"},
	}
}
