package transform

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// Select keeps the named columns, in this order.
type Select struct{ Columns []string }

// Drop removes the named columns.
type Drop struct{ Columns []string }

// Rename gives columns other names; all pairs at once, so two columns can swap theirs.
type Rename struct{ Pairs []Pair }

// Pair is an old name and a new one.
type Pair struct{ From, To string }

// DropNulls removes the rows in which one of the named columns is null.
type DropNulls struct{ Columns []string }

// Kind is "select".
func (Select) Kind() string { return "select" }

// Kind is "drop".
func (Drop) Kind() string { return "drop" }

// Kind is "rename".
func (Rename) Kind() string { return "rename" }

// Kind is "drop_nulls".
func (DropNulls) Kind() string { return "drop_nulls" }

// project hands on some columns, perhaps under other names.
type project struct {
	base
	cols []int
}

func newProject(in *arrow.Schema, name string, cols []int, rename map[int]string) *project {
	p := &project{base: base{name: name}, cols: cols}
	var fields []arrow.Field
	for _, c := range cols {
		f := in.Field(c)
		if to, ok := rename[c]; ok {
			f.Name = to
		}
		fields = append(fields, f)
	}
	p.out.Schema = arrow.NewSchema(fields, nil)
	p.out.Cols = make([]*stream.Vec, len(cols))
	return p
}

// Apply shares the columns of b.
func (s *project) Apply(b *stream.Batch, emit stream.Emit) error {
	s.from(b)
	for i, c := range s.cols {
		s.out.Cols[i] = b.Cols[c]
	}
	return s.emit(b.Sel, emit)
}

// lookup finds the columns of a list, each of which may be named once.
func lookup(names []string, in *arrow.Schema) (cols []int, errs []*Error) {
	if len(names) == 0 {
		errs = append(errs, &Error{Code: CodeStep, Text: "no column is named here", Note: columns(in)})
	}
	for i, name := range names {
		path := fmt.Sprintf("[%d]", i)
		found := in.FieldIndices(name)
		switch {
		case len(found) == 0:
			e := noColumn(name, place{Len: len(name)}, in)
			if head, _, ok := cutPath(name); ok && e.Fix == "" && in.HasField(head) {
				e.Fix = "whole columns only; take fields out with a `set` step"
			}
			e.Path = path
			errs = append(errs, e)
		case slices.Contains(cols, found[0]):
			errs = append(errs, &Error{Path: path, Len: len(name), Code: CodeStep, Text: fmt.Sprintf("the column %q is named twice", name)})
		default:
			cols = append(cols, found[0])
		}
	}
	return cols, errs
}

// cutPath splits a.b or a[0] after its column.
func cutPath(s string) (head, rest string, ok bool) {
	for i := range len(s) {
		if s[i] == '.' || s[i] == '[' {
			return s[:i], s[i:], true
		}
	}
	return s, "", false
}

// Build checks the names. The Path of an error is the index in Columns: "[2]".
func (s Select) Build(in *arrow.Schema, name string, _ *Registry) (stream.Step, []*Error) {
	cols, errs := lookup(s.Columns, in)
	if len(errs) > 0 {
		return nil, errs
	}
	return newProject(in, name, cols, nil), nil
}

// Build checks the names, and that a column stays. The Path of an error is the index in Columns: "[2]".
func (s Drop) Build(in *arrow.Schema, name string, _ *Registry) (stream.Step, []*Error) {
	gone, errs := lookup(s.Columns, in)
	var cols []int
	for i := range in.NumFields() {
		if !slices.Contains(gone, i) {
			cols = append(cols, i)
		}
	}
	if len(errs) == 0 && len(cols) == 0 {
		errs = append(errs, &Error{Code: CodeStep, Text: "no column would be left", Note: columns(in)})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return newProject(in, name, cols, nil), nil
}

// Build checks the names, and that no two columns get one name. The Path of an error is the old name.
func (s Rename) Build(in *arrow.Schema, name string, _ *Registry) (stream.Step, []*Error) {
	var errs []*Error
	rename := map[int]string{}
	if len(s.Pairs) == 0 {
		errs = append(errs, &Error{Code: CodeStep, Text: "no column is named here", Note: columns(in)})
	}
	for _, p := range s.Pairs {
		found := in.FieldIndices(p.From)
		if len(found) == 0 {
			e := noColumn(p.From, place{Len: len(p.From)}, in)
			e.Path = p.From
			errs = append(errs, e)
			continue
		}
		if _, twice := rename[found[0]]; twice || p.To == "" {
			text := fmt.Sprintf("the column %q is renamed twice", p.From)
			if !twice {
				text = fmt.Sprintf("the column %q gets no name", p.From)
			}
			errs = append(errs, &Error{Path: p.From, Len: len(p.From), Code: CodeStep, Text: text})
			continue
		}
		rename[found[0]] = p.To
	}
	taken := map[string]string{}
	var cols []int
	for i, f := range in.Fields() {
		to := f.Name
		if r, ok := rename[i]; ok {
			to = r
		}
		if other, ok := taken[to]; ok {
			from := f.Name
			if _, ok := rename[i]; !ok {
				from = other
			}
			errs = append(errs, &Error{Path: from, Len: len(from), Code: CodeStep, Text: fmt.Sprintf("two columns would be called %q", to),
				Fix: "drop or rename the other one too"})
		}
		taken[to] = f.Name
		cols = append(cols, i)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return newProject(in, name, cols, rename), nil
}

type dropNulls struct {
	base
	cols []int
}

// Build checks the names. The columns have no nulls afterwards, and the schema says so.
func (s DropNulls) Build(in *arrow.Schema, name string, _ *Registry) (stream.Step, []*Error) {
	cols, errs := lookup(s.Columns, in)
	if len(errs) > 0 {
		return nil, errs
	}
	fields := slices.Clone(in.Fields())
	for _, c := range cols {
		fields[c].Nullable = false
	}
	return &dropNulls{base{name: name, out: stream.Batch{Schema: arrow.NewSchema(fields, nil)}}, cols}, nil
}

// Apply narrows the selection. The columns are those of b.
func (s *dropNulls) Apply(b *stream.Batch, emit stream.Emit) error {
	s.from(b)
	s.out.Cols = b.Cols
	sel := append(s.out.Sel[:0], b.Sel...)
	for _, c := range s.cols {
		v := b.Cols[c]
		if len(v.Valid) == 0 {
			continue
		}
		kept := sel[:0]
		for _, i := range sel {
			if v.Valid.Get(int(i)) {
				kept = append(kept, i)
			}
		}
		sel = kept
	}
	s.out.Sel = sel
	return emit(0, &s.out)
}
