package transform

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/moment"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// checker turns a tree into nodes for one schema. It goes on after an error, so that all of them are found; nil stands for
// a part that has been complained about.
type checker struct {
	text   string
	schema *arrow.Schema
	reg    *Registry
	errs   []*Error
	consts ctx // computes constants, once

	timeless bool // there is no transaction, and so no batch_time()
}

func (k *checker) fail(at syntax.Place, code, text, fix string) node {
	k.errs = append(k.errs, &Error{Pos: at.Pos, Len: at.Len, Code: code, Text: text, Fix: fix})
	return nil
}

func (k *checker) source(at syntax.Place) string { return k.text[at.Pos : at.Pos+at.Len] }

func (k *checker) check(n syntax.Node) node {
	switch n := n.(type) {
	case *syntax.Literal:
		return k.literal(n)
	case *syntax.Path:
		return k.path(n)
	case *syntax.Call:
		return k.call(n)
	case *syntax.Unary:
		return k.unary(n)
	case *syntax.Binary:
		l, r := k.check(n.L), k.check(n.R)
		if l == nil || r == nil {
			return nil
		}
		switch n.Op {
		case "AND", "OR":
			if l, r = k.condition(l, n.L.At(), n.Op), k.condition(r, n.R.At(), n.Op); l == nil || r == nil {
				return nil
			}
			return &logicNode{or: n.Op == "OR", l: l, r: r}
		case "+", "-", "*", "/", "%":
			return k.arith(n.Op, l, r, n.Place)
		case "||":
			return k.join(l, r, n)
		}
		if x, ok := nullOperand(n); ok {
			fix := map[string]string{"=": "write " + k.source(x.At()) + " IS NULL", "<>": "write " + k.source(x.At()) + " IS NOT NULL"}[n.Op]
			return k.fail(n.Place, CodeForeign, "a comparison with NULL is never true", fix)
		}
		return k.compare(n.Op, l, r, n.Place)
	case *syntax.IsNull:
		if x := k.check(n.X); x != nil {
			return &nullNode{x: x, not: n.Not}
		}
	case *syntax.In:
		return k.in(n)
	case *syntax.Between:
		return k.between(n)
	case *syntax.Like:
		return k.like(n)
	case *syntax.Case:
		return k.caseWhen(n)
	case *syntax.Cast:
		return k.cast(n)
	}
	return nil
}

// nullOperand tells whether one side of a comparison is the word NULL, and returns the other side. It is SQL, but as a
// filter it would take out every row in silence.
func nullOperand(n *syntax.Binary) (syntax.Node, bool) {
	if l, ok := n.R.(*syntax.Literal); ok && l.Kind == syntax.Null {
		return n.L, true
	}
	l, ok := n.L.(*syntax.Literal)
	return n.R, ok && l.Kind == syntax.Null
}

// condition demands a bool.
func (k *checker) condition(n node, at syntax.Place, what string) node {
	if n == nil {
		return nil
	}
	switch kindOf(n.typ()) {
	case kindBool:
		return n
	case kindNull:
		return k.coerce(n, typeBool(), at)
	default:
	}
	fix := "compare it with something"
	if kindOf(n.typ()) == kindStr {
		fix = "compare it with something, as in " + k.source(at) + " = '…'"
	}
	return k.fail(at, CodeType, fmt.Sprintf("%s needs a condition (bool), and %s is %s", what, k.source(at), article(n.typ())), fix)
}

func article(t arrow.DataType) string {
	s := TypeName(t)
	switch kindOf(t) {
	case kindNull:
		return s
	case kindI32, kindI64:
		return "an " + s
	case kindBin:
		return s
	case kindNest:
		switch t.(type) {
		case *arrow.ListType:
			return "a list " + s
		case *arrow.StructType:
			return "a struct " + s
		}
	default:
	}
	return "a " + s
}

// apply makes a node of a kernel, and computes it at once if all of its arguments are constants. An argument that has been
// complained about makes it nil.
func (k *checker) apply(n *applyNode, at syntax.Place) node {
	n.k = kindOf(n.t)
	n.text = k.source(at)
	constant := !n.impure
	for _, a := range n.args {
		if a == nil {
			return nil
		}
		_, ok := a.(*constNode)
		constant = constant && ok
	}
	if !constant {
		return n
	}
	c := &k.consts
	c.rows = 1
	out := n.eval(c, []int32{0})
	if len(c.errs) > 0 {
		e := c.errs[0]
		c.clear()
		return k.fail(at, CodeValue, strings.TrimSuffix(e.reason, ", in "+clip(n.text)), "this fails for every row")
	}
	return &constNode{t: n.t, k: n.k, one: *out}
}

