package json_test

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
)

// numberText makes numbers of all shapes: long, with zeros in front and behind, near the limits of the types.
func numberText(m maker) string {
	near := []string{"2147483647", "2147483648", "9223372036854775807", "9223372036854775808", "9007199254740993", "18446744073709551615", "18446744073709551616",
		strings.Repeat("9", 38), "1" + strings.Repeat("0", 38), "9999999999999999999", "10000000000000000000"}
	digits := near[m.IntN(len(near))]
	if m.IntN(3) > 0 {
		b := make([]byte, 1+m.IntN(45))
		for i := range b {
			b[i] = "0123456789000999"[m.IntN(16)]
		}
		digits = string(b)
	}
	digits += strings.Repeat("0", m.IntN(3)*m.IntN(20))
	point := m.IntN(len(digits) + 1)
	s := strings.TrimLeft(digits[:point], "0")
	if s == "" {
		s = "0"
	}
	if point < len(digits) {
		s += "." + digits[point:]
	}
	if m.IntN(2) == 0 {
		s += []string{"e", "E", "e+", "e-", "E-"}[m.IntN(5)] + strconv.Itoa(m.IntN(60))
	}
	if m.IntN(2) == 0 {
		s = "-" + s
	}
	return s
}

// TestNumbersAgainstBigRationals decodes numbers into every type and compares with exact arithmetic.
func TestNumbersAgainstBigRationals(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	types := []arrow.DataType{i32, i64, f64, dec(18, 2), dec(38, 0), dec(38, 38), dec(38, 10), dec(5, 2), dec(1, 1), dec(20, 0)}
	var fields []arrow.Field
	for i, typ := range types {
		fields = append(fields, opt("c"+strconv.Itoa(i), typ))
	}
	rows := make([]decode.Row, len(types))
	for i := range types {
		rows[i] = newRow(t, json.DefaultConfig(), fields[i])
	}
	for range 20_000 {
		text := numberText(m)
		value, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatal(text)
		}
		for i, typ := range types {
			cols, _, f := one(t, rows[i], `{"c`+strconv.Itoa(i)+`":`+text+`}`)
			var got string
			want := exactly(typ, text, value)
			if f != nil {
				got = "<" + f.Code + ">"
			} else {
				got = show(cols[0], 0)
			}
			if got != want {
				t.Fatalf("%s as %s: got %s, want %s", text, typ, got, want)
			}
		}
	}
}

func exactly(typ arrow.DataType, text string, x *big.Rat) string {
	whole := func(low, high int64) string {
		switch {
		case !x.IsInt():
			return "<wrong_type>"
		case !x.Num().IsInt64() || x.Num().Int64() < low || x.Num().Int64() > high:
			return "<out_of_range>"
		}
		return x.Num().String()
	}
	switch typ := typ.(type) {
	case *arrow.Int32Type:
		return whole(math.MinInt32, math.MaxInt32)
	case *arrow.Int64Type:
		return whole(math.MinInt64, math.MaxInt64)
	case *arrow.Float64Type:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "<out_of_range>"
		}
		if !strings.ContainsAny(text, ".eE") && new(big.Rat).SetFloat64(f).Cmp(x) != 0 && strconv.FormatFloat(f, 'f', -1, 64) != text {
			return "<out_of_range>"
		}
		return strconv.FormatFloat(f, 'g', -1, 64)
	case *arrow.Decimal128Type:
		pow := func(n int32) *big.Rat {
			return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil))
		}
		scaled := new(big.Rat).Mul(x, pow(typ.Scale))
		if !scaled.IsInt() || new(big.Rat).Abs(scaled).Cmp(pow(typ.Precision)) >= 0 {
			return "<out_of_range>"
		}
		return x.FloatString(int(typ.Scale))
	}
	panic(typ)
}

// stamp is RFC 3339 §5.6 with the liberties of its notes, less leap seconds.
var stamp = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3])(:[0-5]\d:[0-5]\d)(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// TestTimestampsAgainstStandardLibrary changes bytes of timestamps and compares with package time, which knows the calendar.
func TestTimestampsAgainstStandardLibrary(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(5, 6))}
	r := newRow(t, json.DefaultConfig(), opt("c", ts))
	years := []string{"0000", "0001", "0004", "0100", "0400", "1583", "1900", "1969", "1970", "2000", "2024", "2025", "2100", "9999"}
	zones := []string{"Z", "z", "+00:00", "-00:00", "+23:59", "-23:59", "+05:30", "", "+24:00", "+0100", "+01"}
	taken := 0
	for range 50_000 {
		two := func(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }
		s := years[m.IntN(len(years))] + "-" + two(m.IntN(14)) + "-" + two(m.IntN(33)) + "Tt "[m.IntN(3):][:1] + two(m.IntN(25)) + ":" + two(m.IntN(61)) + ":" + two(m.IntN(61))
		if m.IntN(2) == 0 {
			s += "." + strconv.FormatUint(m.Uint64(), 10)[:1+m.IntN(15)]
		}
		b := []byte(s + zones[m.IntN(len(zones))])
		if m.IntN(4) == 0 {
			b[m.IntN(len(b))] = "0:-.TZ+ 9/,"[m.IntN(11)]
		}
		s = string(b)
		want := int64(math.MinInt64)
		if stamp.MatchString(s) {
			at, err := time.Parse(time.RFC3339Nano, string(bytes.Replace(bytes.ToUpper(b), []byte(" "), []byte("T"), 1)))
			if utc := at.UTC(); err == nil && s[:4] != "0000" && utc.Year() >= 1 && utc.Year() <= 9999 {
				want = at.Unix()*1e6 + int64(at.Nanosecond()/1000)
			}
		}
		cols, _, f := one(t, r, `{"c":"`+s+`"}`)
		switch {
		case f == nil && want == math.MinInt64:
			t.Fatalf("%s was taken as %s", s, show(cols[0], 0))
		case f != nil && (want != math.MinInt64 || f.Code != decode.BadTimestamp):
			t.Fatalf("%s: %s", s, f.Reason)
		case f == nil && cols[0].I64[0] != want:
			t.Fatalf("%s: got %d, want %d", s, cols[0].I64[0], want)
		case f == nil:
			taken++
		}
	}
	if taken < 5000 {
		t.Errorf("only %d timestamps were taken", taken)
	}
}
