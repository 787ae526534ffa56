package transform

import (
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/moment"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// Error is one fault of an expression or a step, with its place.
type Error = syntax.Error

// Expr is a compiled expression. It keeps scratch memory and belongs to one goroutine.
type Expr struct {
	root node
	ctx  ctx
}

// Compile checks text against the columns of in. Either the expression is returned, or every error that was found.
func Compile(text string, in *arrow.Schema, r *Registry) (*Expr, []*Error) {
	return newExpr(text, in, r, false)
}

func newExpr(text string, in *arrow.Schema, r *Registry, timeless bool) (*Expr, []*Error) {
	n, errs := compile(text, in, r, timeless)
	if len(errs) > 0 {
		return nil, errs
	}
	if kindOf(n.typ()) == kindNull {
		n = nullOf(typeString())
	}
	return &Expr{root: n}, nil
}

// Type is the type of the result.
func (e *Expr) Type() arrow.DataType { return e.root.typ() }

// Nullable tells whether a result can be null.
func (e *Expr) Nullable() bool { return e.root.nullable() }

// RowError is a row that could not be computed.
type RowError struct {
	Row          int32
	Code, Reason string
}

// Eval computes the rows sel of b into into, a column of the expression's type, which then has b.Rows rows; those that are
// not in sel are zero values. Rows that could not be computed are null there and are returned.
func (e *Expr) Eval(b *stream.Batch, sel []int32, into *stream.Vec) []RowError {
	e.ctx.begin(b)
	out := e.root.eval(&e.ctx, sel)
	e.ctx.limit(kindOf(e.Type()), out, sel)
	var bad []RowError
	for _, x := range e.ctx.errs {
		out.setNull(x.row) // coalesce may have put something in its place
		bad = append(bad, RowError{x.row, x.code, x.reason})
	}
	out.store(kindOf(e.Type()), into, sel, b.Rows)
	return bad
}

// EvalConst computes an expression without columns and without batch_time(). The result is the only row of the column.
func EvalConst(text string, r *Registry) (*stream.Vec, []*Error) {
	e, errs := newExpr(text, arrow.NewSchema(nil, nil), r, true)
	if len(errs) > 0 {
		return nil, errs
	}
	v := stream.NewVec(e.Type())
	bad := e.Eval(&stream.Batch{Rows: 1}, []int32{0}, v)
	for _, b := range bad {
		errs = append(errs, &Error{Len: len(text), Code: syntax.CodeValue, Text: b.Reason})
	}
	return v, errs
}

// Format writes row i of a column for people: NULL, numbers in full, strings as they are, nested values in braces.
func Format(v *stream.Vec, i int) string {
	if v.IsNull(i) {
		return "NULL"
	}
	switch t := v.Type.(type) {
	case *arrow.StructType:
		var parts []string
		for f, kid := range v.Kids {
			parts = append(parts, t.Field(f).Name+": "+Format(kid, i))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *arrow.MapType:
		var parts []string
		kv := v.Kids[0].Kids
		for j := v.Offsets[i]; j < v.Offsets[i+1]; j++ {
			parts = append(parts, Format(kv[0], int(j))+": "+Format(kv[1], int(j)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case *arrow.ListType:
		var parts []string
		for j := v.Offsets[i]; j < v.Offsets[i+1]; j++ {
			parts = append(parts, Format(v.Kids[0], int(j)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *arrow.Decimal128Type:
		return decimal.String(v.Dec[i], t.Scale)
	}
	switch kindOf(v.Type) {
	case kindBool:
		return strconv.FormatBool(v.Bits.Get(i))
	case kindI32:
		return strconv.FormatInt(int64(v.I32[i]), 10)
	case kindI64:
		return strconv.FormatInt(v.I64[i], 10)
	case kindF64:
		return string(appendFloat(nil, v.F64[i]))
	case kindDate:
		return string(moment.AppendDate(nil, v.I32[i]))
	case kindTime:
		return string(moment.AppendTimestamp(nil, v.I64[i]))
	default:
	}
	return string(v.BytesAt(i))
}
