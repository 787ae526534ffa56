package decode

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// Row is a format: it turns one value into one row. It keeps scratch memory and is used by one goroutine.
type Row interface {
	// Schema of the columns that Append fills, metadata columns not included.
	Schema() *arrow.Schema
	// Append adds one value to each of cols, which are in the schema's order, or returns why it cannot. After a fault the
	// columns may hold anything from their former length on; the caller truncates them. Nothing of value is kept.
	// value is never nil, but may be empty.
	Append(value []byte, cols []*stream.Vec) (Notes, *Fault)
}

const (
	// batchBytes bounds the columns of a batch, as stream.Batch.Full bounds what is held of the input.
	batchBytes = 64 << 20
	// measureEvery is how many bytes of input pass before the columns are measured again: often enough that wide or
	// deeply repeated schemas, whose nulls take more room than the input does, cannot run far over batchBytes.
	measureEvery = 4 << 10
)

type decoder struct {
	row    Row
	o      Options
	schema *arrow.Schema
	own    int // columns of row; the metadata columns follow
	meta   []metaColumn
	tally  tally
}

// New makes a decoder of row. It fails if a metadata column is called like another column, upper and lower case alike,
// and if null values shall become rows although a column is required.
func New(row Row, o Options) (stream.Decoder, error) {
	if fs := o.Validate(); len(fs) > 0 {
		return nil, fmt.Errorf("decode: %s: %s: %w", fs[0].Path, fs[0].Text, stream.ErrPermanent)
	}
	d := &decoder{row: row, o: o, own: row.Schema().NumFields(), meta: o.Metadata.columns()}
	fields := append([]arrow.Field(nil), row.Schema().Fields()...)
	seen := map[string]bool{}
	for _, f := range fields {
		seen[strings.ToLower(f.Name)] = true
		if o.NullValues == AsRow && !f.Nullable {
			return nil, stream.WithNext(fmt.Errorf("decode: null values cannot become rows: column %q is required: %w", f.Name, stream.ErrPermanent),
				"take the ! off the column's type, or set null_values to skip or dead_letter")
		}
	}
	for _, m := range d.meta {
		low := strings.ToLower(m.field.Name)
		if seen[low] {
			return nil, stream.WithNext(fmt.Errorf("decode: metadata column %q: there is a column of that name: %w", m.field.Name, stream.ErrPermanent),
				"give the metadata column another name; upper and lower case count as equal")
		}
		seen[low] = true
		fields = append(fields, m.field)
	}
	md := row.Schema().Metadata()
	d.schema = arrow.NewSchema(fields, &md)
	return d, nil
}

func (d *decoder) Schema() *arrow.Schema { return d.schema }

// Decode implements stream.Decoder. The bound on held input (Batch.Full) is left to the caller between raw batches:
// within one it would never change.
func (d *decoder) Decode(raw *stream.RawBatch, from int, into *stream.Batch) (int, error) {
	at := into.Hold(raw)
	size, unmeasured := columnsSize(into.Cols), 0
	i := from
	for ; i < len(raw.Records); i++ {
		if into.Rows+len(into.Raw.Bad) >= stream.BatchRows || size >= batchBytes {
			break
		}
		r := &raw.Records[i]
		if r.Value == nil && d.o.NullValues == Skip {
			into.Raw.Skipped++
			continue
		}
		o := stream.Origin{Raw: at, Record: int32(i)} //nolint:gosec // a raw batch is far below 2^31 records
		if f := d.append(raw, r, into.Cols); f != nil {
			for _, c := range into.Cols {
				c.Truncate(into.Rows)
			}
			into.Raw.Bad = append(into.Raw.Bad, stream.BadRow{Origin: o, Step: "decode", Column: f.Column, Code: f.Code, Reason: f.Reason})
			continue
		}
		into.Rows++
		into.Origin = append(into.Origin, o)
		if unmeasured += len(r.Value) + 8*len(into.Cols); unmeasured >= measureEvery {
			size, unmeasured = columnsSize(into.Cols), 0
		}
	}
	d.tally.flush(d.o.Metrics)
	return i, nil
}

func (d *decoder) append(raw *stream.RawBatch, r *stream.Record, cols []*stream.Vec) *Fault {
	if f := d.tooLarge(r); f != nil {
		return f
	}
	var notes Notes
	switch {
	case r.Value != nil:
		var f *Fault
		if notes, f = d.row.Append(r.Value, cols[:d.own:d.own]); f != nil {
			return f
		}
	case d.o.NullValues == AsRow:
		for _, c := range cols[:d.own] {
			c.AppendNull()
		}
	default:
		return &Fault{Code: NullValue, Reason: "the value is null, and null_values is dead_letter"}
	}
	for i := range d.meta {
		if f := d.meta[i].append(cols[d.own+i], raw, r); f != nil {
			return f
		}
	}
	if notes != 0 {
		d.tally.add(notes)
	}
	return nil
}

func (d *decoder) tooLarge(r *stream.Record) *Fault {
	size := len(r.Key) + len(r.Value)
	if len(r.Headers) > 0 {
		if len(r.Headers) > maxHeaders {
			return &Fault{Code: TooLarge, Reason: fmt.Sprintf("%d headers; at most %d are taken", len(r.Headers), maxHeaders)}
		}
		for i := range r.Headers {
			size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
		}
	}
	if int64(size) > int64(d.o.MaxRecordSize) {
		return &Fault{Code: TooLarge, Reason: fmt.Sprintf("%d bytes, over max_record_size (%s)", size, d.o.MaxRecordSize)}
	}
	return nil
}

func columnsSize(cols []*stream.Vec) (n int64) {
	for _, c := range cols {
		n += c.Size()
	}
	return n
}
