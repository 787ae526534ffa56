// Package generate makes records of invented orders: for the demo, for tests and for benchmarks.
//
// A record depends on nothing but the seed, the options and its number, so that whoever reads a table can say what must
// be in it: Expect tells what becomes of a record, and Order what its columns hold, both without looking at the bytes.
package generate
