package json

import "math/bits"

// maxPrecision is what 128 bits hold: 10^38 < 2^127.
const maxPrecision = 38

// number is a JSON number that was read. Its value is ±mant × 10^exp, or, if it is long, what its text says.
type number struct {
	text  []byte // from the sign to the last digit
	mant  uint64
	exp   int
	coeff int // length of the part of text before the exponent
	neg   bool
	long  bool // more digits than mant holds
	whole bool // written without fraction and exponent
}

// maxExp is where exponents are cut: far above all that is held exactly, and above the digits of the largest record.
const maxExp = 1 << 30

// scanNumber reads the number that begins at b[i]. end is the first byte behind it, or the one that cannot be part of it.
// Grammar: RFC 8259 §6.
func scanNumber(b []byte, i int) (n number, end int, ok bool) {
	start := i
	if i < len(b) && b[i] == '-' {
		n.neg = true
		i++
	}
	if i >= len(b) || !isDigit(b[i]) {
		return n, i, false
	}
	digits := i
	if b[i] == '0' {
		i++
	} else {
		for ; i < len(b) && isDigit(b[i]); i++ {
			n.mant = n.mant*10 + uint64(b[i]-'0')
		}
	}
	count := i - digits
	n.whole = true
	if i < len(b) && b[i] == '.' {
		n.whole = false
		i++
		from := i
		for ; i < len(b) && isDigit(b[i]); i++ {
			n.mant = n.mant*10 + uint64(b[i]-'0')
		}
		if i == from {
			return n, i, false
		}
		n.exp = from - i
		count += i - from
	}
	n.long = count > 19 // 10^19 - 1 < 2^64
	n.coeff = i - start
	if i < len(b) && b[i]|0x20 == 'e' {
		n.whole = false
		var e int
		if i, e, ok = scanExponent(b, i+1); !ok {
			return n, i, false
		}
		n.exp += e
	}
	n.text = b[start:i]
	return n, i, true
}

func scanExponent(b []byte, i int) (end, e int, ok bool) {
	neg := false
	if i < len(b) && (b[i] == '+' || b[i] == '-') {
		neg = b[i] == '-'
		i++
	}
	from := i
	for ; i < len(b) && isDigit(b[i]); i++ {
		if e < maxExp {
			e = e*10 + int(b[i]-'0')
		}
	}
	if neg {
		e = -e
	}
	return i, e, i > from
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// number reads the number at d.i.
func (d *row) number() (number, bool) {
	n, end, ok := scanNumber(d.b, d.i)
	d.i = end
	if !ok {
		return n, d.syntax("a digit")
	}
	return n, true
}

type verdict uint8

const (
	fits verdict = iota
	fraction
	tooLarge
)

// exact is the number without its sign times 10^scale, if that is whole and below 10^38.
func (n *number) exact(scale int) (hi, lo uint64, v verdict) {
	shift := n.exp + scale
	switch {
	case n.long || shift < -19 || shift > 19:
		return n.exactText(scale)
	case shift >= 0:
		hi, lo = bits.Mul64(n.mant, pow10(shift))
		return hi, lo, fits
	default:
		q, r := n.mant/pow10(-shift), n.mant%pow10(-shift)
		if r != 0 {
			return 0, 0, fraction
		}
		return 0, q, fits
	}
}

// exactText is exact for numbers of many digits and large exponents.
func (n *number) exactText(scale int) (hi, lo uint64, v verdict) {
	text := n.text[:n.coeff]
	first, last, count, behind := -1, -1, 0, 0 // count: digits from first to last; behind: digits after last
	for i, c := range text {
		if !isDigit(c) {
			continue
		}
		if c != '0' {
			if first < 0 {
				first = i
			}
			count += behind + 1
			last, behind = i, 0
		} else if first >= 0 {
			behind++
		}
	}
	if first < 0 {
		return 0, 0, fits
	}
	shift := n.exp + behind + scale
	switch {
	case shift < 0:
		return 0, 0, fraction
	case count+shift > maxPrecision:
		return 0, 0, tooLarge
	}
	for _, c := range text[first : last+1] {
		if isDigit(c) {
			hi, lo = times10(hi, lo, uint64(c-'0'))
		}
	}
	for range shift {
		hi, lo = times10(hi, lo, 0)
	}
	return hi, lo, fits
}

func times10(hi, lo, add uint64) (uint64, uint64) {
	over, low := bits.Mul64(lo, 10)
	low, carry := bits.Add64(low, add, 0)
	return hi*10 + over + carry, low
}

// pow10 is 10^n for n up to 19.
func pow10(n int) uint64 { return powers[n] }

// below10 tells whether hi:lo is below 10^precision.
func below10(hi, lo uint64, precision int) bool {
	ph, pl := bits.Mul64(powers[min(precision, 19)], powers[max(precision-19, 0)])
	return hi < ph || hi == ph && lo < pl
}

//nolint:gochecknoglobals // a table that is never written
var powers = [20]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// simple is the number as a float64 if mant and the power of ten are exact and one operation, hence one rounding,
// makes it. See Clinger, How to Read Floating Point Numbers Accurately.
func (n *number) simple() (float64, bool) {
	if n.long || n.mant > 1<<53 || n.exp < -22 || n.exp > 22 {
		return 0, false
	}
	f := float64(n.mant)
	if n.exp < 0 {
		f /= tens[-n.exp]
	} else {
		f *= tens[n.exp]
	}
	if n.neg {
		f = -f
	}
	return f, true
}

//nolint:gochecknoglobals // a table that is never written
var tens = [23]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}
