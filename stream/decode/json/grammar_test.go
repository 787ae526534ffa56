package json_test

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
)

// accepted and refused are JSON texts by RFC 8259, each tried as a value that is skipped, and inside an array.
var accepted = []string{
	`null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `10`, `1.0`, `0.10`, `1e1`, `1E1`, `1e+1`, `1e-1`, `1.5e01`, `0e0`, `-0.0e-00`, `123456789012345678901234567890`,
	`1e999999`, `-1e-999999`, `0.` + strings.Repeat("0", 100) + `1`,
	`""`, `"a"`, `"\""`, `"\\"`, `"\/"`, `"\b\f\n\r\t"`, `"\u0000"`, `"\uFFFF"`, `"\uABCD\uabcd"`, `"\ud834\udd1e"`, `"\uD834\uDD1E"`, "\"\x7f\"", `"é"`, `"€"`, `"𝄞"`, `"﷐"`, "\"\u2028\u2029\"",
	`"/*x*/"`, `"\u005C\u0022"`, `"1234567"`, `"12345678"`, `"123456789"`, "\"\xf4\x8f\xbf\xbf\"", "\"\xef\xbb\xbf\"",
	`[]`, `[ ]`, `[1]`, `[1,2]`, `[ 1 , 2 ]`, "[\n\t\r 1\n\t\r ]", `[[]]`, `[[],[[]]]`, `[null,true,false,0,"",{},[]]`, `[1e1]`, `[-0]`, `["",""]`,
	`{}`, `{ }`, `{"a":1}`, `{ "a" : 1 }`, `{"":0}`, `{"a":{"a":{"a":1}}}`, `{"a":[],"b":{}}`, "{\"a\"\n:\t1\r,\n\"b\":2}", `{"\u0061":1,"b":1}`, `{"a":null,"A":null}`, `{"\u0000":1}`,
}

var refused = []string{
	``, ` `, `nul`, `nullx`, `Null`, `TRUE`, `tru`, `fals`, `undefined`, `NaN`, `-NaN`, `Infinity`, `-Infinity`, `inf`, `nan`,
	`+1`, `-`, `--1`, `- 1`, `01`, `-01`, `00`, `1.`, `.1`, `-.1`, `1.e1`, `1e`, `1e+`, `1E-`, `1e1.5`, `1e1e1`, `1.1.1`, `0x1`, `0b1`, `1_000`, `1,000`, `1a`, `1f`, `1 2`, `１`, `1e０`, `0e`, `-a`, `1-1`, `1+1`,
	`"`, `"a`, `'a'`, `a`, `"a\"`, `"\`, `"\x41"`, `"\a"`, `"\'"`, `"\u"`, `"\u1"`, `"\u12"`, `"\u123"`, `"\u123g"`, `"\U0041"`, `"\u 123"`, `"\u+123"`, "\"\x00\"", "\"\n\"", "\"\t\"", "\"\x1f\"", "\"01234567\x01\"", `""a`, `"a""b"`, "\"a\\\nb\"", `\u0022a"`,
	`[`, `]`, `[,]`, `[1,]`, `[,1]`, `[1,,2]`, `[1 2]`, `[1`, `[1,`, `[[1]`, `[1]]`, `[}`, `[1}`, `[a]`, `["a]`, `[1:2]`, `[1;2]`, `(1)`, "[\x0b1]", "[\x0c1]", "[\u00a01]", "[\u20601]", `[/*x*/1]`, "[1//x\n]", `[#]`, "[1\x00]", `[-]`, `[""`, `["": 1]`,
	`{`, `}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,"a":1}`, `{"a":1,,"b":2}`, `{"a":1 "b":2}`, `{a:1}`, `{'a':1}`, `{1:1}`, `{null:1}`, `{"a"::1}`, `{"a" 1}`, `{"a",1}`, `{"a":1`, `{"a":`, `{"a"`, `{"a`, `{"a":1]`, `{[]:1}`, `{{}:1}`, `{"a":1}}`, `{"a":1;}`, `{"a"=1}`, `{"a":1:2}`, `{:1}`, `{"a":"b`, `{"a":1}{`, `{"a":a}`, `{"a":1,"b"}`, `{"a":1,b:2}`, "{\"a\x00\":1}", `{"a": /*x*/ 1}`,
	"\xef\xbb\xbf1", "\xff", "[\xff]", "\xfe\xff", `<x/>`, `*`, `$`, `,`, `:`, `\`,
}

// notText are well-formed but for their text.
var notText = []string{
	"\"\xff\"", "\"\x80\"", "\"\xc3\"", "\"\xc3\x28\"", "\"\xc0\xaf\"", "\"\xe2\x82\"", "\"\xed\xa0\x80\"", "\"\xf0\x80\x80\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf8\x88\x80\x80\x80\"", "\"12345678\xff\"", "\"\xff\\n\"", "\"\\n\xff\"",
	`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800a"`, `"\ud800\n"`, `"\ud800\u0041"`, "{\"\xff\":1}", `{"\ud800":1}`,
}

func wrappings(s string) []string {
	return []string{`{"x":` + s + `}`, `{"x":[` + s + `],"c":1}`, `{"c":1,"x":{"y":` + s + `}}`, ` { "x" : ` + s + ` } `}
}

func TestGrammar(t *testing.T) {
	r := newRow(t, json.DefaultConfig(), opt("c", i32))
	check := func(texts []string, code string) {
		for _, s := range texts {
			for _, record := range wrappings(s) {
				if s == "1,000" || strings.TrimSpace(s) == "" && strings.Contains(record, "[") {
					continue // two elements, or none
				}
				_, _, f := one(t, r, record)
				if code == "" && f != nil {
					t.Errorf("%.80q: got %s: %s, want a row", record, f.Code, f.Reason)
				} else if code != "" && (f == nil || f.Code != code) {
					t.Errorf("%.80q: got %+v, want %s", record, f, code)
				}
				if valid := stdjson.Valid([]byte(record)); code != decode.BadUTF8 && valid != (code == "") {
					t.Errorf("%.80q is in the wrong list", record)
				}
			}
		}
	}
	check(accepted, "")
	check(refused, decode.BadJSON)
	check(notText, decode.BadUTF8)
}

// TestEveryPrefixIsRefused cuts a record with everything in it at each byte.
func TestEveryPrefixIsRefused(t *testing.T) {
	record := `{"order_id":"a\u00e4😀","amount":1.5e1,"created_at":"2026-01-01T00:00:00Z","customer_id":"c","x":[true,null,{"y":-1}]}`
	r := newRow(t, json.DefaultConfig(), ordersSchema().Fields()...)
	for n := range len(record) {
		if _, _, f := one(t, r, record[:n]); f == nil || f.Code != decode.BadJSON && f.Code != decode.BadUTF8 && n > 0 {
			t.Errorf("%d bytes: got %+v, want bad_json", n, f)
		}
	}
	if _, _, f := one(t, r, record); f != nil {
		t.Errorf("the whole record: got %+v", f)
	}
}

// FuzzAgainstStandardLibrary checks that the same records are JSON for encoding/json, that text is unescaped alike, and that a fault
// in any place can be taken back without a trace.
func FuzzAgainstStandardLibrary(f *testing.F) {
	for _, list := range [][]string{accepted, refused, notText} {
		for _, s := range list {
			f.Add([]byte(`{"x":` + s + `,"c":` + s + `}`))
		}
	}
	f.Add([]byte(order))
	f.Add([]byte(`{"c":"a\ud800b","l":[{"i":1},null],"m":{"a":[1,2],"a":[]},"d":"1.50","t":"2026-01-01T00:00:00.5+01:00","y":"2026-01-01","b":"AA==","f":1e22,"o":true}`))
	lenient := json.Config{DuplicateKeys: "last_wins", ExtraFields: "ignore", InvalidUTF8: "replace"}
	all := newRow(f, lenient, opt("c", str), opt("l", arrowListOfStruct()), opt("m", mapOfLists()), opt("d", dec(9, 2)), opt("t", ts), opt("y", day),
		opt("b", bin), opt("f", f64), opt("o", boo), opt("i", i64))
	strict := newRow(f, json.DefaultConfig(), all.Schema().Fields()...)
	text := newRow(f, lenient, opt("c", str))
	marker := []byte(`{"c":"before","l":[{"i":1}],"m":{"k":[1]}}`)
	f.Fuzz(func(t *testing.T, record []byte) {
		if strings.HasPrefix(string(record), "\xef\xbb\xbf") {
			return // refused by the standard library
		}
		for _, r := range []decode.Row{all, strict, text} {
			b := stream.NewBatch(r.Schema())
			if _, fault := r.Append(marker, b.Cols); fault != nil {
				t.Fatal(fault)
			}
			_, fault := r.Append(record, b.Cols)
			valid := stdjson.Valid(record)
			switch {
			case fault == nil && !valid:
				t.Fatalf("%q is not JSON, but became a row", record)
			case fault != nil && valid && (fault.Code == decode.BadJSON || fault.Code == decode.EmptyValue):
				t.Fatalf("%q is JSON, but: %s", record, fault.Reason)
			}
			rows := 2
			if fault != nil {
				rows = 1
			}
			for i, c := range b.Cols {
				if fault != nil {
					c.Truncate(1)
				}
				if c.N != rows {
					t.Fatalf("%q: %d rows in column %d, want %d", record, c.N, i, rows)
				}
				checkVec(t, r.Schema().Field(i).Name, c)
			}
			if fault == nil && r == text {
				compareText(t, record, b.Cols[0])
			}
		}
	})
}

func compareText(t *testing.T, record []byte, c *stream.Vec) {
	m := map[string]any{}
	if err := stdjson.Unmarshal(record, &m); err != nil {
		if strings.Contains(err.Error(), "cannot unmarshal number") {
			return // 1e400 in what is skipped
		}
		t.Fatal(err)
	}
	want := any(nil)
	if m["c"] != nil {
		want = m["c"]
	}
	got := any(nil)
	if !c.IsNull(1) {
		got = c.StringAt(1)
	}
	if got != want {
		t.Fatalf("%q: got %q, want %q", record, got, want)
	}
}