// coerce widens n to a type that common gave.
func (k *checker) coerce(n node, to arrow.DataType, at syntax.Place) node {
	from := n.typ()
	if arrow.TypeEqual(from, to) {
		return n
	}
	if kindOf(from) == kindNull {
		return nullOf(to)
	}
	if kindOf(from) == kindDec && kindOf(to) == kindDec {
		f, t := decOf(from), decOf(to)
		if f.Scale == t.Scale && f.Precision <= t.Precision {
			if c, ok := n.(*constNode); ok {
				return &constNode{t: to, k: kindDec, one: c.one}
			}
			return &retyped{n, to}
		}
	}
	fn, _ := castKernel(from, to)
	return k.apply(&applyNode{t: to, fn: fn, args: []node{n}}, at)
}

func nullOf(t arrow.DataType) node {
	c := &constNode{t: t, k: kindOf(t)}
	c.one.start(c.k, 1)
	c.one.setNull(0)
	return c
}

func (k *checker) literal(n *syntax.Literal) node {
	c := &constNode{}
	switch n.Kind {
	case syntax.Null:
		return nullOf(typeNull())
	case syntax.True, syntax.False:
		c.t, c.one.b = typeBool(), []bool{n.Kind == syntax.True}
	case syntax.String:
		c.t, c.one.str = typeString(), []string{n.Text}
	case syntax.Integer, syntax.Decimal:
		return k.number(n)
	case syntax.Float:
		f, code, reason := parseFloat(n.Text)
		if code != "" {
			return k.fail(n.Place, CodeValue, reason, "")
		}
		c.t, c.one.f64 = typeF64(), []float64{f}
	case syntax.Date:
		d, ok := moment.ParseDate(n.Text)
		if !ok {
			return k.fail(n.Place, CodeValue, quote(n.Text)+" is no date", "write it like DATE '2026-01-31'")
		}
		c.t, c.one.i32 = typeDate(), []int32{d}
	case syntax.Timestamp:
		t, ok := moment.ParseTimestamp(n.Text, true)
		if !ok {
			return k.fail(n.Place, CodeValue, quote(n.Text)+" is no timestamp", "write it like TIMESTAMP '2026-01-31T23:59:59Z'")
		}
		c.t, c.one.i64 = typeTime(), []int64{t}
	default:
	}
	c.k = kindOf(c.t)
	return c
}

// number is an int32, else an int64, else a decimal with just its digits.
func (k *checker) number(n *syntax.Literal) node {
	if n.Kind == syntax.Integer {
		if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			if i == int64(int32(i)) { //nolint:gosec // that is the question
				return &constNode{t: typeI32(), k: kindI32, one: col{i32: []int32{int32(i)}}} //nolint:gosec // it is
			}
			return &constNode{t: typeI64(), k: kindI64, one: col{i64: []int64{i}}}
		}
	}
	whole, frac, _ := strings.Cut(strings.TrimPrefix(n.Text, "-"), ".")
	t := decimal.Type{Scale: int32(min(len(frac), 100))} //nolint:gosec // bounded
	t.Precision = max(int32(min(len(strings.TrimLeft(whole, "0")), 100))+t.Scale, 1)
	if t.Precision > decimal.MaxPrecision {
		return k.fail(n.Place, CodeValue, "a number has at most 38 digits", "write it with an exponent to make it a float64")
	}
	v, _ := decimal.Parse(n.Text, t)
	return &constNode{t: typeDec(t), k: kindDec, one: col{dec: []decimal.Num{v}}}
}

// columns lists the names of a schema for people.
func columns(s *arrow.Schema) string {
	if s.NumFields() == 0 {
		return "there are no columns here"
	}
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name)
	}
	return "columns here: " + strings.Join(names, ", ")
}

func nearColumn(name string, fields []arrow.Field) string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	near := syntax.Near(name, names)
	for _, f := range fields {
		if near != "" && f.Name == near {
			return fmt.Sprintf("did you mean %q %s?", near, TypeName(f.Type))
		}
	}
	return ""
}

func noColumn(name string, at syntax.Place, s *arrow.Schema) *Error {
	return &Error{Pos: at.Pos, Len: at.Len, Code: CodeColumn, Text: fmt.Sprintf("there is no column %q here", name),
		Fix: nearColumn(name, s.Fields()), Note: columns(s)}
}

func (k *checker) path(n *syntax.Path) node {
	found := k.schema.FieldIndices(n.Column)
	if len(found) == 0 {
		e := noColumn(n.Column, n.Name, k.schema)
		if n.Quoted && e.Fix == "" {
			e.Fix = "double quotes name a column; a string is written '" + strings.ReplaceAll(n.Column, "'", "''") + "'"
		}
		k.errs = append(k.errs, e)
		return nil
	}
	f := k.schema.Field(found[0])
	if len(n.Parts) == 0 {
		return &colNode{t: f.Type, k: kindOf(f.Type), null: f.Nullable, index: found[0]}
	}
	p := &pathNode{index: found[0], parts: n.Parts, t: f.Type, null: f.Nullable}
	for _, part := range n.Parts {
		if !k.descend(p, part, k.text[n.Pos:part.Pos]) {
			return nil
		}
	}
	p.k = kindOf(p.t)
	return p
}

