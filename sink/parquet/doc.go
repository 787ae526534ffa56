// Package parquet turns Arrow columns into the bytes of Parquet files.
//
// An Encoder copies the selected rows of each batch into columns of its own, and when these have the size of a row group
// it encodes them and hands the bytes to its writer at once, so that a file leaves while it grows. What is held is the
// rows of one row group, in Arrow's layout; Buffered counts their capacity, which is the memory that they really take. Flush
// ends a row group early when memory is short. A row group that has ended gives its memory back to the Format, from which
// the columns of all its files grow.
//
// # Layout
//
// Types are what every reader of the last ten years understands, with the legacy converted type beside the logical one:
//
//	string                 BYTE_ARRAY, UTF8
//	binary                 BYTE_ARRAY
//	date32                 INT32, DATE
//	timestamp[us, UTC]     INT64, TIMESTAMP_MICROS, adjusted to UTC; not adjusted when the Arrow type has no zone
//	decimal(p, s)          INT32 up to 9 digits, INT64 up to 18, else FIXED_LEN_BYTE_ARRAY of the least length
//	list                   three levels: list, element
//	map                    three levels: key_value, key (required), value
//	struct                 a group
//
// A nullable Arrow field is optional, another one required; a null in a required column is an error, never a zero. Field
// ids come from the Arrow metadata key PARQUET:field_id, at every depth. Every column chunk has statistics and a page
// index. A column is dictionary-encoded if a sample of its first row group repeats itself.
//
// # Trust
//
// Close reads back the footer that it has just written and compares it with what was encoded, before anybody can commit
// the file. Uploading, naming and publishing files is left to packages sink and sink/object.
package parquet
