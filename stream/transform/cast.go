package transform

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/moment"
)

// castKernel converts between two types, or says what to write instead of this cast.
func castKernel(from, to arrow.DataType) (kernel, string) {
	kf, kt := kindOf(from), kindOf(to)
	if kf == kindNest || kt == kindNest {
		return nil, "nested values cannot be cast; cast their fields"
	}
	switch kt {
	case kindStr:
		return toString(from), ""
	case kindBool:
		return toBool(kf), "compare instead, as in x <> 0"
	case kindI32, kindI64:
		if kf == kindTime {
			return nil, "write unix_micros(x)"
		}
		if kf == kindDate {
			return nil, "write date_diff(x, DATE '1970-01-01')"
		}
		if kt == kindI32 {
			return toInt(from, "int32", math.MinInt32, math.MaxInt32, func(i int64) int32 { return int32(i) }), "" //nolint:gosec // checked
		}
		return toInt(from, "int64", math.MinInt64, math.MaxInt64, func(i int64) int64 { return i }), ""
	case kindF64:
		return toFloat(from), "write unix_micros(x)"
	case kindDec:
		return toDecimal(from, decOf(to)), "write unix_micros(x)"
	case kindDate:
		return toDate(kf), "write date(from_unix_seconds(x)) or date(from_unix_millis(x)): nothing is guessed"
	case kindTime:
		return toTime(kf), "write from_unix_seconds(x) or from_unix_millis(x): nothing is guessed"
	case kindBin:
		if kf == kindStr {
			return map1(func(s string) string { return s }), ""
		}
		return nil, "cast it to string first"
	default:
	}
	return nil, ""
}

func toString(from arrow.DataType) kernel {
	switch k := kindOf(from); k {
	case kindBool:
		return map1(strconv.FormatBool)
	case kindBin:
		return try1(func(_ *ctx, s string) (string, string, string) {
			if !utf8.ValidString(s) {
				return "", CodeCast, quote(s) + " is not UTF-8"
			}
			return s, "", ""
		})
	case kindI32:
		return written(func(b []byte, x int32) []byte { return strconv.AppendInt(b, int64(x), 10) })
	case kindI64:
		return written(func(b []byte, x int64) []byte { return strconv.AppendInt(b, x, 10) })
	case kindF64:
		return written(appendFloat)
	case kindDate:
		return written(moment.AppendDate)
	case kindTime:
		return written(moment.AppendTimestamp)
	default:
	}
	scale := decOf(from).Scale
	return written(func(b []byte, n decimal.Num) []byte { return decimal.Append(b, n, scale) })
}

// written makes strings in the arena.
func written[A value](f func([]byte, A) []byte) kernel {
	return func(c *ctx, sel []int32, in []*col, out *col) {
		a := vals[A](in[0])
		for _, i := range sel {
			from := len(c.arena)
			c.arena = f(c.arena, a[i])
			out.str[i] = c.keep(from)
		}
	}
}

// appendFloat writes the shortest digits that read back as f: plain up to 21 digits, else with an exponent.
func appendFloat(b []byte, f float64) []byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

func toBool(from kind) kernel {
	if from != kindStr {
		return nil
	}
	return try1(func(_ *ctx, s string) (bool, string, string) {
		switch s {
		case "true", "TRUE", "True":
			return true, "", ""
		case "false", "FALSE", "False":
			return false, "", ""
		}
		return false, CodeCast, quote(s) + " is neither true nor false"
	})
}

func toInt[T integer](from arrow.DataType, name string, lo, hi int64, narrow func(int64) T) kernel {
	fit := func(i int64) (T, string, string) {
		if i < lo || i > hi {
			return 0, CodeOverflow, fmt.Sprintf("%d is too large for %s", i, name)
		}
		return narrow(i), "", ""
	}
	switch kindOf(from) {
	case kindBool:
		return map1(func(b bool) T { return T(boolInt(b)) }) //nolint:gosec // 0 or 1
	case kindI32:
		return map1(func(x int32) T { return narrow(int64(x)) })
	case kindI64:
		return try1(func(_ *ctx, x int64) (T, string, string) { return fit(x) })
	case kindF64:
		return try1(func(_ *ctx, f float64) (T, string, string) {
			if math.IsNaN(f) || f < -0x1p63 || f >= 0x1p63 {
				return 0, CodeOverflow, fmt.Sprintf("%v does not fit %s", f, name)
			}
			return fit(int64(f))
		})
	case kindStr:
		return try1(func(_ *ctx, s string) (T, string, string) {
			i, ok, over := parseInt(s)
			if over {
				return 0, CodeOverflow, quote(s) + " is too large for " + name
			}
			if !ok {
				return 0, CodeCast, quote(s) + " is not an integer"
			}
			return fit(i)
		})
	default:
	}
	scale := decOf(from).Scale
	return try1(func(_ *ctx, n decimal.Num) (T, string, string) {
		i, ok := decimal.Int64(decimal.Whole(n, scale))
		if !ok {
			return 0, CodeOverflow, decimal.String(n, scale) + " is too large for " + name
		}
		return fit(i)
	})
}

