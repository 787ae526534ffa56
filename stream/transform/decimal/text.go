package decimal

import (
	"math"
	"strconv"
)

// Reason tells why a text is not a number of the wanted type.
type Reason uint8

// The reasons.
const (
	OK Reason = iota
	Malformed
	Overflow
)

// Parse reads [+-]digits[.digits][e[+-]digits], where digits may be missing on one side of the point, and nothing else: no
// spaces, no underscores, no inf. Digits beyond the scale are rounded.
func Parse(s string, t Type) (Num, Reason) {
	i, neg := 0, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	var m mag
	digits, point, over, roundUp, cut := 0, -1, false, false, int32(0)
	kept := 0 // significant digits in m
	for ; i < len(s); i++ {
		ch := s[i]
		if ch == '.' && point < 0 {
			point = digits
			continue
		}
		if ch < '0' || ch > '9' {
			break
		}
		digits++
		if kept >= MaxPrecision { // digits that cannot be held: they count as places, and the first of them rounds
			if cut == 0 {
				roundUp = ch >= '5'
			}
			cut++
			continue
		}
		m, _ = m.mul(mag{0, 10})
		m = m.add(mag{0, uint64(ch - '0')})
		if m != (mag{}) {
			kept++
		}
	}
	if digits == 0 {
		return Num{}, Malformed
	}
	scale := int64(0)
	if point >= 0 {
		scale = int64(digits - point)
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		e, ok := exponent(s[i+1:])
		if !ok {
			return Num{}, Malformed
		}
		scale -= e
		i = len(s)
	}
	if i < len(s) {
		return Num{}, Malformed
	}
	if m == (mag{}) {
		return Num{}, OK
	}
	scale -= int64(cut)
	switch {
	case scale > int64(t.Scale)+2*MaxPrecision:
		return Num{}, OK // far below the last digit
	case scale < int64(t.Scale)-MaxPrecision:
		return Num{}, Overflow
	}
	if drop := scale - int64(t.Scale); drop <= 0 {
		// All kept digits stay; a digit that was cut lies behind the last one only if nothing is appended.
		if cut > 0 && drop < 0 {
			return Num{}, Overflow
		}
		if cut > 0 && roundUp {
			m = m.add(mag{0, 1})
		}
		var ok bool
		if m, ok = m.mul(power(int32(-drop))); !ok {
			over = true
		}
	} else if drop > MaxPrecision {
		m = mag{}
	} else {
		m = m.divRound(power(int32(drop)))
	}
	if over || !m.less(power(t.Precision)) {
		return Num{}, Overflow
	}
	return m.signed(neg), OK
}

func exponent(s string) (int64, bool) {
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	if s == "" {
		return 0, false
	}
	e := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		e = min(e*10+int64(s[i]-'0'), math.MaxInt32)
	}
	if neg {
		e = -e
	}
	return e, true
}

// Append writes n with exactly scale digits behind the point.
func Append(dst []byte, n Num, scale int32) []byte {
	m, neg := split(n)
	var buf [48]byte
	i := len(buf)
	for k := int32(0); k <= scale || m != (mag{}); k++ {
		if k == scale && scale > 0 {
			i--
			buf[i] = '.'
		}
		var r mag
		if m.hi == 0 {
			r.lo, m.lo = m.lo%10, m.lo/10
		} else {
			m, r = m.div(mag{0, 10})
		}
		i--
		buf[i] = '0' + byte(r.lo)
	}
	if neg {
		dst = append(dst, '-')
	}
	return append(dst, buf[i:]...)
}

// String is n with exactly scale digits behind the point.
func String(n Num, scale int32) string { return string(Append(nil, n, scale)) }

// Float is the nearest float64.
func Float(n Num, scale int32) float64 {
	if i, ok := Int64(n); ok && scale <= 22 && i > -1<<53 && i < 1<<53 {
		return float64(i) / math.Pow10(int(scale)) // both exact, so the quotient is rounded once
	}
	var buf [48]byte
	f, _ := strconv.ParseFloat(string(Append(buf[:0], n, scale)), 64) // always a number
	return f
}

// FromFloat reads the shortest decimal text of f, as Spark does: 0.1 becomes 0.1. NaN and infinities are Malformed.
func FromFloat(f float64, t Type) (Num, Reason) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Num{}, Malformed
	}
	var buf [32]byte
	return Parse(string(strconv.AppendFloat(buf[:0], f, 'e', -1, 64)), t)
}
