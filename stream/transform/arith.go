package transform

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream/transform/decimal"
)

type integer interface{ int32 | int64 }

// intKernel is arithmetic on integers: what does not fit the type is a bad row.
func intKernel[T integer](op string, typeName string) kernel {
	return func(c *ctx, sel []int32, in []*col, out *col) {
		a, b, r := vals[T](in[0]), vals[T](in[1]), vals[T](out)
		for _, i := range sel {
			x, y := a[i], b[i]
			var z T
			ok := true
			switch op {
			case "+":
				z = x + y
				ok = (x^z)&(y^z) >= 0
			case "-":
				z = x - y
				ok = (x^y)&(x^z) >= 0
			case "*":
				z, ok = mulInt(x, y)
			case "%":
				if y == 0 {
					c.fail(i, CodeZero, fmt.Sprintf("%d %% 0 is a division by zero", x))
					out.setNull(i)
					continue
				}
				z = x % y
			}
			if !ok {
				c.fail(i, CodeOverflow, fmt.Sprintf("%d %s %d is too large for %s", x, op, y, typeName))
				out.setNull(i)
				continue
			}
			r[i] = z
		}
	}
}

func mulInt[T integer](x, y T) (T, bool) {
	z := x * y
	if int64(x)>>31 == int64(x)>>63 && int64(y)>>31 == int64(y)>>63 { // both within 32 bits
		w := int64(x) * int64(y)
		return z, int64(z) == w
	}
	if x == 0 || y == 0 {
		return 0, true
	}
	smallest := z == -z && z != 0 // the only one that -1 turns into itself
	return z, z/y == x && (!smallest || x != -1 && y != -1)
}

// floatKernel is arithmetic on floats, by IEEE 754 but for divisions by zero, which are bad rows.
func floatKernel(op string) kernel {
	return func(c *ctx, sel []int32, in []*col, out *col) {
		a, b, r := in[0].f64, in[1].f64, out.f64
		switch op {
		case "+":
			for _, i := range sel {
				r[i] = a[i] + b[i]
			}
		case "-":
			for _, i := range sel {
				r[i] = a[i] - b[i]
			}
		case "*":
			for _, i := range sel {
				r[i] = a[i] * b[i]
			}
		default:
			for _, i := range sel {
				if b[i] == 0 {
					c.fail(i, CodeZero, fmt.Sprintf("%v %s 0 is a division by zero", a[i], op))
					out.setNull(i)
					continue
				}
				if op == "%" {
					r[i] = math.Mod(a[i], b[i])
				} else {
					r[i] = a[i] / b[i]
				}
			}
		}
	}
}

// decKernel is arithmetic on decimals of types x and y with a result of type t.
func decKernel(op string, x, y, t decimal.Type) kernel {
	if op == "*" && x.Precision <= 18 && y.Precision <= 18 {
		return mulSmall // 64 bits by 64 bits, and the result's type holds every product
	}
	if (op == "+" || op == "-") && t.Precision <= 18 {
		return addSmall(op == "-", x, y, t)
	}
	return func(c *ctx, sel []int32, in []*col, out *col) {
		for _, i := range sel {
			a, b := in[0].dec[i], in[1].dec[i]
			var z decimal128.Num
			var ok bool
			switch op {
			case "+":
				z, ok = c.calc.Add(a, x.Scale, b, y.Scale, t)
			case "-":
				z, ok = c.calc.Add(a, x.Scale, b.Negate(), y.Scale, t)
			case "*":
				z, ok = c.calc.Mul(a, b, x.Scale+y.Scale, t)
			default:
				if b.Sign() == 0 {
					c.fail(i, CodeZero, fmt.Sprintf("%s %s 0 is a division by zero", decimal.String(a, x.Scale), op))
					out.setNull(i)
					continue
				}
				if op == "%" {
					z, ok = c.calc.Mod(a, x.Scale, b, y.Scale, t)
				} else {
					z, ok = c.calc.Div(a, x.Scale, b, y.Scale, t)
				}
			}
			if !ok {
				c.fail(i, CodeOverflow, fmt.Sprintf("%s %s %s is too large for decimal(%d,%d)",
					decimal.String(a, x.Scale), op, decimal.String(b, y.Scale), t.Precision, t.Scale))
				out.setNull(i)
				continue
			}
			out.dec[i] = z
		}
	}
}

func mulSmall(_ *ctx, sel []int32, in []*col, out *col) {
	a, b, r := in[0].dec, in[1].dec, out.dec
	for _, i := range sel {
		x, y := int64(a[i].LowBits()), int64(b[i].LowBits()) //nolint:gosec // at most 18 digits
		hi, lo := bits.Mul64(uint64(x), uint64(y))           //nolint:gosec // corrected below
		h := int64(hi) - x>>63&y - y>>63&x                   //nolint:gosec // signed from unsigned product
		r[i] = decimal128.New(h, lo)
	}
}

func addSmall(minus bool, x, y, t decimal.Type) kernel {
	kx, ky := int64(1), int64(1)
	for range t.Scale - x.Scale {
		kx *= 10
	}
	for range t.Scale - y.Scale {
		ky *= 10
	}
	if minus {
		ky = -ky
	}
	return func(_ *ctx, sel []int32, in []*col, out *col) {
		a, b, r := in[0].dec, in[1].dec, out.dec
		for _, i := range sel {
			r[i] = decimal.FromInt(int64(a[i].LowBits())*kx + int64(b[i].LowBits())*ky) //nolint:gosec // at most 18 digits
		}
	}
}

// negKernel is unary minus.
func negKernel(k kind) kernel {
	switch k {
	case kindI32:
		return negInt[int32]("int32")
	case kindI64:
		return negInt[int64]("int64")
	case kindF64:
		return map1(func(f float64) float64 { return -f })
	default:
	}
	return map1(decimal128.Num.Negate)
}

func negInt[T integer](typeName string) kernel {
	return try1(func(_ *ctx, x T) (T, string, string) {
		if x != 0 && x == -x {
			return 0, CodeOverflow, fmt.Sprintf("-(%d) is too large for %s", x, typeName)
		}
		return -x, "", ""
	})
}