// parseInt reads [+-]digits and nothing else.
func parseInt(s string) (i int64, ok, over bool) {
	digits := s
	if s != "" && (s[0] == '-' || s[0] == '+') {
		digits = s[1:]
	}
	if digits == "" {
		return 0, false, false
	}
	for k := range len(digits) {
		if digits[k] < '0' || digits[k] > '9' {
			return 0, false, false
		}
	}
	i, err := strconv.ParseInt(s, 10, 64)
	return i, err == nil, err != nil
}

func toFloat(from arrow.DataType) kernel {
	switch kindOf(from) {
	case kindBool:
		return map1(func(b bool) float64 { return float64(boolInt(b)) })
	case kindI32:
		return map1(func(x int32) float64 { return float64(x) })
	case kindI64:
		return map1(func(x int64) float64 { return float64(x) })
	case kindStr:
		return try1(func(_ *ctx, s string) (float64, string, string) { return parseFloat(s) })
	case kindDec:
		scale := decOf(from).Scale
		return map1(func(n decimal.Num) float64 { return decimal.Float(n, scale) })
	default:
	}
	return nil
}

// parseFloat reads [+-]digits[.digits][e[+-]digits]: what ParseFloat takes beyond that (inf, nan, hex, underscores) is no
// number here, and one beyond the range is no infinity.
func parseFloat(s string) (float64, string, string) {
	if s == "" || s[0] != '-' && s[0] != '+' && s[0] != '.' && (s[0] < '0' || s[0] > '9') {
		return 0, CodeCast, quote(s) + " is not a number"
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-' {
			return 0, CodeCast, quote(s) + " is not a number"
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, CodeOverflow, quote(s) + " is too large for float64"
	}
	if err != nil {
		return 0, CodeCast, quote(s) + " is not a number"
	}
	return f, "", ""
}

func toDecimal(from arrow.DataType, t decimal.Type) kernel {
	name := fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	over := func(s string) string { return s + " is too large for " + name }
	rescale := func(n decimal.Num, scale int32) (decimal.Num, string, string) {
		r, ok := decimal.Rescale(n, scale, t.Scale, t.Precision)
		if !ok {
			return r, CodeOverflow, over(decimal.String(n, scale))
		}
		return r, "", ""
	}
	switch kindOf(from) {
	case kindBool:
		return try1(func(_ *ctx, b bool) (decimal.Num, string, string) {
			return rescale(decimal.FromInt(int64(boolInt(b))), 0)
		})
	case kindI32:
		return try1(func(_ *ctx, x int32) (decimal.Num, string, string) { return rescale(decimal.FromInt(int64(x)), 0) })
	case kindI64:
		return try1(func(_ *ctx, x int64) (decimal.Num, string, string) { return rescale(decimal.FromInt(x), 0) })
	case kindDec:
		scale := decOf(from).Scale
		return try1(func(_ *ctx, n decimal.Num) (decimal.Num, string, string) { return rescale(n, scale) })
	case kindF64:
		return try1(func(_ *ctx, f float64) (decimal.Num, string, string) {
			n, why := decimal.FromFloat(f, t)
			switch why {
			case decimal.Malformed:
				return n, CodeCast, fmt.Sprintf("%v is not a decimal", f)
			case decimal.Overflow:
				return n, CodeOverflow, over(strconv.FormatFloat(f, 'g', -1, 64))
			default:
			}
			return n, "", ""
		})
	case kindStr:
		return try1(func(_ *ctx, s string) (decimal.Num, string, string) {
			n, why := decimal.Parse(s, t)
			switch why {
			case decimal.Malformed:
				return n, CodeCast, quote(s) + " is not a number"
			case decimal.Overflow:
				return n, CodeOverflow, over(quote(s))
			default:
			}
			return n, "", ""
		})
	default:
	}
	return nil
}

func toDate(from kind) kernel {
	switch from {
	case kindStr:
		return try1(func(_ *ctx, s string) (int32, string, string) {
			d, ok := moment.ParseDate(s)
			if !ok {
				return 0, CodeCast, quote(s) + " is not a date like 2026-01-31"
			}
			return d, "", ""
		})
	case kindTime:
		return map1(moment.DayOf)
	default:
		return nil
	}
}

func toTime(from kind) kernel {
	switch from {
	case kindStr:
		return try1(func(_ *ctx, s string) (int64, string, string) {
			t, ok := moment.ParseTimestamp(s, false)
			if !ok {
				return 0, CodeCast, quote(s) + " is not a timestamp like 2026-01-31T23:59:59Z"
			}
			return t, "", ""
		})
	case kindDate:
		return map1(func(d int32) int64 { return int64(d) * moment.Day })
	default:
		return nil
	}
}
