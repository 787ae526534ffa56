package json_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
)

func dec(p, s int32) arrow.DataType { return &arrow.Decimal128Type{Precision: p, Scale: s} }

var (
	str = arrow.BinaryTypes.String
	bin = arrow.BinaryTypes.Binary
	i32 = arrow.PrimitiveTypes.Int32
	i64 = arrow.PrimitiveTypes.Int64
	f64 = arrow.PrimitiveTypes.Float64
	boo = arrow.FixedWidthTypes.Boolean
	day = arrow.FixedWidthTypes.Date32
	ts  = arrow.FixedWidthTypes.Timestamp_us
)

func opt(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

func req(name string, t arrow.DataType) arrow.Field { return arrow.Field{Name: name, Type: t} }

func newRow(t testing.TB, c json.Config, fields ...arrow.Field) decode.Row {
	t.Helper()
	r, err := json.New(c, arrow.NewSchema(fields, nil))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one decodes a single record, checks that a fault can be taken back, and returns the columns.
func one(t testing.TB, r decode.Row, record string) ([]*stream.Vec, decode.Notes, *decode.Fault) {
	t.Helper()
	b := stream.NewBatch(r.Schema())
	notes, f := r.Append([]byte(record), b.Cols)
	for i, c := range b.Cols {
		if f != nil {
			c.Truncate(0)
		}
		checkVec(t, r.Schema().Field(i).Name, c)
	}
	return b.Cols, notes, f
}

// checkVec checks that all parts of a column have the length they must have.
func checkVec(t testing.TB, name string, v *stream.Vec) {
	t.Helper()
	if v.N > 0 && len(v.Offsets) > 0 && len(v.Offsets) != v.N+1 {
		t.Fatalf("column %s: %d offsets for %d rows", name, len(v.Offsets), v.N)
	}
	want := v.N
	if len(v.Offsets) > 0 {
		want = int(v.Offsets[v.N])
	}
	switch v.Type.(type) {
	case *arrow.StringType, *arrow.BinaryType:
		if len(v.Bytes) != want {
			t.Fatalf("column %s: %d bytes, want %d", name, len(v.Bytes), want)
		}
	}
	for _, k := range v.Kids {
		if k.N != want {
			t.Fatalf("column %s: a child has %d rows, want %d", name, k.N, want)
		}
		checkVec(t, name+".", k)
	}
}

// show writes row i of a column for comparison.
func show(v *stream.Vec, i int) string {
	if v.IsNull(i) {
		return "null"
	}
	switch tt := v.Type.(type) {
	case *arrow.BooleanType:
		return strconv.FormatBool(v.Bits.Get(i))
	case *arrow.Int32Type:
		return strconv.Itoa(int(v.I32[i]))
	case *arrow.Int64Type:
		return strconv.FormatInt(v.I64[i], 10)
	case *arrow.Float64Type:
		return strconv.FormatFloat(v.F64[i], 'g', -1, 64)
	case *arrow.Decimal128Type:
		return v.Dec[i].ToString(tt.Scale)
	case *arrow.Date32Type:
		return time.Unix(int64(v.I32[i])*86400, 0).UTC().Format("2006-01-02")
	case *arrow.TimestampType:
		return time.UnixMicro(v.I64[i]).UTC().Format("2006-01-02T15:04:05.999999Z")
	case *arrow.StringType:
		return strconv.Quote(v.StringAt(i))
	case *arrow.BinaryType:
		return fmt.Sprintf("%x", v.BytesAt(i))
	case *arrow.MapType:
		var parts []string
		for j := int(v.Offsets[i]); j < int(v.Offsets[i+1]); j++ {
			parts = append(parts, show(v.Kids[0].Kids[0], j)+":"+show(v.Kids[0].Kids[1], j))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case *arrow.ListType:
		var parts []string
		for j := int(v.Offsets[i]); j < int(v.Offsets[i+1]); j++ {
			parts = append(parts, show(v.Kids[0], j))
		}
		return "[" + strings.Join(parts, ",") + "]"
	default:
		var parts []string
		for _, k := range v.Kids {
			parts = append(parts, show(k, i))
		}
		return "(" + strings.Join(parts, ",") + ")"
	}
}

// TestValues decodes {"c": <json>} into a column c. want is the value, or the code of the fault in angle brackets.
func TestValues(t *testing.T) {
	pair := arrow.StructOf(req("id", i64), opt("name", str))
	tests := []struct {
		typ        arrow.DataType
		json, want string
	}{
		{str, `"a"`, `"a"`}, {str, `""`, `""`}, {str, `null`, `null`}, {str, `1`, `<wrong_type>`}, {str, `true`, `<wrong_type>`},
		{str, `{"a":1}`, `<wrong_type>`}, {str, `"\u0000\u001f"`, `"\x00\x1f"`}, {str, `"\"\\\/\b\f\n\r\t"`, `"\"\\/\b\f\n\r\t"`},
		{str, `"\u00e4\u20AC\ud83d\ude00ä€😀"`, `"ä€😀ä€😀"`}, {str, "\"a\x00\"", `<bad_json>`}, {str, "\"a\tb\"", `<bad_json>`}, {str, "\"\x7f\"", `"\x7f"`},
		{str, `"\ud83d"`, `<bad_utf8>`}, {str, `"\ude00"`, `<bad_utf8>`}, {str, `"\ud83d\u0041"`, `<bad_utf8>`}, {str, `"\ud83dx"`, `<bad_utf8>`},
		{str, "\"\xff\"", `<bad_utf8>`}, {str, "\"\xc0\x80\"", `<bad_utf8>`}, {str, "\"\xed\xa0\x80\"", `<bad_utf8>`}, {str, "\"\xf4\x90\x80\x80\"", `<bad_utf8>`},
		{str, `"\x41"`, `<bad_json>`}, {str, `"\u12g4"`, `<bad_json>`}, {str, `"\u123"`, `<bad_json>`}, {str, `"0123456789abcdef\"0123456789"`, `"0123456789abcdef\"0123456789"`},
		{str, `"€uro and more text, longer than eight bytes"`, `"€uro and more text, longer than eight bytes"`},

		{boo, `true`, `true`}, {boo, `false`, `false`}, {boo, `"true"`, `<wrong_type>`}, {boo, `1`, `<wrong_type>`}, {boo, `tru`, `<bad_json>`}, {boo, `True`, `<bad_json>`},

		{i32, `0`, `0`}, {i32, `-0`, `0`}, {i32, `2147483647`, `2147483647`}, {i32, `-2147483648`, `-2147483648`}, {i32, `2147483648`, `<out_of_range>`},
		{i32, `-2147483649`, `<out_of_range>`}, {i32, `1.0`, `1`}, {i32, `1e2`, `100`}, {i32, `100e-2`, `1`}, {i32, `1.5`, `<wrong_type>`}, {i32, `1e-1`, `<wrong_type>`},
		{i32, `0e99999999999999999999`, `0`}, {i32, `1e99999999999999999999`, `<out_of_range>`}, {i32, `1e-99999999999999999999`, `<wrong_type>`},
		{i32, `"1"`, `<wrong_type>`}, {i32, `0.00000000000000000000000000000000000000001e41`, `1`}, {i32, `1` + strings.Repeat("0", 50) + `e-50`, `1`},

		{i64, `9007199254740993`, `9007199254740993`}, {i64, `9223372036854775807`, `9223372036854775807`}, {i64, `9223372036854775808`, `<out_of_range>`},
		{i64, `-9223372036854775808`, `-9223372036854775808`}, {i64, `-9223372036854775809`, `<out_of_range>`}, {i64, `18446744073709551616`, `<out_of_range>`},
		{i64, `9223372036854775807.000`, `9223372036854775807`}, {i64, `"9007199254740993"`, `9007199254740993`}, {i64, `"1e3"`, `1000`}, {i64, `" 1"`, `<wrong_type>`},
		{i64, `"01"`, `<wrong_type>`}, {i64, `""`, `<wrong_type>`}, {i64, `"\u0031"`, `1`}, {i64, `"0x10"`, `<wrong_type>`}, {i64, `100000000000000000000000000000000000000`, `<out_of_range>`},
		{i64, `1` + strings.Repeat("0", 400), `<out_of_range>`}, {i64, `1.` + strings.Repeat("0", 400), `1`}, {i64, `1.` + strings.Repeat("0", 400) + `1`, `<wrong_type>`},

		{f64, `0`, `0`}, {f64, `-0`, `-0`}, {f64, `-0.0`, `-0`}, {f64, `0.1`, `0.1`}, {f64, `1e308`, `1e+308`}, {f64, `1e400`, `<out_of_range>`}, {f64, `-1e400`, `<out_of_range>`},
		{f64, `1e-400`, `0`}, {f64, `5e-324`, `5e-324`}, {f64, `1.7976931348623157e308`, `1.7976931348623157e+308`}, {f64, `1.7976931348623159e308`, `<out_of_range>`},
		{f64, `9007199254740992`, `9.007199254740992e+15`}, {f64, `9007199254740993`, `<out_of_range>`}, {f64, `9007199254740994`, `9.007199254740994e+15`},
		{f64, `9007199254740993.0`, `9.007199254740992e+15`}, {f64, `18446744073709551616`, `1.8446744073709552e+19`}, {f64, `18446744073709552000`, `1.8446744073709552e+19`},
		{f64, `18446744073709551617`, `<out_of_range>`}, {f64, `NaN`, `<bad_json>`}, {f64, `Infinity`, `<bad_json>`}, {f64, `-Infinity`, `<bad_json>`}, {f64, `inf`, `<bad_json>`},
		{f64, `"1.5"`, `<wrong_type>`}, {f64, `0x1p4`, `<bad_json>`}, {f64, `1_000`, `<bad_json>`}, {f64, `123456789012345678e-17`, `1.2345678901234567`}, {f64, `0e999`, `0`},
		{f64, `2.2250738585072011e-308`, `2.225073858507201e-308`}, {f64, `8.9255e-22`, `8.9255e-22`}, {f64, `1e23`, `1e+23`},

		{dec(18, 2), `12.5`, `12.50`}, {dec(18, 2), `"12.50"`, `12.50`}, {dec(18, 2), `12.500`, `12.50`}, {dec(18, 2), `12.505`, `<out_of_range>`}, {dec(18, 2), `-12.5`, `-12.50`},
		{dec(18, 2), `-0`, `0.00`}, {dec(18, 2), `1e3`, `1000.00`}, {dec(18, 2), `125e-1`, `12.50`}, {dec(18, 2), `9999999999999999.99`, `9999999999999999.99`},
		{dec(18, 2), `10000000000000000`, `<out_of_range>`}, {dec(18, 2), `1e16`, `<out_of_range>`}, {dec(18, 2), `"twelve"`, `<wrong_type>`}, {dec(18, 2), `true`, `<wrong_type>`},
		{dec(38, 0), strings.Repeat("9", 38), strings.Repeat("9", 38)}, {dec(38, 0), `-` + strings.Repeat("9", 38), `-` + strings.Repeat("9", 38)},
		{dec(38, 0), strings.Repeat("9", 39), `<out_of_range>`}, {dec(38, 38), `0.` + strings.Repeat("0", 37) + `1`, `0.` + strings.Repeat("0", 37) + `1`},
		{dec(38, 38), `1e-38`, `0.` + strings.Repeat("0", 37) + `1`}, {dec(38, 38), `1`, `<out_of_range>`}, {dec(38, 9), `12345678901234567890123456789.123456789`, `12345678901234567890123456789.123456789`},
		{dec(38, 9), `9007199254740993.1`, `9007199254740993.100000000`}, {dec(5, 2), `999.99`, `999.99`}, {dec(5, 2), `1000`, `<out_of_range>`}, {dec(5, 2), `0.001`, `<out_of_range>`},
		{dec(5, 2), `1e-2000000000000`, `<out_of_range>`}, {dec(20, 1), `10000000000000000000`, `<out_of_range>`}, {dec(20, 0), `10000000000000000000`, `10000000000000000000`},

		{day, `"2026-01-31"`, `2026-01-31`}, {day, `"0001-01-01"`, `0001-01-01`}, {day, `"9999-12-31"`, `9999-12-31`}, {day, `"2024-02-29"`, `2024-02-29`}, {day, `"1900-02-29"`, `<bad_date>`},
		{day, `"2000-02-29"`, `2000-02-29`}, {day, `"2025-02-30"`, `<bad_date>`}, {day, `"0000-01-01"`, `<bad_date>`}, {day, `"2026-1-1"`, `<bad_date>`}, {day, `"2026-13-01"`, `<bad_date>`},
		{day, `"2026-01-31T00:00:00Z"`, `<bad_date>`}, {day, `20260131`, `<wrong_type>`}, {day, `"10000-01-01"`, `<bad_date>`}, {day, `"1969-12-31"`, `1969-12-31`}, {day, `"2026-01-00"`, `<bad_date>`}, {day, `"2026\u002d01-02"`, `2026-01-02`},

		{ts, `"2026-01-01T00:10:00Z"`, `2026-01-01T00:10:00Z`}, {ts, `"2026-01-01t00:10:00z"`, `2026-01-01T00:10:00Z`}, {ts, `"2026-01-01 00:10:00+02:00"`, `2025-12-31T22:10:00Z`},
		{ts, `"2026-01-01T00:10:00-05:30"`, `2026-01-01T05:40:00Z`}, {ts, `"2026-01-01T00:10:00-00:00"`, `2026-01-01T00:10:00Z`}, {ts, `"2026-01-01T00:10:00.1Z"`, `2026-01-01T00:10:00.1Z`},
		{ts, `"2026-01-01T00:10:00.123456789Z"`, `2026-01-01T00:10:00.123456Z`}, {ts, `"2026-01-01T00:10:00.9999999999999999999999Z"`, `2026-01-01T00:10:00.999999Z`},
		{ts, `"1969-12-31T23:59:59.9999999Z"`, `1969-12-31T23:59:59.999999Z`}, {ts, `"0001-01-01T00:00:00Z"`, `0001-01-01T00:00:00Z`}, {ts, `"9999-12-31T23:59:59.999999Z"`, `9999-12-31T23:59:59.999999Z`},
		{ts, `"0001-01-01T00:00:00+00:01"`, `<bad_timestamp>`}, {ts, `"9999-12-31T23:59:59-00:01"`, `<bad_timestamp>`}, {ts, `"0000-01-01T00:00:00Z"`, `<bad_timestamp>`},
		{ts, `"2026-01-01T00:10:00"`, `<bad_timestamp>`}, {ts, `"2026-01-01T00:10Z"`, `<bad_timestamp>`}, {ts, `"2026-01-01"`, `<bad_timestamp>`}, {ts, `"2026-01-01T24:00:00Z"`, `<bad_timestamp>`},
		{ts, `"2026-01-01T23:59:60Z"`, `<bad_timestamp>`}, {ts, `"2026-01-01T00:10:00.Z"`, `<bad_timestamp>`}, {ts, `"2026-01-01T00:10:00+0200"`, `<bad_timestamp>`}, {ts, `"2026-01-01T00:10:00+24:00"`, `<bad_timestamp>`},
		{ts, `"2026-01-01T00:10:00Zx"`, `<bad_timestamp>`}, {ts, `"2026-02-30T00:10:00Z"`, `<bad_timestamp>`}, {ts, `1767225600`, `<bad_timestamp>`}, {ts, `1767225600000`, `<bad_timestamp>`},
		{ts, `-1`, `<bad_timestamp>`}, {ts, `true`, `<wrong_type>`}, {ts, `""`, `<bad_timestamp>`}, {ts, `"2026-01-01T00:10:00,5Z"`, `<bad_timestamp>`}, {ts, `"+026-01-01T00:10:00Z"`, `<bad_timestamp>`},

		{bin, `""`, ``}, {bin, `"AAECAw=="`, `00010203`}, {bin, `"+/+/"`, `fbffbf`}, {bin, `"-_-_"`, `<bad_base64>`}, {bin, `"AAECAw"`, `<bad_base64>`}, {bin, `"AAECAx=="`, `<bad_base64>`},
		{bin, `"AAEC\nAw=="`, `<bad_base64>`}, {bin, `"\u0041AECAw=="`, `00010203`}, {bin, `7`, `<wrong_type>`},

		{pair, `{"id":1,"name":"a"}`, `(1,"a")`}, {pair, `{"name":"a","id":1}`, `(1,"a")`}, {pair, `{"id":1}`, `(1,null)`}, {pair, `{}`, `<missing_required>`}, {pair, `{"id":null}`, `<missing_required>`},
		{pair, `null`, `null`}, {pair, `[]`, `<wrong_type>`}, {pair, `{"id":1,"id":1}`, `<duplicate_key>`}, {pair, `{"id":1,"\u0069d":1}`, `<duplicate_key>`}, {pair, `{"id":1,"x":{"y":[{}]}}`, `(1,null)`},
		{pair, `{"id":"x"}`, `<wrong_type>`}, {pair, `{ "id" : 1 , "name" : null }`, `(1,null)`}, {pair, `{"id":1,}`, `<bad_json>`}, {pair, `{"id":1 "name":"a"}`, `<bad_json>`},

		{arrow.ListOf(i32), `[]`, `[]`}, {arrow.ListOf(i32), `[1,null,3]`, `[1,null,3]`}, {arrow.ListOf(i32), `[ 1 , 2 ]`, `[1,2]`}, {arrow.ListOf(i32), `[1,]`, `<bad_json>`}, {arrow.ListOf(i32), `[,1]`, `<bad_json>`},
		{arrow.ListOf(i32), `[1,"a"]`, `<wrong_type>`}, {arrow.ListOf(i32), `{}`, `<wrong_type>`}, {arrow.ListOf(i32), `[1`, `<bad_json>`}, {arrow.ListOf(i32), `[1 2]`, `<bad_json>`},
		{arrow.ListOfNonNullable(i32), `[null]`, `<missing_required>`}, {arrow.ListOf(pair), `[{"id":1},{"id":2,"name":"b"}]`, `[(1,null),(2,"b")]`}, {arrow.ListOf(pair), `[{"id":1},{}]`, `<missing_required>`},
		{arrow.ListOf(arrow.ListOf(str)), `[["a"],[],null]`, `[["a"],[],null]`},

		{arrow.MapOf(str, i64), `{}`, `{}`}, {arrow.MapOf(str, i64), `{"a":1,"b":null}`, `{"a":1,"b":null}`}, {arrow.MapOf(str, i64), `{"a":1,"a":2}`, `<duplicate_key>`}, {arrow.MapOf(str, i64), `{"a":1,"\u0061":2}`, `<duplicate_key>`},
		{arrow.MapOf(str, i64), `[]`, `<wrong_type>`}, {arrow.MapOf(str, i64), `{"a":1.5}`, `<wrong_type>`}, {arrow.MapOf(str, arrow.MapOf(str, str)), `{"a":{"a":"x"},"b":{"a":"y"}}`, `{"a":{"a":"x"},"b":{"a":"y"}}`},
		{arrow.MapOf(str, pair), `{"a":{"id":1}}`, `{"a":(1,null)}`}, {arrow.MapOf(str, i64), `{"":1}`, `{"":1}`}, {arrow.MapOf(str, i64), `{a:1}`, `<bad_json>`},
	}
	for _, tt := range tests {
		r := newRow(t, json.DefaultConfig(), opt("c", tt.typ))
		record := `{"c":` + tt.json + `}`
		cols, _, f := one(t, r, record)
		var got string
		if f != nil {
			got = "<" + f.Code + ">"
		} else {
			got = show(cols[0], 0)
		}
		if got != tt.want {
			t.Errorf("%s from %.80s: got %s, want %s (%+v)", tt.typ, record, got, tt.want, f)
		}
	}
}

func TestReasons(t *testing.T) {
	fields := []arrow.Field{
		req("id", str), opt("n", i32), opt("at", ts), opt("amount", dec(9, 2)), opt("f", f64),
		opt("lines", arrow.ListOf(arrow.StructOf(req("sku", str)))), opt("attrs", arrow.MapOf(str, i64)),
	}
	tests := []struct{ record, column, code, reason string }{
		{``, "", "empty_value", `a value of 0 bytes without anything in it`},
		{" \n", "", "empty_value", `a value of 2 bytes without anything in it`},
		{`{"id":"a"`, "", "bad_json", `not JSON: expected a comma or }, but the record ends at byte 9`},
		{`{"id":"a`, "", "bad_json", `not JSON: the record ends inside the string that begins at byte 6`},
		{`{"id":"a"} x`, "", "bad_json", `not JSON at byte 11: expected the end of the record, got x`},
		{`{"id":"a"}{"id":"b"}`, "", "bad_json", `not JSON at byte 10: expected the end of the record, got {"id":"b"}`},
		{`{"id":"a","n":tru}`, "", "bad_json", `not JSON at byte 17: expected true, got }`},
		{`{"id":"a","n":01}`, "", "bad_json", `not JSON at byte 15: expected a comma or }, got 1}`},
		{`{"id":"a","n":-}`, "", "bad_json", `not JSON at byte 15: expected a digit, got }`},
		{`{"id":"a","n":"b}`, "", "bad_json", `not JSON: the record ends inside the string that begins at byte 14`},
		{`{"id":"a","n":"b"}`, "n", "wrong_type", `column "n": expected an int32, got the string "b" at byte 14`},
		{`{"id":"a","n":2147483648}`, "n", "out_of_range", `column "n": 2147483648 at byte 14 is beyond int32`},
		{`{"id":"a","n":0.5}`, "n", "wrong_type", `column "n": expected an int32, got 0.5 at byte 14, which is not whole`},
		{`{"n":1}`, "id", "missing_required", `column "id": no key "id" in the object that ends at byte 6, but the column is required`},
		{`{"id":null}`, "id", "missing_required", `column "id": null at byte 6, but the column is required`},
		{`{"id":"a","at":1767225600}`, "at", "bad_timestamp", `column "at": the number 1767225600 at byte 15 is not taken for a timestamp: ` +
			`whether it counts seconds or milliseconds is not guessed; declare the column as int64 and convert it in a step`},
		{`{"id":"a","at":"2026-01-01T00:00:00"}`, "at", "bad_timestamp", `column "at": the string "2026-01-01T00:00:00" at byte 15 is no timestamp: it has no Z or offset, and a zone is not guessed`},
		{`{"id":"a","amount":0.125}`, "amount", "out_of_range", `column "amount": 0.125 at byte 19 has more than 2 digits behind the point, and decimal(9,2) is exact`},
		{`{"id":"a","f":9007199254740993}`, "f", "out_of_range", `column "f": 9007199254740993 at byte 14 would be rounded to 9007199254740992 by float64; declare the column as int64 or decimal`},
		{`{"id":"a","lines":[{"sku":"x"},{}]}`, "lines[].sku", "missing_required", `column "lines[].sku": no key "sku" in the object that ends at byte 32, but the column is required`},
		{`{"id":"a","attrs":{"x":"y"}}`, "attrs[]", "wrong_type", `column "attrs[]": expected an int64, got the string "y" at byte 23, which is no number`},
		{`{"id":"a","id":"b"}`, "", "duplicate_key", `key "id" comes twice in one object, the second time before byte 15`},
		{`{"id":"a","x":{"y":1,"y":2}}`, "", "duplicate_key", `key "y" comes twice in one object, the second time before byte 25`},
		{`[]`, "", "wrong_type", `expected an object, got an array`},
		{`7`, "", "wrong_type", `expected an object, got the number 7`},
		{`null`, "", "wrong_type", `expected an object, got null`},
		{`nul`, "", "bad_json", `not JSON: expected null, but the record ends at byte 3`},
		{"{\"id\":\"a\xff\"}", "", "bad_utf8", `invalid UTF-8 at byte 8`},
		{"{\"id\":\"a\nb\"}", "", "bad_json", `not JSON at byte 8: control character 0x0a in a string`},
	}
	r := newRow(t, json.DefaultConfig(), fields...)
	for _, tt := range tests {
		_, _, f := one(t, r, tt.record)
		if f == nil {
			t.Errorf("%s: got a row, want %s", tt.record, tt.code)
		} else if f.Column != tt.column || f.Code != tt.code || f.Reason != tt.reason {
			t.Errorf("%s:\n got %s %s: %s\nwant %s %s: %s", tt.record, f.Column, f.Code, f.Reason, tt.column, tt.code, tt.reason)
		}
	}
}

func TestPolicies(t *testing.T) {
	last := json.DefaultConfig()
	last.DuplicateKeys = "last_wins"
	extra := json.DefaultConfig()
	extra.ExtraFields = "dead_letter"
	repl := json.DefaultConfig()
	repl.InvalidUTF8 = "replace"
	tests := []struct {
		name   string
		c      json.Config
		typ    arrow.DataType
		record string
		want   string
		notes  decode.Notes
	}{
		{"last", last, str, `{"c":"a","c":"b"}`, `"b"`, decode.DuplicateTaken},
		{"last null", last, str, `{"c":"a","c":null}`, `null`, decode.DuplicateTaken},
		{"last in struct", last, arrow.StructOf(opt("x", arrow.ListOf(i64))), `{"c":{"x":[1,2],"x":[3]}}`, `([3])`, decode.DuplicateTaken},
		{"last struct", last, arrow.StructOf(opt("x", i64), opt("y", i64)), `{"c":{"x":1,"y":2},"c":{"x":3}}`, `(3,null)`, decode.DuplicateTaken},
		{"last in map", last, arrow.MapOf(str, arrow.ListOf(i64)), `{"c":{"a":[1],"b":[2],"a":[3],"a":[4]}}`, `{"b":[2],"a":[4]}`, decode.DuplicateTaken},
		{"last in skipped", last, str, `{"x":{"y":1,"y":2},"x":3,"c":"a"}`, `"a"`, decode.ExtraIgnored},
		{"last, the first is bad", last, i64, `{"c":"a","c":1}`, `<wrong_type>`, 0},
		{"ignored", json.DefaultConfig(), str, `{"x":[1,{"y":null}],"c":"a"}`, `"a"`, decode.ExtraIgnored},
		{"extra twice", json.DefaultConfig(), str, `{"x":1,"c":"a","x":1}`, `<duplicate_key>`, 0},
		{"same key in other objects", json.DefaultConfig(), str, `{"x":{"x":1},"y":[{"x":1},{"x":1}],"c":"a"}`, `"a"`, decode.ExtraIgnored},
		{"extra refused", extra, str, `{"c":"a","x":1}`, `<extra_field>`, 0},
		{"extra refused in struct", extra, arrow.StructOf(opt("x", i64)), `{"c":{"y":1}}`, `<extra_field>`, 0},
		{"case matters", extra, str, `{"C":"a"}`, `<extra_field>`, 0},
		{"replaced byte", repl, str, "{\"c\":\"a\xffb\xe2\x82\"}", `"a�b��"`, decode.TextReplaced},
		{"replaced surrogate", repl, str, `{"c":"\ud83d\u0041\ude00\ud83d\ud83d\ude00"}`, `"�A��😀"`, decode.TextReplaced},
		{"replaced in skipped", repl, str, "{\"c\":\"a\",\"x\":\"\xff\"}", `"a"`, decode.TextReplaced | decode.ExtraIgnored},
		{"replaced keys collide", repl, str, "{\"c\":\"a\",\"\xff\":1,\"\xfe\":1}", `<duplicate_key>`, 0},
		{"mark", json.DefaultConfig(), str, "\xef\xbb\xbf{\"c\":\"a\"}", `"a"`, decode.ByteOrderMark},
		{"two marks", json.DefaultConfig(), str, "\xef\xbb\xbf\xef\xbb\xbf{\"c\":\"a\"}", `<bad_json>`, 0},
		{"mark alone", json.DefaultConfig(), str, "\xef\xbb\xbf", `<empty_value>`, 0},
		{"invalid in skipped", json.DefaultConfig(), str, "{\"c\":\"a\",\"x\":\"\xff\"}", `<bad_utf8>`, 0},
		{"invalid key", json.DefaultConfig(), str, "{\"c\":\"a\",\"\xff\":1}", `<bad_utf8>`, 0},
	}
	for _, tt := range tests {
		cols, notes, f := one(t, newRow(t, tt.c, opt("c", tt.typ)), tt.record)
		var got string
		if f != nil {
			got = "<" + f.Code + ">"
		} else {
			got = show(cols[0], 0)
		}
		if got != tt.want || notes != tt.notes {
			t.Errorf("%s: got %s with notes %b, want %s with %b (%+v)", tt.name, got, notes, tt.want, tt.notes, f)
		}
	}
}

func TestBombs(t *testing.T) {
	wide := []arrow.Field{}
	for i := range 1000 {
		wide = append(wide, opt("f"+strconv.Itoa(i), i64))
	}
	keys := &strings.Builder{}
	for i := range 200_000 {
		fmt.Fprintf(keys, `"k%d":1,`, i)
	}
	tests := []struct{ name, record, code string }{
		{"deep arrays, skipped", `{"x":` + strings.Repeat("[", 100_000), "too_deep"},
		{"deep objects, skipped", strings.Repeat(`{"x":`, 100_000), "too_deep"},
		{"deep inside a list", `{"l":` + strings.Repeat("[", 100_000), "too_deep"},
		{"deep top level", strings.Repeat("[", 100_000), "too_deep"},
		{"as deep as may be", `{"x":` + strings.Repeat("[", json.MaxDepth-1) + strings.Repeat("]", json.MaxDepth-1) + `}`, ""},
		{"one deeper", `{"x":` + strings.Repeat("[", json.MaxDepth) + strings.Repeat("]", json.MaxDepth) + `}`, "too_deep"},
		{"many nulls out of nothing", `{"w":[` + strings.Repeat("{},", 100_000) + `{}]}`, "too_large"},
		{"many keys", `{` + keys.String() + `"l":[]}`, "too_large"},
		{"many keys in a map", `{"m":{` + keys.String() + `"l":1}}`, "too_large"},
		{"long string", `{"s":"` + strings.Repeat("x", 15<<20) + `"}`, ""},
		{"long number", `{"n":1` + strings.Repeat("0", 1<<20) + `}`, "out_of_range"},
	}
	r := newRow(t, json.DefaultConfig(), opt("l", arrow.ListOf(arrow.ListOf(i64))), opt("w", arrow.ListOf(arrow.StructOf(wide...))),
		opt("m", arrow.MapOf(str, i64)), opt("s", str), opt("n", i64))
	for _, tt := range tests {
		_, _, f := one(t, r, tt.record)
		code := ""
		if f != nil {
			code = f.Code
			if len(f.Reason) > 1000 {
				t.Errorf("%s: a reason of %d bytes", tt.name, len(f.Reason))
			}
		}
		if code != tt.code {
			t.Errorf("%s: got %q, want %q", tt.name, code, tt.code)
		}
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		fields []arrow.Field
	}{
		{"no columns", nil},
		{"Id and id", []arrow.Field{opt("Id", str), opt("id", str)}},
		{"Id and id in a struct", []arrow.Field{opt("s", arrow.StructOf(opt("Id", str), opt("id", str)))}},
		{"one name twice", []arrow.Field{opt("id", str), opt("id", i64)}},
		{"int16", []arrow.Field{opt("n", arrow.PrimitiveTypes.Int16)}},
		{"milliseconds", []arrow.Field{opt("n", arrow.FixedWidthTypes.Timestamp_ms)}},
		{"scale over precision", []arrow.Field{opt("n", dec(2, 3))}},
		{"map of ints", []arrow.Field{opt("m", arrow.MapOf(i64, str))}},
	}
	for _, tt := range tests {
		if _, err := json.New(json.DefaultConfig(), arrow.NewSchema(tt.fields, nil)); stream.Kind(err) != "permanent" {
			t.Errorf("%s: got %v, want a permanent error", tt.name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	if fs := json.DefaultConfig().Validate(); len(fs) != 0 {
		t.Errorf("the default: got %v", fs)
	}
	fs := json.Config{DuplicateKeys: "evolve", ExtraFields: "evolve", InvalidUTF8: ""}.Validate()
	var paths []string
	for _, f := range fs {
		paths = append(paths, f.Path+" "+f.Code)
	}
	if got, want := strings.Join(paths, ", "), "duplicate_keys E1210, extra_fields E1211, invalid_utf8 E1210"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNoAllocations(t *testing.T) {
	r := newRow(t, json.DefaultConfig(), ordersSchema().Fields()...)
	b := stream.NewBatch(r.Schema())
	value := []byte(strings.Replace(order, `{`, `{"extra":{"a":[1,"\u0041",{"b":null}]},"email2":1e5,`, 1))
	fill := func() {
		b.Reset()
		for range 100 {
			if _, f := r.Append(value, b.Cols); f != nil {
				t.Fatal(f)
			}
		}
	}
	fill()
	if n := testing.AllocsPerRun(5, fill); n != 0 {
		t.Errorf("got %v allocations for 100 records, want 0", n)
	}
}
