package decimal

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// random is a number of at most p digits, with all sizes equally likely.
func random(r *rand.Rand, p int32) Num {
	b := new(big.Int)
	for range r.IntN(int(p)) + 1 {
		b.Mul(b, big.NewInt(10)).Add(b, big.NewInt(int64(r.IntN(10))))
	}
	if r.IntN(2) == 0 {
		b.Neg(b)
	}
	return decimal128.FromBigInt(b)
}

func tenTo(k int32) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), nil) }

func rat(n Num, scale int32) *big.Rat { return new(big.Rat).SetFrac(n.BigInt(), tenTo(scale)) }

// rounded is x with scale digits, half away from zero, and whether it fits.
func rounded(x *big.Rat, t Type) (Num, bool) {
	y := new(big.Rat).Mul(x, new(big.Rat).SetInt(tenTo(t.Scale)))
	neg := y.Sign() < 0
	y.Abs(y).Add(y, big.NewRat(1, 2))
	q := new(big.Int).Quo(y.Num(), y.Denom())
	if q.Cmp(tenTo(t.Precision)) >= 0 {
		return Num{}, false
	}
	if neg {
		q.Neg(q)
	}
	return decimal128.FromBigInt(q), true
}

func TestArithmeticAgreesWithRationals(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c Calc
	randomType := func() Type {
		p := int32(r.IntN(38) + 1)
		return Type{p, int32(r.IntN(int(p) + 1))}
	}
	for i := range 8000 {
		x, y := randomType(), randomType()
		a, b := random(r, x.Precision), random(r, y.Precision)
		ra, rb := rat(a, x.Scale), rat(b, y.Scale)
		check := func(op string, typ Type, got Num, ok bool, exact *big.Rat) {
			want, fits := rounded(exact, typ)
			if ok != fits || ok && got != want {
				t.Fatalf("%d: %s %s %s as %v: got %s %v, want %s %v", i, String(a, x.Scale), op, String(b, y.Scale), typ,
					String(got, typ.Scale), ok, String(want, typ.Scale), fits)
			}
		}
		typ := AddType(x, y)
		got, ok := c.Add(a, x.Scale, b, y.Scale, typ)
		check("+", typ, got, ok, new(big.Rat).Add(ra, rb))
		typ = MulType(x, y)
		got, ok = c.Mul(a, b, x.Scale+y.Scale, typ)
		check("*", typ, got, ok, new(big.Rat).Mul(ra, rb))
		if b.Sign() != 0 {
			typ = DivType(x, y)
			got, ok = c.Div(a, x.Scale, b, y.Scale, typ)
			check("/", typ, got, ok, new(big.Rat).Quo(ra, rb))
			typ = ModType(x, y)
			got, ok = c.Mod(a, x.Scale, b, y.Scale, typ)
			q := new(big.Rat).Quo(ra, rb)
			whole := new(big.Rat).SetInt(new(big.Int).Quo(q.Num(), q.Denom()))
			check("%", typ, got, ok, new(big.Rat).Sub(ra, whole.Mul(whole, rb)))
		}
		if got, want := c.Cmp(a, x.Scale, b, y.Scale), ra.Cmp(rb); got != want {
			t.Fatalf("compare %s with %s: got %d, want %d", String(a, x.Scale), String(b, y.Scale), got, want)
		}
		typ = randomType()
		got, ok = Rescale(a, x.Scale, typ.Scale, typ.Precision)
		check("rescale", typ, got, ok, ra)
		if back, why := Parse(String(a, x.Scale), Type{38, x.Scale}); why != OK || back != a {
			t.Fatalf("parse %s: got %s, %v", String(a, x.Scale), String(back, x.Scale), why)
		}
		f, _ := ra.Float64()
		if got := Float(a, x.Scale); got != f {
			t.Fatalf("float of %s: got %v, want %v", String(a, x.Scale), got, f)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		typ  Type
		want string // "malformed", "overflow" or the number
	}{
		{"12.5", Type{4, 2}, "12.50"},
		{"+.5", Type{4, 2}, "0.50"},
		{"5.", Type{4, 2}, "5.00"},
		{"-0", Type{4, 2}, "0.00"},
		{"1.005", Type{4, 2}, "1.01"},
		{"-1.005", Type{4, 2}, "-1.01"},
		{"99.994", Type{4, 2}, "99.99"},
		{"99.995", Type{4, 2}, "overflow"},
		{"100", Type{4, 2}, "overflow"},
		{"1e2", Type{5, 2}, "100.00"},
		{"1.25E-1", Type{5, 2}, "0.13"},
		{"1e-400", Type{5, 2}, "0.00"},
		{"1e400", Type{38, 2}, "overflow"},
		{"0e999999999999", Type{38, 2}, "0.00"},
		{strings.Repeat("9", 38), Type{38, 0}, strings.Repeat("9", 38)},
		{strings.Repeat("9", 39), Type{38, 0}, "overflow"},
		{"0." + strings.Repeat("3", 50), Type{38, 38}, "0." + strings.Repeat("3", 38)},
		{"0." + strings.Repeat("9", 50), Type{38, 38}, "overflow"},
		{strings.Repeat("0", 60) + "1", Type{1, 0}, "1"},
		{"1." + strings.Repeat("0", 60), Type{3, 2}, "1.00"},
		{"", Type{4, 2}, "malformed"}, {"-", Type{4, 2}, "malformed"}, {".", Type{4, 2}, "malformed"}, {" 1", Type{4, 2}, "malformed"},
		{"1 ", Type{4, 2}, "malformed"}, {"1_0", Type{4, 2}, "malformed"}, {"0x1", Type{4, 2}, "malformed"}, {"inf", Type{4, 2}, "malformed"},
		{"nan", Type{4, 2}, "malformed"}, {"1e", Type{4, 2}, "malformed"}, {"1e+", Type{4, 2}, "malformed"}, {"1.2.3", Type{4, 2}, "malformed"},
		{"--1", Type{4, 2}, "malformed"}, {"1,5", Type{4, 2}, "malformed"}, {"١", Type{4, 2}, "malformed"},
	} {
		n, why := Parse(c.text, c.typ)
		got := String(n, c.typ.Scale)
		switch why {
		case Malformed:
			got = "malformed"
		case Overflow:
			got = "overflow"
		default:
		}
		if got != c.want {
			t.Errorf("%q as %v: got %s, want %s", c.text, c.typ, got, c.want)
		}
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want Type
	}{
		{"add", AddType(Type{18, 2}, Type{10, 4}), Type{21, 4}},
		{"add, cut", AddType(Type{38, 10}, Type{38, 10}), Type{38, 9}},
		{"mul", MulType(Type{18, 2}, Type{10, 0}), Type{29, 2}},
		{"mul, cut", MulType(Type{38, 18}, Type{38, 18}), Type{38, 6}},
		{"div", DivType(Type{18, 2}, Type{10, 0}), Type{29, 13}},
		{"div, cut", DivType(Type{38, 2}, Type{38, 2}), Type{38, 6}},
		{"mod", ModType(Type{18, 2}, Type{10, 4}), Type{10, 4}},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

func TestRound(t *testing.T) {
	for _, c := range []struct {
		in     int64
		digits int32
		up     int
		want   string
	}{
		{12345, 1, 0, "123.50"}, {12344, 0, 0, "123.00"}, {-12350, 0, 0, "-124.00"}, {12345, -2, 0, "100.00"}, {15000, -2, 0, "200.00"},
		{12301, 0, 1, "124.00"}, {-12399, 0, 1, "-123.00"}, {-12301, 0, -1, "-124.00"}, {12399, 0, -1, "123.00"}, {12300, 0, 1, "123.00"},
		{12345, 5, 0, "123.45"}, {12345, -60, 0, "0.00"},
	} {
		n, ok := Round(FromInt(c.in), 2, c.digits, c.up, 38)
		if got := String(n, 2); !ok || got != c.want {
			t.Errorf("%d to %d digits, %d: got %s, want %s", c.in, c.digits, c.up, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1.5", "-1e3", "00.10", strings.Repeat("1", 60), "1e-2147483648"} {
		f.Add(s, uint8(18), uint8(2))
	}
	f.Fuzz(func(t *testing.T, s string, p, scale uint8) {
		typ := Type{int32(p%38) + 1, 0}
		typ.Scale = int32(scale) % (typ.Precision + 1)
		n, why := Parse(s, typ)
		if why != OK {
			return
		}
		x, ok := new(big.Rat).SetString(s)
		if len(s) < 100 && !strings.ContainsAny(s, "eE") {
			if !ok {
				t.Fatalf("%q is accepted, and no number", s)
			}
			if want, fits := rounded(x, typ); !fits || want != n {
				t.Fatalf("%q: got %s, want %s", s, String(n, typ.Scale), String(want, typ.Scale))
			}
		}
	})
}
