package parquet

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/millrace/millrace/stream"
)

// createdBy has the form that parquet-mr can parse: it mistrusts the statistics of any other.
const createdBy = "millrace version 0.1.0"

// Format makes the encoders of one table's files. It compiles a schema once for all of them and is safe for concurrent
// use.
type Format struct {
	opts    Options
	codec   codec
	scratch sync.Pool
	slabs   slabs

	mu   sync.Mutex
	last *layout
}

// NewFormat returns a format with options that have passed Validate; others are refused.
func NewFormat(o Options) (*Format, error) {
	c, ok := o.codec()
	if faults := o.Validate(); !ok || len(faults) > 0 {
		return nil, stream.WithNext(fmt.Errorf("parquet: %s: %s: %w", faults[0].Path, faults[0].Text, stream.ErrPermanent), "%s", faults[0].Fix)
	}
	return &Format{opts: o, codec: c, scratch: sync.Pool{New: func() any { return newScratch() }}}, nil
}

// layout of s, from the last call where possible: a table's files have one schema until it evolves.
func (f *Format) layout(s *arrow.Schema) (*layout, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil && f.last.schema == s {
		return f.last, nil
	}
	l, err := compile(s)
	if err != nil {
		return nil, err
	}
	f.last = l
	return l, nil
}

// NewEncoder begins a file of rows of schema s, written to w. Nothing is written before the first row group ends.
func (f *Format) NewEncoder(s *arrow.Schema, w io.Writer) (stream.Encoder, error) {
	l, err := f.layout(s)
	if err != nil {
		return nil, err
	}
	e := &Encoder{format: f, layout: l, out: output{w: w}}
	for _, field := range s.Fields() {
		e.cols = append(e.cols, stream.NewVec(field.Type))
	}
	return e, nil
}

// NewEncoder begins one file; see Format for many.
func NewEncoder(s *arrow.Schema, w io.Writer, o Options) (stream.Encoder, error) {
	f, err := NewFormat(o)
	if err != nil {
		return nil, err
	}
	return f.NewEncoder(s, w)
}

var _ stream.Encoder = (*Encoder)(nil)

// Encoder makes one Parquet file. It is used by one goroutine. After an error it is of no further use.
type Encoder struct {
	format *Format
	layout *layout
	out    output
	writer *file.Writer // from the end of the first row group on
	cols   []*stream.Vec
	n      int   // rows in cols
	held   int64 // capacity of cols
	rows   int64 // of the whole file
	groups int
}

// Write appends the selected rows of b, whose columns are those of the encoder's schema, in its order. When the row group
// is full it is encoded and written.
func (e *Encoder) Write(b *stream.Batch) error {
	if len(b.Sel) == 0 {
		return nil
	}
	var size, held int64
	for i, c := range e.cols {
		e.format.slabs.reserve(c, b.Cols[i], b.Sel)
		c.AppendRows(b.Cols[i], b.Sel)
		s, h := measure(c)
		size += s
		held += h
	}
	e.n += len(b.Sel)
	e.held = held
	if size >= int64(e.format.opts.RowGroup.Size) || e.format.opts.RowGroup.Rows > 0 && int64(e.n) >= e.format.opts.RowGroup.Rows {
		return e.flush()
	}
	return nil
}

// measure is the number of bytes that v's rows take, and that its memory can take.
func measure(v *stream.Vec) (size, held int64) {
	const dec = int(unsafe.Sizeof(decimal128.Num{}))
	size = v.Size()
	held = int64(cap(v.Valid) + cap(v.Bits) + 4*cap(v.I32) + 8*cap(v.I64) + 8*cap(v.F64) + dec*cap(v.Dec) + 4*cap(v.Offsets) + cap(v.Bytes))
	for _, k := range v.Kids {
		_, h := measure(k)
		held += h
	}
	return size, held
}

// Flush ends the row group early and gives the memory of its rows back.
func (e *Encoder) Flush() error {
	if e.n == 0 {
		return nil
	}
	return e.flush()
}

// Buffered is the memory of the rows that are not encoded yet, with the room that their columns have to grow.
func (e *Encoder) Buffered() int64 {
	if e.cols == nil {
		return 0
	}
	return e.held + e.layout.base
}

// Written is the number of bytes that went to the writer.
func (e *Encoder) Written() int64 { return e.out.n }

// open starts the file, once its first rows have shown which columns repeat.
func (e *Encoder) open(s *scratch) error {
	p := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_LATEST), parquet.WithCreatedBy(createdBy), parquet.WithStats(true), parquet.WithPageIndexEnabled(true),
		parquet.WithCompression(e.format.codec.kind), parquet.WithCompressionLevel(e.format.codec.level), parquet.WithDictionaryDefault(false),
	}
	for i := range e.layout.leaves {
		lf := &e.layout.leaves[i]
		if s.repeats(lf, e.cols[lf.col]) {
			p = append(p, parquet.WithDictionaryFor(lf.path, true))
		}
	}
	w, err := file.NewParquetWriterWithError(&e.out, e.layout.root, file.WithWriterProps(parquet.NewWriterProperties(p...)))
	e.writer = w
	return e.out.cause(err)
}

// flush encodes the rows held as one row group.
func (e *Encoder) flush() error {
	s := e.format.scratch.Get().(*scratch)
	defer func() { s.at = nil; e.format.scratch.Put(s) }()
	if e.writer == nil {
		if err := e.open(s); err != nil {
			return err
		}
	}
	if e.n == 0 {
		return nil
	}
	if err := e.rowGroup(s); err != nil {
		return e.out.cause(err)
	}
	e.release()
	e.rows += int64(e.n)
	e.n = 0
	e.groups++
	return nil
}

// release gives the columns' memory back, for other files' rows.
func (e *Encoder) release() {
	for _, c := range e.cols {
		e.format.slabs.release(c)
	}
	e.held = 0
}

func (e *Encoder) rowGroup(s *scratch) error {
	rg, err := e.writer.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	for i := range e.layout.leaves {
		lf := &e.layout.leaves[i]
		w, err := rg.NextColumn()
		if err != nil {
			return err
		}
		if err := s.write(w, lf, e.cols[lf.col], e.n); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return rg.Close()
}

// Close writes the rows that are left and the footer with meta in it, checks the footer, and gives all memory back.
func (e *Encoder) Close(meta map[string]string) (int64, error) {
	defer func() { e.cols, e.writer, e.out.tail = nil, nil, nil }()
	if err := e.flush(); err != nil {
		return 0, err
	}
	e.cols = nil
	keys := make([]string, 0, len(meta))
	for k := range meta {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := e.writer.AppendKeyValueMetadata(k, meta[k]); err != nil {
			return 0, err
		}
	}
	e.out.keep = true
	if err := e.writer.Close(); err != nil {
		return 0, e.out.cause(err)
	}
	if e.out.err != nil {
		return 0, e.out.err
	}
	return e.rows, e.check()
}
