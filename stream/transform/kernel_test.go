package transform

import (
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// Integers near the edges, against arithmetic without edges.
func TestIntegersAgreeWithBig(t *testing.T) {
	edges := []int64{0, 1, -1, 2, -2, 3, 1 << 31, -1 << 31, 1<<31 - 1, 1 << 32, math.MaxInt64, math.MinInt64, math.MinInt64 / 2, math.MaxInt64 / 2, 3037000499, 3037000500}
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		edges = append(edges, int64(r.Uint64()>>r.IntN(64)), -int64(r.Uint64()>>(1+r.IntN(63))))
	}
	c := &ctx{rows: 1}
	for _, op := range []string{"+", "-", "*", "%"} {
		wide, narrow := intKernel[int64](op, "int64"), intKernel[int32](op, "int32")
		for _, x := range edges {
			for _, y := range edges {
				exact := bigOp(op, x, y)
				out := &col{}
				out.start(kindI64, 1)
				wide(c, []int32{0}, []*col{{i64: []int64{x}}, {i64: []int64{y}}}, out)
				if ok := exact != nil && exact.IsInt64(); ok == out.isNull(0) || ok && exact.Int64() != out.i64[0] {
					t.Fatalf("%d %s %d as int64: got %d, null %v", x, op, y, out.i64[0], out.isNull(0))
				}
				if x != int64(int32(x)) || y != int64(int32(y)) {
					continue
				}
				out.start(kindI32, 1)
				narrow(c, []int32{0}, []*col{{i32: []int32{int32(x)}}, {i32: []int32{int32(y)}}}, out)
				if ok := exact != nil && exact.Int64() == int64(int32(exact.Int64())); ok == out.isNull(0) || ok && exact.Int64() != int64(out.i32[0]) {
					t.Fatalf("%d %s %d as int32: got %d, null %v", x, op, y, out.i32[0], out.isNull(0))
				}
			}
		}
	}
}

func bigOp(op string, x, y int64) *big.Int {
	a, b, z := big.NewInt(x), big.NewInt(y), new(big.Int)
	switch op {
	case "+":
		return z.Add(a, b)
	case "-":
		return z.Sub(a, b)
	case "*":
		return z.Mul(a, b)
	}
	if y == 0 {
		return nil
	}
	return z.Rem(a, b)
}

func TestLikeAgreesWithRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	random := func(alphabet []string, n int) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString(alphabet[r.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 5000 {
		pattern := random([]string{"a", "b", "ö", "%", "_", "%", "!%", "!_"}, 7)
		var re strings.Builder
		for i, escaped := 0, false; i < len(pattern); i++ {
			switch ch := pattern[i]; {
			case !escaped && ch == '!':
				escaped = true
				continue
			case !escaped && ch == '%':
				re.WriteString(".*")
			case !escaped && ch == '_':
				re.WriteString(".")
			default:
				re.WriteByte(ch)
			}
			escaped = false
		}
		want := regexp.MustCompile("(?s)^" + re.String() + "$")
		match, wrong := likeMatcher(pattern, '!')
		if wrong != "" {
			t.Fatal(wrong)
		}
		parts, _ := likeParts(nil, pattern, '!')
		for range 20 {
			s := random([]string{"a", "b", "ö", "%", "_", "\n"}, 8)
			if got := match(s); got != want.MatchString(s) || got != likeMatch(parts, s) {
				t.Fatalf("%q LIKE %q: got %v, %v, want %v", s, pattern, got, likeMatch(parts, s), !got)
			}
		}
	}
}

// The text of a float reads back as the same float.
func TestFloatTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 20000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		s := string(appendFloat(nil, f))
		if got, code, reason := parseFloat(s); code != "" || got != f {
			t.Fatalf("%v: written %s, read %v %s", f, s, got, reason)
		}
	}
}
