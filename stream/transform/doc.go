// Package transform computes on batches: SQL scalar expressions over columns, and the steps that are made of them.
//
// A text is read (package syntax), checked against the input schema and turned into a tree of nodes with kernels, all when
// a pipeline is built: an unknown column, types that do not go together or a misspelt function is an Error with its place,
// before anything starts. What is left for a batch is loops over columns. A node computes the rows of a selection into a
// column of its own, which it keeps from batch to batch, so that nothing is allocated per record once the largest batch has
// been seen. Filter narrows the selection; Set makes new columns and shares the others; no step changes what it was handed.
//
// # Types
//
// A value is widened without a word: int32 to int64 to decimal to float64, date to timestamp (midnight UTC), NULL to
// anything. Everything else needs a CAST; strings are never compared with numbers or times. int32 counts as decimal(10,0),
// int64 as decimal(20,0), a constant integer as a decimal of just its digits. Whole literals are int32, int64 or
// decimal(n,0), whichever holds them first; with a point they are decimals of just their digits, with an exponent float64.
//
//   - + - * %: integers stay integers; a float64 makes a float64; decimals have the precision and scale of Spark, see
//     package decimal. / of integers is a float64. % has the sign of its left side.
//   - CAST to a decimal or to fewer digits rounds half away from zero; of a decimal or float64 to an integer it cuts
//     towards zero. Strings become numbers if they are [+-]digits[.digits][e[+-]digits] and nothing else, bools if they
//     are true or false, dates if they are YYYY-MM-DD, timestamps if they are RFC 3339 with an offset (digits beyond the
//     microsecond are cut off). Numbers become timestamps by from_unix_seconds or from_unix_millis only.
//   - Comparisons of float64: NaN equals NaN and is larger than any number, -0 equals 0; an integer or decimal is made a
//     float64 first. Of strings and bytes: by bytes. Of decimals: exact, whatever their scales.
//   - TIMESTAMP '…' without an offset is UTC. All functions of time count in UTC.
//
// # Nulls
//
// Logic has three values. Operators and functions give NULL if an argument is NULL, unless their line says otherwise. An
// element that a list does not have and a key that a map does not have are NULL.
//
// # Bad rows
//
// A row that cannot be computed (an integer or decimal overflow, a division by zero, a failed cast, an argument that makes
// no sense) is a dead letter with its reason, never a silent NULL: in Set with the name of the column, in Filter as a whole.
// TRY_CAST gives NULL where CAST would fail. AND, OR, CASE, if, coalesce and IN look at their parts from left to right, and
// compute each for those rows only that need it: `d <> 0 AND n / d > 1` never divides by zero. A constant that cannot be
// computed, such as 1 / 0, is an Error wherever it stands.
package transform
