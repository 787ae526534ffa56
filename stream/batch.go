package stream

import "github.com/apache/arrow-go/v18/arrow"

// BatchRows is the most rows that a batch holds: its columns stay in one core's cache on the whole way.
const BatchRows = 8192

// batchBytes bounds a batch of very large records, so that its column offsets (int32) cannot overflow.
const batchBytes = 64 << 20

// Batch is what flows from the decoder to the sinks: columns, and a selection of the rows that are still in.
//
// A batch is lent, never given: it is valid until the call that it was handed to returns. Who keeps rows copies them
// (Vec.AppendRows). So every buffer is reused and nothing is counted, freed or allocated per batch. Steps may share
// columns between batches, and never change a column that they were handed.
type Batch struct {
	Schema *arrow.Schema
	Cols   []*Vec  // one a field of Schema, each with Rows rows
	Rows   int     // rows in the columns, selected or not
	Sel    []int32 // rows that are in, ascending; never nil once decoding is done, may be empty
	Time   Micros  // batch_time(): one value per transaction
	Origin []Origin
	Raw    *RawSet // shared by all batches made from one decoding
}

// Origin says which record a row was made of.
type Origin struct {
	Raw    int32 // index in RawSet.Batches
	Record int32 // index in its Records
}

// RawSet holds the raw batches that a batch was decoded from, until Release, and the rows found bad on the way.
type RawSet struct {
	Batches []*RawBatch
	Bad     []BadRow
	Skipped int64 // null values left out by source.null_values: skip, and nothing else
}

// BadRow is a record that became a dead letter instead of a row.
type BadRow struct {
	Origin
	Step   string // "decode", or the step's name and number
	Column string // empty: the record as a whole
	Code   string // closed set of words, label of millrace_dead_letter_records_total
	Reason string // for people; names the value and what was wrong with it
}

// NewBatch returns an empty batch with columns for schema.
func NewBatch(schema *arrow.Schema) *Batch {
	b := &Batch{Schema: schema, Raw: &RawSet{}}
	for _, f := range schema.Fields() {
		b.Cols = append(b.Cols, NewVec(f.Type))
	}
	return b
}

// Full tells whether a decoder must stop appending. Bad rows count too: raw batches are held for them.
func (b *Batch) Full() bool {
	if b.Rows+len(b.Raw.Bad) >= BatchRows {
		return true
	}
	var raw int64
	for _, r := range b.Raw.Batches {
		raw += r.Bytes
	}
	return raw >= batchBytes && (b.Rows > 0 || len(b.Raw.Bad) > 0 || b.Raw.Skipped > 0)
}

// Hold adds raw to the batches that this one is decoded from and returns its index for Origin.Raw. The batch owns raw's
// release from now on only as far as the caller says so: see Reset.
func (b *Batch) Hold(raw *RawBatch) int32 {
	for i, r := range b.Raw.Batches {
		if r == raw {
			return int32(i) //nolint:gosec // at most BatchRows
		}
	}
	b.Raw.Batches = append(b.Raw.Batches, raw)
	return int32(len(b.Raw.Batches) - 1) //nolint:gosec // at most BatchRows
}

// SelectAll puts every row of the columns into the selection, in the batch's own buffer.
func (b *Batch) SelectAll() {
	b.Sel = b.Sel[:0]
	for i := range b.Rows {
		b.Sel = append(b.Sel, int32(i)) //nolint:gosec // at most BatchRows
	}
}

// Reject marks row as a dead letter. The caller takes it out of the selection.
func (b *Batch) Reject(row int32, step, column, code, reason string) {
	b.Raw.Bad = append(b.Raw.Bad, BadRow{b.Origin[row], step, column, code, reason})
}

// Record is the raw batch and the record that o names.
func (s *RawSet) Record(o Origin) (*RawBatch, *Record) {
	r := s.Batches[o.Raw]
	return r, &r.Records[o.Record]
}

// Reset empties the batch for the next filling and keeps its memory. Raw batches are dropped, not released: whoever read
// them knows whether all of their records were decoded.
func (b *Batch) Reset() {
	for _, c := range b.Cols {
		c.Reset()
	}
	b.Rows, b.Sel, b.Origin = 0, b.Sel[:0], b.Origin[:0]
	clear(b.Raw.Batches)
	b.Raw.Batches, b.Raw.Bad, b.Raw.Skipped = b.Raw.Batches[:0], b.Raw.Bad[:0], 0
}
