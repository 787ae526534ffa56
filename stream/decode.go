package stream

import "github.com/apache/arrow-go/v18/arrow"

// Decoder turns records into rows of one schema. It keeps scratch memory and is used by one goroutine.
type Decoder interface {
	// Schema of the rows, metadata columns included.
	Schema() *arrow.Schema
	// Decode appends the records of raw from number from on to into, until it is full, and returns the number of the next
	// record to decode: len(raw.Records) when all are in. Every record ends as one row, as one entry of into.Raw.Bad, or as
	// one of into.Raw.Skipped. It sets Rows and Origin, and leaves Sel to the caller. An error is a broken decoder (a
	// registry that is away), never bad data.
	Decode(raw *RawBatch, from int, into *Batch) (next int, err error)
}
