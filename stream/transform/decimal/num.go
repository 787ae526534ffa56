package decimal

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

// Num is an unscaled value.
type Num = decimal128.Num

// mag is the size of a number without its sign.
type mag struct{ hi, lo uint64 }

func split(n Num) (mag, bool) {
	hi, lo := uint64(n.HighBits()), n.LowBits() //nolint:gosec // two's complement
	if n.HighBits() >= 0 {
		return mag{hi, lo}, false
	}
	lo, borrow := bits.Sub64(0, lo, 0)
	hi, _ = bits.Sub64(0, hi, borrow)
	return mag{hi, lo}, true
}

func (m mag) signed(neg bool) Num {
	if neg {
		lo, borrow := bits.Sub64(0, m.lo, 0)
		hi, _ := bits.Sub64(0, m.hi, borrow)
		return decimal128.New(int64(hi), lo) //nolint:gosec // two's complement
	}
	return decimal128.New(int64(m.hi), m.lo) //nolint:gosec // callers keep below 10^38 < 2^127
}

func (m mag) less(o mag) bool { return m.hi < o.hi || m.hi == o.hi && m.lo < o.lo }

// add is for sums below 2^128.
func (m mag) add(o mag) mag {
	lo, c := bits.Add64(m.lo, o.lo, 0)
	hi, _ := bits.Add64(m.hi, o.hi, c)
	return mag{hi, lo}
}

func (m mag) sub(o mag) mag {
	lo, b := bits.Sub64(m.lo, o.lo, 0)
	hi, _ := bits.Sub64(m.hi, o.hi, b)
	return mag{hi, lo}
}

// mul is false when the product needs more than 128 bits.
func (m mag) mul(o mag) (mag, bool) {
	hi, lo := bits.Mul64(m.lo, o.lo)
	if m.hi|o.hi == 0 {
		return mag{hi, lo}, true
	}
	if m.hi != 0 && o.hi != 0 {
		return mag{}, false
	}
	h1, l1 := bits.Mul64(m.hi, o.lo)
	h2, l2 := bits.Mul64(m.lo, o.hi)
	cross, c := bits.Add64(l1, l2, 0)
	sum, c2 := bits.Add64(hi, cross, 0)
	return mag{sum, lo}, h1|h2|c|c2 == 0
}

// div is quotient and remainder; d is not zero.
func (m mag) div(d mag) (q, r mag) {
	if d.hi == 0 {
		qhi, rest := m.hi/d.lo, m.hi%d.lo
		qlo, rest := bits.Div64(rest, m.lo, d.lo)
		return mag{qhi, qlo}, mag{0, rest}
	}
	// The divisor has more than 64 bits, so the quotient has less: estimate it from the high words, one too small at most.
	n := bits.LeadingZeros64(d.hi)
	top := d.hi<<n | d.lo>>(64-n)
	if n == 0 {
		top = d.hi
	}
	est, _ := bits.Div64(m.hi>>1, m.hi<<63|m.lo>>1, top)
	est >>= 63 - n
	if est != 0 {
		est--
	}
	p, _ := d.mul(mag{0, est})
	r = m.sub(p)
	if !r.less(d) {
		est++
		r = r.sub(d)
	}
	return mag{0, est}, r
}

// divRound is m / d, rounded half up.
func (m mag) divRound(d mag) mag {
	q, r := m.div(d)
	if rest := d.sub(r); !r.less(rest) {
		q = q.add(mag{0, 1})
	}
	return q
}

// power is 10^k, k from 0 to 38.
func power(k int32) mag {
	n := decimal128.GetScaleMultiplier(int(k))
	return mag{uint64(n.HighBits()), n.LowBits()} //nolint:gosec // positive
}

// Fits tells whether n has at most p digits.
func Fits(n Num, p int32) bool {
	m, _ := split(n)
	return m.less(power(p))
}

// FromInt is an integer as a number of scale 0.
func FromInt(i int64) Num { return decimal128.New(i>>63, uint64(i)) } //nolint:gosec // sign extension

// Rescale changes the number of digits behind the point and is false when the result has more than p digits.
func Rescale(n Num, from, to, p int32) (Num, bool) {
	if from == to {
		return n, Fits(n, p)
	}
	m, neg := split(n)
	if to > from {
		if to-from > MaxPrecision {
			return n, m == mag{}
		}
		var ok bool
		if m, ok = m.mul(power(to - from)); !ok {
			return n, false
		}
	} else if from-to > MaxPrecision {
		m = mag{}
	} else {
		m = m.divRound(power(from - to))
	}
	if !m.less(power(p)) {
		return n, false
	}
	return m.signed(neg), true
}

// Whole is the part before the point, cut towards zero.
func Whole(n Num, scale int32) Num {
	m, neg := split(n)
	q, _ := m.div(power(scale))
	return q.signed(neg)
}

// Round rounds to digits behind the point (before it, if negative) and keeps the scale. up: 0 rounds half away from zero,
// +1 towards larger, -1 towards smaller numbers. It is false when the result has more than p digits.
func Round(n Num, scale, digits int32, up int, p int32) (Num, bool) {
	if digits >= scale {
		return n, true
	}
	m, neg := split(n)
	if scale-digits > MaxPrecision {
		if up == 0 || m == (mag{}) || (up > 0) == neg {
			return Num{}, true
		}
		return n, false
	}
	unit := power(scale - digits)
	q, r := m.div(unit)
	away := !r.less(unit.sub(r))
	if up != 0 {
		away = r != mag{} && (up > 0) != neg
	}
	if away {
		q = q.add(mag{0, 1})
	}
	q, ok := q.mul(unit)
	return q.signed(neg), ok && q.less(power(p))
}

// Int64 is n of scale 0 as an integer, and false if it is none.
func Int64(n Num) (int64, bool) {
	i := int64(n.LowBits()) //nolint:gosec // checked
	return i, n.HighBits() == i>>63
}
