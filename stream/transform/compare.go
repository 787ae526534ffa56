package transform

import (
	"cmp"
	"math"

	"github.com/millrace/millrace/stream/transform/decimal"
)

// compareKernel compares two columns of kind k; decimals may have different scales.
func compareKernel(op string, k kind, sa, sb int32) kernel {
	switch k {
	case kindBool:
		return func(_ *ctx, sel []int32, in []*col, out *col) {
			for _, i := range sel {
				out.b[i] = holds(op, boolInt(in[0].b[i])-boolInt(in[1].b[i]))
			}
		}
	case kindI32, kindDate:
		return ordered[int32](op)
	case kindI64, kindTime:
		return ordered[int64](op)
	case kindStr, kindBin:
		return ordered[string](op)
	case kindF64:
		return func(_ *ctx, sel []int32, in []*col, out *col) {
			for _, i := range sel {
				out.b[i] = holds(op, compareFloat(in[0].f64[i], in[1].f64[i]))
			}
		}
	default:
	}
	return func(c *ctx, sel []int32, in []*col, out *col) {
		a, b := in[0].dec, in[1].dec
		if sa == sb {
			for _, i := range sel {
				out.b[i] = holds(op, compareDec(a[i], b[i]))
			}
			return
		}
		for _, i := range sel {
			out.b[i] = holds(op, c.calc.Cmp(a[i], sa, b[i], sb))
		}
	}
}

func compareDec(a, b decimal.Num) int {
	if c := cmp.Compare(a.HighBits(), b.HighBits()); c != 0 {
		return c
	}
	return cmp.Compare(a.LowBits(), b.LowBits())
}

func ordered[T interface {
	value
	cmp.Ordered
}](op string) kernel {
	return func(_ *ctx, sel []int32, in []*col, out *col) {
		a, b, r := vals[T](in[0]), vals[T](in[1]), out.b
		switch op {
		case "=":
			for _, i := range sel {
				r[i] = a[i] == b[i]
			}
		case "<>":
			for _, i := range sel {
				r[i] = a[i] != b[i]
			}
		case "<":
			for _, i := range sel {
				r[i] = a[i] < b[i]
			}
		case "<=":
			for _, i := range sel {
				r[i] = a[i] <= b[i]
			}
		case ">":
			for _, i := range sel {
				r[i] = a[i] > b[i]
			}
		case ">=":
			for _, i := range sel {
				r[i] = a[i] >= b[i]
			}
		}
	}
}

// compareFloat orders all floats: NaN equals NaN and is larger than any number, -0 equals 0. Source: Spark SQL, NaN
// semantics.
func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	}
	return -1
}

func holds(op string, c int) bool {
	switch op {
	case "=":
		return c == 0
	case "<>":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
