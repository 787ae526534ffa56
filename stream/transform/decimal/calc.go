package decimal

import (
	"math/big"
	"math/bits"
)

// Calc is arithmetic that keeps its scratch memory for the rare results that pass through more than 128 bits. The zero
// value is ready; it is not safe for concurrent use.
type Calc struct {
	a, b, c, r big.Int
	wa, wb, wc []big.Word
}

// Add is a + b, of type t.
func (c *Calc) Add(a Num, sa int32, b Num, sb int32, t Type) (Num, bool) {
	s := max(sa, sb)
	if sa == sb && s == t.Scale {
		n, ok := add(a, b)
		return n, ok && Fits(n, t.Precision)
	}
	ma, na := split(a)
	mb, nb := split(b)
	xa, ok1 := ma.mul(power(s - sa))
	xb, ok2 := mb.mul(power(s - sb))
	if ok1 && ok2 && xa.hi>>62 == 0 && xb.hi>>62 == 0 {
		n, _ := add(xa.signed(na), xb.signed(nb))
		return Rescale(n, s, t.Scale, t.Precision)
	}
	c.load(&c.a, &c.wa, ma, na)
	c.load(&c.b, &c.wb, mb, nb)
	c.scale(&c.a, s-sa)
	c.scale(&c.b, s-sb)
	c.r.Add(&c.a, &c.b)
	return c.finish(s-t.Scale, t.Precision)
}

func add(a, b Num) (Num, bool) {
	n := a.Add(b)
	over := (a.HighBits() ^ n.HighBits()) & (b.HighBits() ^ n.HighBits())
	return n, over >= 0
}

// Mul is a * b, of type t, where scale is the sum of their scales.
func (c *Calc) Mul(a, b Num, scale int32, t Type) (Num, bool) {
	ma, na := split(a)
	mb, nb := split(b)
	if m, ok := ma.mul(mb); ok && m.hi>>63 == 0 {
		return Rescale(m.signed(na != nb), scale, t.Scale, t.Precision)
	}
	c.load(&c.a, &c.wa, ma, na)
	c.load(&c.b, &c.wb, mb, nb)
	c.r.Mul(&c.a, &c.b)
	return c.finish(scale-t.Scale, t.Precision)
}

// Div is a / b, of type t; b is not zero.
func (c *Calc) Div(a Num, sa int32, b Num, sb int32, t Type) (Num, bool) {
	ma, na := split(a)
	mb, nb := split(b)
	k := t.Scale + sb - sa
	if k >= 0 && k <= MaxPrecision {
		if m, ok := ma.mul(power(k)); ok {
			q := m.divRound(mb)
			return q.signed(na != nb), q.less(power(t.Precision))
		}
	}
	c.load(&c.a, &c.wa, ma, false)
	c.load(&c.b, &c.wb, mb, false)
	c.scale(&c.a, k)
	c.scale(&c.b, -k)
	return c.quotient(na != nb, t.Precision)
}

// Mod is a % b, of type t, with the sign of a; b is not zero.
func (c *Calc) Mod(a Num, sa int32, b Num, sb int32, t Type) (Num, bool) {
	ma, na := split(a)
	mb, nb := split(b)
	s := max(sa, sb)
	xa, ok1 := ma.mul(power(s - sa))
	xb, ok2 := mb.mul(power(s - sb))
	if ok1 && ok2 && xa.hi>>63 == 0 && xb.hi>>63 == 0 {
		_, r := xa.div(xb)
		return Rescale(r.signed(na), s, t.Scale, t.Precision)
	}
	c.load(&c.a, &c.wa, ma, na)
	c.load(&c.b, &c.wb, mb, nb)
	c.scale(&c.a, s-sa)
	c.scale(&c.b, s-sb)
	c.c.QuoRem(&c.a, &c.b, &c.r)
	return c.finish(s-t.Scale, t.Precision)
}

// Cmp compares two numbers of any scales: -1, 0, 1.
func (c *Calc) Cmp(a Num, sa int32, b Num, sb int32) int {
	if sa == sb {
		return a.Cmp(b)
	}
	ma, na := split(a)
	mb, nb := split(b)
	s := max(sa, sb)
	xa, ok1 := ma.mul(power(s - sa))
	xb, ok2 := mb.mul(power(s - sb))
	if ok1 && ok2 && xa.hi>>63 == 0 && xb.hi>>63 == 0 {
		return xa.signed(na).Cmp(xb.signed(nb))
	}
	c.load(&c.a, &c.wa, ma, na)
	c.load(&c.b, &c.wb, mb, nb)
	c.scale(&c.a, s-sa)
	c.scale(&c.b, s-sb)
	return c.a.Cmp(&c.b)
}

// load puts a number into x, in words that are kept in w.
func (c *Calc) load(x *big.Int, w *[]big.Word, m mag, neg bool) {
	*w = (*w)[:0]
	if bits.UintSize == 64 {
		*w = append(*w, big.Word(m.lo), big.Word(m.hi))
	} else {
		*w = append(*w, big.Word(uint32(m.lo)), big.Word(m.lo>>32), big.Word(uint32(m.hi)), big.Word(m.hi>>32)) //nolint:gosec // halves
	}
	x.SetBits(append(x.Bits()[:0], *w...))
	if neg {
		x.Neg(x)
	}
}

// scale multiplies x by 10^k, if k is above 0.
func (c *Calc) scale(x *big.Int, k int32) {
	for k > 0 {
		step := min(k, MaxPrecision)
		c.load(&c.c, &c.wc, power(step), false)
		c.r.Mul(x, &c.c)
		x.Set(&c.r)
		k -= step
	}
}

// finish drops digits from r, rounds and checks.
func (c *Calc) finish(drop, p int32) (Num, bool) {
	neg := c.r.Sign() < 0
	c.a.Abs(&c.r)
	c.b.SetInt64(1)
	c.scale(&c.b, drop)
	return c.quotient(neg, p)
}

// quotient is a / b, both positive, rounded half up.
func (c *Calc) quotient(neg bool, p int32) (Num, bool) {
	c.c.QuoRem(&c.a, &c.b, &c.r)
	if c.r.Lsh(&c.r, 1).Cmp(&c.b) >= 0 {
		c.b.SetInt64(1)
		c.a.Add(&c.c, &c.b)
	} else {
		c.a.Set(&c.c)
	}
	if c.a.BitLen() > 127 {
		return Num{}, false
	}
	var m mag
	for i, w := range c.a.Bits() {
		if bits.UintSize == 64 {
			if i == 0 {
				m.lo = uint64(w)
			} else {
				m.hi = uint64(w)
			}
			continue
		}
		if i < 2 {
			m.lo |= uint64(w) << (32 * i)
		} else {
			m.hi |= uint64(w) << (32 * (i - 2))
		}
	}
	return m.signed(neg), m.less(power(p))
}
