// Package json decodes JSON objects by a schema, straight from bytes into columns, in one pass.
//
// It is strict: a record is RFC 8259 JSON from its first byte to its last, in what is skipped too, or it is a dead
// letter. Going from left to right the first fault is the one reported; what is missing is found at an object's end. A
// value of the wrong kind is read to its end first, so that broken JSON is called that.
//
//   - White space may stand before and after the object, and nothing else. A byte-order mark in front is stripped.
//   - Objects, arrays and strings nest up to MaxDepth.
//   - Keys are compared after unescaping, exactly. A key that comes twice in an object is a fault wherever that object
//     is, unless duplicate_keys is last_wins.
//   - Text is valid UTF-8, and surrogates come in pairs, unless invalid_utf8 is replace: then every invalid byte and
//     every half of a pair becomes U+FFFD.
//   - null and a missing key are null; in a required column they are a fault. Elements and map values may be null if
//     their type allows it.
//
// How values become columns:
//
//	string     a string, never a number or bool
//	bool       true or false
//	int32      a number that is whole in value, however it is written: 100, 1e2 and 100.0; -0 is 0
//	int64      likewise; also the same text in a string, as producers quote what JavaScript would round
//	decimal    a number, or its text in a string, exact: zeros behind the scale are cut, other digits are a fault
//	float64    a number, rounded correctly, -0 kept; beyond the range is a fault, and so is a number written whole that
//	           changes by rounding, such as 2^53+1. Tiny numbers become 0, as IEEE 754 has it.
//	date       a string YYYY-MM-DD, years 0001 to 9999
//	timestamp  an RFC 3339 string: T, t or a blank between date and time, any number of fraction digits, cut to
//	           microseconds, and always Z or an offset. Years 0001 to 9999 in UTC; second 60 cannot be represented. A
//	           number is a fault: whether it counts seconds or milliseconds is not guessed.
//	bytes      a string of base64, standard alphabet, padded
//	struct     an object
//	list       an array
//	map        an object, all of whose keys are data
package json
