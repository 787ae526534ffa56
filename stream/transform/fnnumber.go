package transform

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/syntax"
)

func numberFunctions() []Function {
	return []Function{
		{
			Name: "abs", Usage: "abs(number)", Result: "the number's type", Doc: "The number without its sign.",
			Examples: []Example{{"abs(-12.50)", "12.50"}, {"abs(-3)", "3"}}, min: 1, max: 1, bind: bindAbs,
		},
		{
			Name: "round", Usage: "round(number[, digits])", Result: "the number's type",
			Doc:      "The number rounded to digits (a constant, 0 if left out, negative before the point), half away from zero.",
			Examples: []Example{{"round(2.345, 2)", "2.35"}, {"round(-2.5)", "-3"}, {"round(1250, -2)", "1300"}, {"round(0.125e0, 2)", "0.13"}},
			min:      1, max: 2, bind: func(b *bound) node { return b.rounded(0) },
		},
		{
			Name: "floor", Usage: "floor(number)", Result: "decimal(…,0) of a decimal, else the number's type", Doc: "The next whole number that is not larger.",
			Examples: []Example{{"floor(-1.5)", "-2"}, {"floor(1.5e0)", "1"}}, min: 1, max: 1, bind: func(b *bound) node { return b.rounded(-1) },
		},
		{
			Name: "ceil", Usage: "ceil(number)", Result: "decimal(…,0) of a decimal, else the number's type", Doc: "The next whole number that is not smaller.",
			Examples: []Example{{"ceil(1.2)", "2"}, {"ceil(-1.5e0)", "-1"}}, min: 1, max: 1, bind: func(b *bound) node { return b.rounded(1) },
		},
		{
			Name: "mod", Usage: "mod(a, b)", Result: "as a % b", Doc: "What is left of a divided by b, with the sign of a.",
			Examples: []Example{{"mod(-7, 3)", "-1"}, {"mod(7.5, 2)", "1.5"}}, min: 2, max: 2,
			bind: func(b *bound) node { return b.arith("%", b.args[0], b.args[1], b.call.Place) },
		},
		{
			Name: "greatest", Usage: "greatest(a, b, …)", Result: "the type that all of them widen to", Doc: "The largest of the values that are not NULL.",
			Examples: []Example{{"greatest(1, 3, 2)", "3"}, {"greatest('a', NULL)", "a"}}, min: 2, max: -1, bind: func(b *bound) node { return b.extreme(">") },
		},
		{
			Name: "least", Usage: "least(a, b, …)", Result: "the type that all of them widen to", Doc: "The smallest of the values that are not NULL.",
			Examples: []Example{{"least(1.5, 2)", "1.5"}}, min: 2, max: -1, bind: func(b *bound) node { return b.extreme("<") },
		},
	}
}

func bindAbs(b *bound) node {
	x := b.args[0]
	var fn kernel
	switch kindOf(x.typ()) {
	case kindNull:
		return x
	case kindI32:
		fn = absInt[int32]("int32")
	case kindI64:
		fn = absInt[int64]("int64")
	case kindF64:
		fn = map1(math.Abs)
	case kindDec:
		fn = map1(decimal.Num.Abs)
	default:
		return b.wrong(0, "a number")
	}
	return b.apply(&applyNode{t: x.typ(), fn: fn, args: []node{x}}, b.call.Place)
}

func absInt[T integer](typeName string) kernel {
	return try1(func(_ *ctx, x T) (T, string, string) {
		if x < 0 && x == -x {
			return 0, CodeOverflow, fmt.Sprintf("abs(%d) is too large for %s", x, typeName)
		}
		return max(x, -x), "", ""
	})
}

// rounded is round (up 0), ceil (1) or floor (-1).
func (b *bound) rounded(up int) node {
	x := b.args[0]
	digits := int32(0)
	if len(b.args) == 2 {
		c, ok := b.args[1].(*constNode)
		if !ok || c.k != kindI32 || c.null() {
			return b.fail(b.at(1), CodeConstant, "the digits of round have to be a constant whole number", "write "+b.fn.Usage)
		}
		digits = max(min(c.one.i32[0], 400), -400)
	}
	t := x.typ()
	var fn kernel
	switch kindOf(t) {
	case kindNull:
		return x
	case kindI32, kindI64:
		if digits >= 0 {
			return x
		}
		if fn = roundInt[int64](digits, "int64"); kindOf(t) == kindI32 {
			fn = roundInt[int32](digits, "int32")
		}
	case kindF64:
		fn = map1(func(f float64) float64 { return roundFloat(f, int(digits), up) })
	case kindDec:
		return b.roundDec(decOf(t), digits, up)
	default:
		return b.wrong(0, "a number")
	}
	return b.apply(&applyNode{t: t, fn: fn, args: []node{x}}, b.call.Place)
}

