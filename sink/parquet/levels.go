package parquet

import (
	"fmt"

	"github.com/millrace/millrace/stream"
)

// levels is one leaf's share of a run of rows in Parquet's terms: for every value, null or empty list a definition and a
// repetition level, and for every present value its row in the leaf's column. Its slices are reused.
type levels struct {
	def, rep []int16
	idx      []int32
	at       *stream.Vec // the leaf's column

	// The entries of the step being taken, and those of the next: the row in the current column, or -1 when a null or an
	// empty list further up has ended them.
	row, nextRow     []int32
	nextDef, nextRep []int16
}

// expand fills l for the rows [from, to) of v. Levels: Parquet format, nested encoding (Dremel).
func (l *levels) expand(lf *leaf, v *stream.Vec, from, to int) error {
	l.def, l.rep, l.row = l.def[:0], l.rep[:0], l.row[:0]
	for i := from; i < to; i++ {
		l.row = append(l.row, int32(i)) //nolint:gosec // a row group has fewer than 2^31 rows
		l.def = append(l.def, 0)
		l.rep = append(l.rep, 0)
	}
	depth := int16(0) // repetition level of the innermost list so far
	for k := range lf.steps {
		s := &lf.steps[k]
		if err := l.presence(s, v); err != nil {
			return fmt.Errorf("parquet: column %q: %w", lf.path, err)
		}
		if k == len(lf.steps)-1 {
			break
		}
		if s.list {
			depth++
			l.elements(v, depth)
			v = v.Kids[0]
			continue
		}
		v = v.Kids[s.kid]
	}
	l.at = v
	l.idx = l.idx[:0]
	for _, i := range l.row {
		if i >= 0 {
			l.idx = append(l.idx, i)
		}
	}
	return nil
}

// presence raises the definition level of the entries that are there, and ends those that are null.
func (l *levels) presence(s *step, v *stream.Vec) error {
	if len(v.Valid) == 0 {
		if s.optional {
			for j, i := range l.row {
				if i >= 0 {
					l.def[j]++
				}
			}
		}
		return nil
	}
	for j, i := range l.row {
		switch {
		case i < 0:
		case v.Valid.Get(int(i)):
			if s.optional {
				l.def[j]++
			}
		case !s.optional:
			return stream.WithNext(fmt.Errorf("null where %q is required: %w", s.name, stream.ErrPermanent),
				"declare the column without `!`, or remove such rows with drop_nulls before the sink")
		default:
			l.row[j] = -1
		}
	}
	return nil
}

// elements replaces every list by its elements; an empty one stays as one entry that has ended.
func (l *levels) elements(v *stream.Vec, depth int16) {
	l.nextRow, l.nextDef, l.nextRep = l.nextRow[:0], l.nextDef[:0], l.nextRep[:0]
	for j, i := range l.row {
		if i < 0 || v.Offsets[i] == v.Offsets[i+1] {
			l.nextRow = append(l.nextRow, -1)
			l.nextDef = append(l.nextDef, l.def[j])
			l.nextRep = append(l.nextRep, l.rep[j])
			continue
		}
		rep := l.rep[j]
		for e := v.Offsets[i]; e < v.Offsets[i+1]; e++ {
			l.nextRow = append(l.nextRow, e)
			l.nextDef = append(l.nextDef, l.def[j]+1)
			l.nextRep = append(l.nextRep, rep)
			rep = depth
		}
	}
	l.row, l.nextRow = l.nextRow, l.row
	l.def, l.nextDef = l.nextDef, l.def
	l.rep, l.nextRep = l.nextRep, l.rep
}
