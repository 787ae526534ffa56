package transform

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// Builder makes a step for an input schema. A configuration is checked by building its steps one after the other, each on
// the schema of the one before; every lane builds its own.
type Builder interface {
	// Kind is the step's word in configurations: filter, set, …
	Kind() string
	// Build returns the step, or every fault that was found. name stands in the dead letters of its rows.
	Build(in *arrow.Schema, name string, r *Registry) (stream.Step, []*Error)
}

// base is what all steps share: their name, and the batch that they hand on.
type base struct {
	name string
	out  stream.Batch
}

func (s *base) Ports() []stream.Port { return []stream.Port{{Schema: s.out.Schema}} }

// from takes over everything of b but columns and selection.
func (s *base) from(b *stream.Batch) {
	s.out.Rows, s.out.Time, s.out.Origin, s.out.Raw = b.Rows, b.Time, b.Origin, b.Raw
	if s.out.Sel == nil {
		s.out.Sel = make([]int32, 0, stream.BatchRows)
	}
}

// reject gives the rows that failed to b.Reject and returns sel without them, in the memory of buf.
func reject(c *ctx, b *stream.Batch, step, column string, buf *[]int32, sel []int32) []int32 {
	if len(c.errs) == 0 {
		return sel
	}
	for _, e := range c.errs {
		b.Reject(e.row, step, column, e.code, e.reason)
	}
	*buf = c.survivors((*buf)[:0], sel)
	c.clear()
	return *buf
}

// emit hands the batch on, with a selection that nobody else has.
func (s *base) emit(sel []int32, emit stream.Emit) error {
	s.out.Sel = append(s.out.Sel[:0], sel...)
	return emit(0, &s.out)
}

// Filter keeps the rows for which Expr is true. Where it is false or NULL, the row leaves.
type Filter struct{ Expr string }

// Kind is "filter".
func (Filter) Kind() string { return "filter" }

type filter struct {
	base
	cond node
	ctx  ctx
}

// Build checks that Expr is a condition.
func (f Filter) Build(in *arrow.Schema, name string, r *Registry) (stream.Step, []*Error) {
	k := &checker{text: f.Expr, schema: in}
	n, errs := compile(f.Expr, in, r, false)
	if len(errs) == 0 {
		n = k.condition(n, syntax.Place{Len: len(f.Expr)}, "filter")
		errs = k.errs
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &filter{base: base{name: name, out: stream.Batch{Schema: in}}, cond: n}, nil
}

// Apply narrows the selection. The columns are those of b.
func (s *filter) Apply(b *stream.Batch, emit stream.Emit) error {
	s.from(b)
	s.out.Cols = b.Cols
	s.ctx.begin(b)
	v := s.cond.eval(&s.ctx, b.Sel)
	sel := s.out.Sel[:0]
	if v.null == nil {
		for _, i := range b.Sel {
			if v.b[i] {
				sel = append(sel, i)
			}
		}
	} else {
		for _, i := range b.Sel {
			if v.b[i] && !v.null[i] {
				sel = append(sel, i)
			}
		}
	}
	s.out.Sel = sel
	reject(&s.ctx, b, s.name, "", &s.out.Sel, sel)
	return emit(0, &s.out)
}

// Assign is one column that Set computes.
type Assign struct{ Name, Expr string }

// Set computes columns: new ones go to the end, those that exist are replaced where they are. All of its expressions see
// the columns as they came in, never each other's results.
type Set struct{ Assigns []Assign }

// Kind is "set".
func (Set) Kind() string { return "set" }

type set struct {
	base
	ctx   ctx
	items []setItem
	sel   []int32
}

type setItem struct {
	name string
	at   int // column of the result
	k    kind
	expr node
	vec  *stream.Vec
}

// Build checks all expressions. The Path of an error is the name of the column.
func (s Set) Build(in *arrow.Schema, name string, r *Registry) (stream.Step, []*Error) {
	var errs []*Error
	if len(s.Assigns) == 0 {
		errs = append(errs, &Error{Code: CodeStep, Text: "no column is set here"})
	}
	fields := slices.Clone(in.Fields())
	out := &set{base: base{name: name}}
	seen := map[string]bool{}
	for _, a := range s.Assigns {
		if a.Name == "" || seen[a.Name] {
			text := fmt.Sprintf("the column %q is set twice", a.Name)
			if a.Name == "" {
				text = "a column has no name"
			}
			errs = append(errs, &Error{Path: a.Name, Len: len(a.Expr), Code: CodeStep, Text: text})
			continue
		}
		seen[a.Name] = true
		n, bad := compile(a.Expr, in, r, false)
		if n != nil && kindOf(n.typ()) == kindNull {
			bad = []*Error{{Len: len(a.Expr), Code: CodeType, Text: "NULL alone has no type", Fix: "CAST(NULL AS string), or another type"}}
		}
		for _, e := range bad {
			e.Path = a.Name
		}
		if errs = append(errs, bad...); len(bad) > 0 {
			continue
		}
		f := arrow.Field{Name: a.Name, Type: n.typ(), Nullable: n.nullable()}
		at := slices.IndexFunc(fields, func(f arrow.Field) bool { return f.Name == a.Name })
		if at < 0 {
			at, fields = len(fields), append(fields, f)
		} else {
			fields[at] = f
		}
		out.items = append(out.items, setItem{a.Name, at, kindOf(f.Type), n, stream.NewVec(f.Type)})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	out.out.Schema = arrow.NewSchema(fields, nil)
	out.out.Cols = make([]*stream.Vec, len(fields))
	return out, nil
}

// Apply computes the selected rows. Columns that are not set are shared with b.
func (s *set) Apply(b *stream.Batch, emit stream.Emit) error {
	s.from(b)
	s.ctx.begin(b)
	copy(s.out.Cols, b.Cols)
	sel := b.Sel
	for i := range s.items {
		it := &s.items[i]
		v := it.expr.eval(&s.ctx, sel)
		s.ctx.limit(it.k, v, sel)
		sel = reject(&s.ctx, b, s.name, it.name, &s.sel, sel)
		v.store(it.k, it.vec, sel, b.Rows)
		s.out.Cols[it.at] = it.vec
	}
	return s.emit(sel, emit)
}