// roundDec keeps one digit more than it needs, for 9.5 becomes 10.
func (b *bound) roundDec(x decimal.Type, digits int32, up int) node {
	scale := min(x.Scale, max(digits, 0))
	t := decimal.Type{Precision: min(x.Precision-x.Scale+scale+1, decimal.MaxPrecision), Scale: scale}
	if digits >= x.Scale {
		return b.args[0]
	}
	fn := try1(func(_ *ctx, n decimal.Num) (decimal.Num, string, string) {
		r, ok := decimal.Round(n, x.Scale, digits, up, decimal.MaxPrecision)
		if ok {
			r, ok = decimal.Rescale(r, x.Scale, scale, t.Precision)
		}
		if !ok {
			return r, CodeOverflow, fmt.Sprintf("%s rounded is too large for decimal(%d,%d)", decimal.String(n, x.Scale), t.Precision, t.Scale)
		}
		return r, "", ""
	})
	return b.apply(&applyNode{t: typeDec(t), fn: fn, args: []node{b.args[0]}}, b.call.Place)
}

func roundInt[T integer](digits int32, typeName string) kernel {
	return try1(func(_ *ctx, x T) (T, string, string) {
		n, ok := decimal.Round(decimal.FromInt(int64(x)), 0, digits, 0, 19)
		i, fits := decimal.Int64(n)
		if r := T(i); ok && fits && int64(r) == i { //nolint:gosec // checked
			return r, "", ""
		}
		return 0, CodeOverflow, fmt.Sprintf("%d rounded is too large for %s", x, typeName)
	})
}

// roundFloat rounds the shortest decimal text of f, so that 2.675 becomes 2.68 as it reads, and not 2.67 as it is stored.
func roundFloat(f float64, digits, up int) float64 {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return f
	case up < 0:
		return math.Floor(f)
	case up > 0:
		return math.Ceil(f)
	case digits == 0:
		return math.Round(f)
	}
	t := decimal.Type{Precision: decimal.MaxPrecision, Scale: int32(max(min(digits, 37), 0))} //nolint:gosec // bounded
	n, why := decimal.FromFloat(f, t)
	if why == decimal.OK && digits < 0 {
		var ok bool
		if n, ok = decimal.Round(n, 0, int32(digits), 0, decimal.MaxPrecision); !ok { //nolint:gosec // bounded
			return f
		}
	}
	if why != decimal.OK { // so large that it has no such digits
		return f
	}
	return decimal.Float(n, t.Scale)
}

// extreme is greatest or least. Nulls are passed over.
func (b *bound) extreme(op string) node {
	var places []syntax.Place
	for i := range b.args {
		places = append(places, b.at(i))
	}
	t, ok := b.commonOf(b.args, places, "the arguments of "+b.fn.Name)
	if !ok {
		return nil
	}
	args := make([]node, len(b.args))
	mayNull := true
	for i, a := range b.args {
		if args[i] = b.coerce(a, t, places[i]); args[i] == nil {
			return nil
		}
		mayNull = mayNull && args[i].nullable()
	}
	k := kindOf(t)
	better := compareKernel(op, k, 0, 0)
	var pair [2]*col
	var both col
	var rest []int32
	fn := func(c *ctx, sel []int32, in []*col, out *col) {
		for _, i := range sel {
			out.copyRow(k, in[0], i)
		}
		for _, a := range in[1:] {
			rest = rest[:0]
			for _, i := range sel {
				if a.isNull(i) {
					continue
				}
				if out.isNull(i) {
					out.null[i] = false
					out.copyRow(k, a, i)
				} else {
					rest = append(rest, i)
				}
			}
			both.start(kindBool, c.rows)
			pair[0], pair[1] = a, out
			better(c, rest, pair[:], &both)
			for _, i := range rest {
				if both.b[i] {
					out.copyRow(k, a, i)
				}
			}
		}
	}
	return b.apply(&applyNode{t: t, fn: fn, args: args, lax: true, mayNull: mayNull}, b.call.Place)
}
