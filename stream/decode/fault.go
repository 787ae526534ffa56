package decode

// Fault says why a value became no row. It is reused by the Row that returns it: copy what is kept.
type Fault struct {
	Column string // dotted path of the column, [] for the elements of a list or map; empty: the record as a whole
	Code   string // one of the codes below
	Reason string // for people
}

// The codes of decoding, a closed set: they are labels of metrics and stand in the dead-letter table.
//
//	null_value        the value is null, and source.null_values is dead_letter
//	too_large         over source.max_record_size, too many headers, or far too many values for its size
//	empty_value       a value of no bytes, where the format needs some
//	bad_json          not JSON by RFC 8259; the reason names the byte
//	too_deep          JSON nested deeper than the limit
//	bad_utf8          invalid UTF-8, or half of a surrogate pair
//	duplicate_key     one key twice in a JSON object
//	extra_field       a key that is not in the schema, and extra_fields is dead_letter
//	missing_required  a required column is missing or null
//	wrong_type        a value of another kind than the column's, or a fraction where a whole number belongs
//	out_of_range      a number that the column's type cannot hold exactly, or beyond float64
//	bad_timestamp     not an RFC 3339 timestamp, or one outside the years 0001 to 9999
//	bad_date          not a date as YYYY-MM-DD
//	bad_base64        not base64, in a column of bytes
const (
	NullValue       = "null_value"
	TooLarge        = "too_large"
	EmptyValue      = "empty_value"
	BadJSON         = "bad_json"
	TooDeep         = "too_deep"
	BadUTF8         = "bad_utf8"
	DuplicateKey    = "duplicate_key"
	ExtraField      = "extra_field"
	MissingRequired = "missing_required"
	WrongType       = "wrong_type"
	OutOfRange      = "out_of_range"
	BadTimestamp    = "bad_timestamp"
	BadDate         = "bad_date"
	BadBase64       = "bad_base64"
)

// Notes is what was found odd in a record and accepted by policy, as a set of bits. Each is counted.
type Notes uint8

// The notes.
const (
	ByteOrderMark  Notes = 1 << iota // stripped
	ExtraIgnored                     // a key that is not in the schema
	TextReplaced                     // invalid UTF-8 became U+FFFD
	DuplicateTaken                   // of two equal keys the last was taken
	noteKinds      = iota
)
