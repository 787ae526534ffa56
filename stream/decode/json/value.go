package json

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
)

func (d *row) stringValue(n *node, v *stream.Vec) bool {
	if d.b[d.i] != '"' {
		return d.wrong(n)
	}
	s, ok := d.text()
	if ok {
		v.AppendBytes(s)
	}
	return ok
}

func (d *row) boolValue(n *node, v *stream.Vec) bool {
	switch d.b[d.i] {
	case 't':
		v.AppendBool(true)
		return d.literal("true")
	case 'f':
		v.AppendBool(false)
		return d.literal("false")
	}
	return d.wrong(n)
}

// exactValue appends to a column of int32, int64 or decimal.
func (d *row) exactValue(n *node, v *stream.Vec) bool {
	at := d.i
	var num number
	switch c := d.b[at]; {
	case c == '-' || isDigit(c):
		var ok bool
		if num, ok = d.number(); !ok {
			return false
		}
	case c == '"' && n.kind != kindInt32:
		s, ok := d.text()
		if !ok {
			return false
		}
		var end int
		if num, end, ok = scanNumber(s, 0); !ok || end != len(s) {
			return d.fail(n, decode.WrongType, "expected %s, got %s at byte %d, which is no number", article(n.typ), describe(d.b[at:d.i]), at)
		}
	default:
		return d.wrong(n)
	}
	hi, lo, verdict := num.exact(n.scale)
	switch {
	case verdict == fraction && n.kind == kindDecimal:
		return d.fail(n, decode.OutOfRange, "%s at byte %d has more than %d digits behind the point, and %s is exact", clip(num.text, 64), at, n.scale, n.typ)
	case verdict == fraction:
		return d.fail(n, decode.WrongType, "expected %s, got %s at byte %d, which is not whole", article(n.typ), clip(num.text, 64), at)
	case verdict == tooLarge || !n.append(v, hi, lo, num.neg):
		return d.fail(n, decode.OutOfRange, "%s at byte %d is beyond %s", clip(num.text, 64), at, n.typ)
	}
	return true
}

// append adds ±hi:lo if it is in n's range.
func (n *node) append(v *stream.Vec, hi, lo uint64, neg bool) bool {
	if n.kind == kindDecimal {
		if !below10(hi, lo, n.precision) {
			return false
		}
		x := decimal128.New(int64(hi), lo) //nolint:gosec // below 10^38 < 2^127
		if neg {
			x = x.Negate()
		}
		v.AppendDec(x)
		return true
	}
	limit := uint64(math.MaxInt64)
	if n.kind == kindInt32 {
		limit = math.MaxInt32
	}
	if neg {
		limit++
	}
	if hi != 0 || lo > limit {
		return false
	}
	x := int64(lo) //nolint:gosec // 1<<63 becomes the smallest int64, as which it is meant
	if neg {
		x = -x
	}
	if n.kind == kindInt32 {
		v.AppendI32(int32(x)) //nolint:gosec // checked above
	} else {
		v.AppendI64(x)
	}
	return true
}

func (d *row) floatValue(n *node, v *stream.Vec) bool {
	at := d.i
	if c := d.b[at]; c != '-' && !isDigit(c) {
		return d.wrong(n)
	}
	num, ok := d.number()
	if !ok {
		return false
	}
	f, ok := num.simple()
	if !ok {
		var err error
		// ParseFloat's leniencies (inf, hex, underscores) are behind the JSON grammar.
		if f, err = strconv.ParseFloat(unsafe.String(unsafe.SliceData(num.text), len(num.text)), 64); err != nil {
			return d.fail(n, decode.OutOfRange, "%s at byte %d is beyond float64", clip(num.text, 64), at)
		}
		if num.whole && !d.keepsWhole(num, f) {
			return d.fail(n, decode.OutOfRange, "%s at byte %d would be rounded to %.0f by float64; declare the column as int64 or decimal", clip(num.text, 64), at, f)
		}
	}
	v.AppendF64(f)
	return true
}

// keepsWhole tells whether the whole number that became f is f, exactly or as f is written shortest: JavaScript and
// others write 2^64 as 18446744073709552000.
func (d *row) keepsWhole(num number, f float64) bool {
	text := num.text
	if num.neg {
		text = text[1:]
	}
	f = math.Abs(f)
	d.digits = strconv.AppendFloat(d.digits[:0], f, 'f', -1, 64)
	if string(d.digits) == string(text) {
		return true
	}
	d.digits = strconv.AppendFloat(d.digits[:0], f, 'f', 0, 64)
	return string(d.digits) == string(text)
}

func (d *row) timeValue(n *node, v *stream.Vec) bool {
	at := d.i
	if d.b[at] != '"' {
		return d.wrong(n)
	}
	s, ok := d.text()
	if !ok {
		return false
	}
	if n.kind == kindDate {
		days, why := parseDate(s)
		if why != "" {
			return d.fail(n, decode.BadDate, "%s at byte %d is no date: %s", describe(d.b[at:d.i]), at, why)
		}
		v.AppendI32(int32(days)) //nolint:gosec // years 1 to 9999
		return true
	}
	us, why := parseTimestamp(s)
	if why != "" {
		return d.fail(n, decode.BadTimestamp, "%s at byte %d is no timestamp: %s", describe(d.b[at:d.i]), at, why)
	}
	v.AppendI64(us)
	return true
}

func (d *row) bytesValue(n *node, v *stream.Vec) bool {
	at := d.i
	if d.b[at] != '"' {
		return d.wrong(n)
	}
	s, ok := d.text()
	if !ok {
		return false
	}
	old := len(v.Bytes)
	v.Bytes = slices.Grow(v.Bytes, base64.StdEncoding.DecodedLen(len(s)))
	m, err := d.base64.Decode(v.Bytes[old:cap(v.Bytes)], s)
	// The standard decoder passes over line ends.
	if err != nil || strings.ContainsAny(unsafe.String(unsafe.SliceData(s), len(s)), "\r\n") {
		return d.fail(n, decode.BadBase64, "%s at byte %d is not base64 (standard alphabet, padded)", describe(d.b[at:d.i]), at)
	}
	v.Bytes = v.Bytes[:old+m]
	v.EndRow()
	return true
}
