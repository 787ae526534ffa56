// Package decode is what all decoders of single records share: they turn one record's value into one row, and this
// package does the rest.
//
// A format is a Row: it appends one value to columns and knows nothing of batches, offsets or policies. New wraps it
// into a stream.Decoder, which fills a batch across raw batches, leaves out or dead-letters null values, refuses
// records over the size limit before a byte of them is looked at, adds the metadata columns, and takes back from every
// column what a record that failed half-way had appended already.
//
// Every record ends as exactly one of: a row, a bad row, a skipped null value. What happens to bad rows (dead_letter,
// drop or fail) is decided by the lane, not here. Nothing is allocated per good record.
package decode