// descend finds the type of one part of a path; before is the text of what it is a part of.
func (k *checker) descend(p *pathNode, part syntax.Part, before string) bool {
	wrong := func(text, fix string) bool { k.fail(part.Place, CodeColumn, text, fix); return false }
	switch t := p.t.(type) {
	case *arrow.StructType:
		if part.Kind != syntax.Field {
			return wrong(before+" is a struct, and has no elements", "write "+before+".field")
		}
		i, ok := t.FieldIdx(part.Name)
		if !ok {
			wrong(fmt.Sprintf("%s has no field %q", before, part.Name), nearColumn(part.Name, t.Fields()))
			k.errs[len(k.errs)-1].Note = "it is " + TypeName(t)
			return false
		}
		p.t, p.null = t.Field(i).Type, p.null || t.Field(i).Nullable
		return true
	case *arrow.MapType:
		switch kindOf(t.KeyType()) {
		case kindStr:
			if part.Kind != syntax.Key {
				return wrong(before+" is "+article(t)+", whose keys are strings", "write "+before+"['key']")
			}
		case kindI32, kindI64:
			if part.Kind != syntax.Element {
				return wrong(before+" is "+article(t)+", whose keys are integers", "write "+before+"[1]")
			}
		default:
			return wrong("the values of "+article(t)+" cannot be reached by key", "")
		}
		p.t, p.null = t.ItemType(), true
		return true
	case *arrow.ListType:
		if part.Kind != syntax.Element {
			return wrong(before+" is a list, and has no fields", "write "+before+"[0] for its first element")
		}
		p.t, p.null = t.Elem(), true
		return true
	}
	return wrong(fmt.Sprintf("%s is %s, and has no parts", before, article(p.t)), "")
}

func (k *checker) unary(n *syntax.Unary) node {
	x := k.check(n.X)
	if x == nil {
		return nil
	}
	if n.Op == "NOT" {
		if x = k.condition(x, n.X.At(), "NOT"); x == nil {
			return nil
		}
		return k.apply(&applyNode{t: typeBool(), fn: notKernel, args: []node{x}}, n.Place)
	}
	kind := kindOf(x.typ())
	if kind == kindNull {
		return x
	}
	if !kind.numeric() {
		return k.fail(n.Place, CodeType, fmt.Sprintf("- needs a number, and %s is %s", k.source(n.X.At()), article(x.typ())), "")
	}
	return k.apply(&applyNode{t: x.typ(), fn: negKernel(kind), args: []node{x}}, n.Place)
}

func (k *checker) join(l, r node, n *syntax.Binary) node {
	for i, x := range []node{l, r} {
		at := n.L.At()
		if i == 1 {
			at = n.R.At()
		}
		switch kindOf(x.typ()) {
		case kindStr, kindNull:
		case kindBool:
			return k.fail(n.Word, CodeForeign, "|| joins strings, and "+k.source(at)+" is a bool", "write OR")
		default:
			return k.fail(at, CodeType, "|| joins strings, and "+k.source(at)+" is "+article(x.typ()), "CAST("+k.source(at)+" AS string)")
		}
	}
	return k.apply(&applyNode{t: typeString(), fn: concatKernel, args: []node{
		k.coerce(l, typeString(), n.L.At()), k.coerce(r, typeString(), n.R.At())}}, n.Place)
}

func (k *checker) cast(n *syntax.Cast) node {
	to, err := ParseType(n.Type)
	if err != nil {
		k.fail(n.TypeWord, CodeTypeName, err.Error(), "")
	}
	x := k.check(n.X)
	if x == nil || err != nil {
		return nil
	}
	from := x.typ()
	if arrow.TypeEqual(from, to) || kindOf(from) == kindNull {
		return k.coerce(x, to, n.Place)
	}
	fn, advice := castKernel(from, to)
	if fn == nil {
		return k.fail(n.Place, CodeType, fmt.Sprintf("%s is %s and cannot be cast to %s", k.source(n.X.At()), article(from), TypeName(to)), advice)
	}
	return k.apply(&applyNode{t: to, fn: fn, args: []node{x}, try: n.Try, mayNull: n.Try}, n.Place)
}

// compile reads and checks a text. Exactly one of the results is set.
func compile(text string, in *arrow.Schema, r *Registry, timeless bool) (node, []*Error) {
	tree, errs := syntax.Parse(text)
	if len(errs) > 0 {
		return nil, errs
	}
	k := &checker{text: text, schema: in, reg: r, timeless: timeless}
	k.consts.begin(stream.NewBatch(arrow.NewSchema(nil, nil)))
	n := k.check(tree)
	if len(k.errs) > 0 {
		return nil, k.errs
	}
	return n, nil
}
