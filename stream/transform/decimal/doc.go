// Package decimal computes with decimal(precision, scale) numbers of at most 38 digits: exactly, and without allocating.
//
// A number is its unscaled value, 128 bits wide; precision and scale belong to its column. Wherever digits have to go, the
// last one that stays is rounded half away from zero (12.345 becomes 12.35). A value that does not fit its precision is
// reported to the caller, never cut.
//
// The precision and scale of results are those of Spark with precision loss allowed, so that a job that moves here keeps
// its types: see the Type functions.
package decimal
