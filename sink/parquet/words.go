package parquet

import (
	"bytes"
	"hash/maphash"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/millrace/millrace/stream"
)

// Bounds of a dictionary made here. A column with more than that is left to the library, which allocates for every value
// but gives its dictionary up when it grows too large.
const (
	maxWords     = 1 << 15
	maxWordBytes = 1 << 20
)

// wordRows is how many rows are written at a time: exactly one of the library's batches, so that a page never ends within
// what its statistics have already been told of.
const wordRows = 1024

// pageBytes of raw values end a page. The library does not count values that come as indices.
const pageBytes = 1 << 20

// words is a row group's dictionary of one column. The library's own takes a heap allocation per value, this one none.
type words struct {
	table []int32 // open-addressed: number of a word + 1; 0: empty
	first []int32 // per word the row where it was first seen
	ids   []int32 // per row its word; 0 under a null
	mark  []int32 // per word the last run of rows that had it, for statistics
	dict  *stream.Vec
}

// number gives every row of v its word. It answers false when there are too many of them.
func (d *words) number(seed maphash.Seed, v *stream.Vec, n int) bool {
	size := 1 << bits.Len(uint(2*min(n, maxWords))) //nolint:gosec // positive
	if cap(d.table) < size {
		d.table = make([]int32, size)
	}
	d.table = d.table[:size]
	clear(d.table)
	d.first, d.ids = d.first[:0], d.ids[:0]
	total := 0
	for i := range n {
		if v.IsNull(i) {
			d.ids = append(d.ids, 0)
			continue
		}
		x := v.BytesAt(i)
		at := int(maphash.Bytes(seed, x) & uint64(size-1)) //nolint:gosec // below size
		for d.table[at] != 0 && !bytes.Equal(v.BytesAt(int(d.first[d.table[at]-1])), x) {
			at = (at + 1) & (size - 1)
		}
		if d.table[at] == 0 {
			if total += len(x); len(d.first) == maxWords || total > maxWordBytes {
				return false
			}
			d.first = append(d.first, int32(i)) //nolint:gosec // a row group has fewer than 2^31 rows
			d.table[at] = int32(len(d.first))   //nolint:gosec // at most maxWords
		}
		d.ids = append(d.ids, d.table[at]-1)
	}
	return true
}

// array is the dictionary itself.
func (d *words) array(v *stream.Vec) arrow.Array {
	if d.dict == nil {
		d.dict = stream.NewVec(arrow.BinaryTypes.Binary)
	}
	d.dict.Reset()
	for _, i := range d.first {
		d.dict.AppendBytes(v.BytesAt(int(i)))
	}
	return d.dict.Arrow()
}

// writeWords encodes the first n rows of a flat column as indices of a dictionary. It answers false, and has written
// nothing, if that is not for this column.
func (s *scratch) writeWords(w *file.ByteArrayColumnChunkWriter, lf *leaf, v *stream.Vec, n int) (bool, error) {
	enc, ok := w.CurrentEncoder().(interface {
		PutDictionary(values arrow.Array) error
	})
	nulls := v.Nulls()
	if !ok || nulls > 0 && !lf.steps[0].optional || !s.number(s.seed, v, n) {
		return false, nil
	}
	dict := s.words.array(v)
	defer dict.Release()
	if err := enc.PutDictionary(dict); err != nil {
		return true, err
	}
	s.mark = append(s.mark[:0], make([]int32, len(s.first))...)
	raw := 0
	for from := 0; from < n; from += wordRows {
		to := min(from+wordRows, n)
		present := s.wordLevels(lf, v, from, to, nulls > 0)
		raw += s.wordStatistics(w, v, from, to, present)
		if err := s.writeIndices(w, v, from, to, present, nulls > 0); err != nil {
			return true, err
		}
		if raw >= pageBytes && to < n {
			raw = 0
			if err := w.FlushCurrentPage(); err != nil {
				return true, err
			}
		}
	}
	return true, nil
}

// wordLevels sets def for the rows and counts those that have a value.
func (s *scratch) wordLevels(lf *leaf, v *stream.Vec, from, to int, nulls bool) (present int) {
	s.def = s.def[:0]
	if !lf.steps[0].optional {
		return to - from
	}
	if !nulls {
		s.def = append(s.def, s.ones[:to-from]...)
		return to - from
	}
	for i := from; i < to; i++ {
		level := int16(0)
		if v.Valid.Get(i) {
			level = 1
			present++
		}
		s.def = append(s.def, level)
	}
	return present
}

// wordStatistics tells the page's statistics of the rows, each word once, and returns the bytes of their values.
func (s *scratch) wordStatistics(w *file.ByteArrayColumnChunkWriter, v *stream.Vec, from, to, present int) (raw int) {
	run := int32(from/wordRows + 1) //nolint:gosec // far below 2^31
	s.bytes = s.bytes[:0]
	for i := from; i < to; i++ {
		if v.IsNull(i) {
			continue
		}
		x := v.BytesAt(i)
		raw += len(x) + 4
		if id := s.ids[i]; s.mark[id] != run {
			s.mark[id] = run
			s.bytes = append(s.bytes, parquet.ByteArray(x))
		}
	}
	if st, ok := w.PageStatistics().(*metadata.ByteArrayStatistics); ok && st != nil {
		st.Update(s.bytes, int64(to-from-present))
		st.IncNumValues(int64(present - len(s.bytes)))
	}
	return raw
}

// writeIndices writes the rows' indices; from is a multiple of 8, so the column's own bits serve as the indices' validity.
func (s *scratch) writeIndices(w *file.ByteArrayColumnChunkWriter, v *stream.Vec, from, to, present int, nulls bool) error {
	var valid *memory.Buffer
	if nulls {
		valid = memory.NewBufferBytes(v.Valid[from/8:])
	}
	values := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(s.ids[from:to]))
	data := array.NewData(arrow.PrimitiveTypes.Int32, to-from, []*memory.Buffer{valid, values}, nil, to-from-present, 0)
	defer data.Release()
	indices := array.NewInt32Data(data)
	defer indices.Release()
	def := s.def
	if len(def) == 0 {
		def = nil
	}
	return w.WriteDictIndices(indices, def, nil)
}
