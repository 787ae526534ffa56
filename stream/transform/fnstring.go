package transform

import (
	"crypto/md5" //nolint:gosec // asked for by name, to compare with other systems' columns; not for security
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

func stringFunctions() []Function {
	str, i64, boolean := typeString(), typeI64(), typeBool()
	one := func(fn func(string) string) func(*bound) node {
		return typed(overload{args: []arrow.DataType{str}, result: str, fn: map1(fn)})
	}
	test := func(fn func(s, t string) bool) func(*bound) node {
		return typed(overload{args: []arrow.DataType{str, str}, result: boolean, fn: map2(fn)})
	}
	return []Function{
		{
			Name: "upper", Usage: "upper(string)", Result: "string", Doc: "The string in upper case, by the rules of Unicode.",
			Examples: []Example{{"upper('straße')", "STRASSE"}, {"upper('de')", "DE"}},
			min:      1, max: 1, bind: func(b *bound) node { return b.cased(cases.Upper(language.Und), 'a', 'z') },
		},
		{
			Name: "lower", Usage: "lower(string)", Result: "string", Doc: "The string in lower case, by the rules of Unicode.",
			Examples: []Example{{"lower('ÄPFEL')", "äpfel"}, {"lower('ΟΔΟΣ')", "οδος"}},
			min:      1, max: 1, bind: func(b *bound) node { return b.cased(cases.Lower(language.Und), 'A', 'Z') },
		},
		{
			Name: "trim", Usage: "trim(string)", Result: "string", Doc: "The string without white space at both ends.",
			Examples: []Example{{"trim('  de ')", "de"}}, min: 1, max: 1, bind: one(strings.TrimSpace),
		},
		{
			Name: "ltrim", Usage: "ltrim(string)", Result: "string", Doc: "The string without white space at its start.",
			Examples: []Example{{"ltrim('  de') || '!'", "de!"}}, min: 1, max: 1,
			bind: one(func(s string) string { return strings.TrimLeftFunc(s, isSpace) }),
		},
		{
			Name: "rtrim", Usage: "rtrim(string)", Result: "string", Doc: "The string without white space at its end.",
			Examples: []Example{{"rtrim('de  ') || '!'", "de!"}}, min: 1, max: 1,
			bind: one(func(s string) string { return strings.TrimRightFunc(s, isSpace) }),
		},
		{
			Name: "length", Usage: "length(string or bytes)", Result: "int32", Doc: "The number of characters of a string, or of bytes.",
			Examples: []Example{{"length('Köln')", "4"}, {"length(CAST('Köln' AS bytes))", "5"}}, min: 1, max: 1,
			bind: typed(overload{args: []arrow.DataType{str}, result: typeI32(), fn: map1(func(s string) int32 { return int32(utf8.RuneCountInString(s)) })}, //nolint:gosec // a string of a batch is below 2 GiB
				overload{args: []arrow.DataType{typeBytes()}, result: typeI32(), fn: map1(func(s string) int32 { return int32(len(s)) })}), //nolint:gosec // likewise
		},
		{
			Name: "substring", Usage: "substring(string, start[, length])", Result: "string",
			Doc:      "The characters from number start on, counted from 1, or from the end if negative; all, or as many as length says.",
			Examples: []Example{{"substring('Zürich', 2, 3)", "üri"}, {"substring('Zürich', -2)", "ch"}, {"substring('abc', 0, 2)", "a"}},
			min:      2, max: 3,
			bind: typed(overload{args: []arrow.DataType{str, i64}, result: str, fn: map2(func(s string, from int64) string { return substring(s, from, math.MaxInt64) })},
				overload{args: []arrow.DataType{str, i64, i64}, result: str, fn: substringKernel}),
		},
		{
			Name: "replace", Usage: "replace(string, from, to)", Result: "string", Doc: "The string with every from replaced by to; an empty from changes nothing.",
			Examples: []Example{{"replace('a-b-c', '-', '+')", "a+b+c"}, {"replace('abc', '', 'x')", "abc"}}, min: 3, max: 3,
			bind: typed(overload{args: []arrow.DataType{str, str, str}, result: str, fn: replaceKernel}),
		},
		{
			Name: "concat", Usage: "concat(string, …)", Result: "string", Doc: "The strings one after the other; NULL if one of them is.",
			Examples: []Example{{"concat('a', 'b', 'c')", "abc"}, {"concat('a', NULL)", "NULL"}}, min: 1, max: -1,
			bind: typed(overload{args: []arrow.DataType{str}, result: str, fn: concatKernel, many: true}),
		},
		{
			Name: "starts_with", Usage: "starts_with(string, prefix)", Result: "bool", Doc: "Whether the string begins with prefix.",
			Examples: []Example{{"starts_with('orders', 'ord')", "true"}}, min: 2, max: 2, bind: test(strings.HasPrefix),
		},
		{
			Name: "ends_with", Usage: "ends_with(string, suffix)", Result: "bool", Doc: "Whether the string ends with suffix.",
			Examples: []Example{{"ends_with('a.csv', '.csv')", "true"}}, min: 2, max: 2, bind: test(strings.HasSuffix),
		},
		{
			Name: "contains", Usage: "contains(string, part)", Result: "bool", Doc: "Whether part is somewhere in the string.",
			Examples: []Example{{"contains('orders', 'der')", "true"}}, min: 2, max: 2, bind: test(strings.Contains),
		},
		{
			Name: "split_part", Usage: "split_part(string, separator, n)", Result: "string",
			Doc:      "Part number n of the string cut at every separator, counted from 1, or from the end if negative; empty if there is none.",
			Examples: []Example{{"split_part('a/b/c', '/', 2)", "b"}, {"split_part('a/b/c', '/', -1)", "c"}, {"split_part('a', '/', 2)", ""}},
			min:      3, max: 3, bind: typed(overload{args: []arrow.DataType{str, str, i64}, result: str, fn: splitKernel}),
		},
		{
			Name: "regexp_like", Usage: "regexp_like(string, 'pattern')", Result: "bool", Doc: "Whether the RE2 pattern, a constant, matches somewhere in the string.",
			Examples: []Example{{"regexp_like('c-00912', '^c-[0-9]+$')", "true"}}, min: 2, max: 2, bind: bindRegexp,
		},
		{
			Name: "md5", Usage: "md5(string or bytes)", Result: "string", Doc: "The MD5 hash of the bytes, as 32 hexadecimal digits. Not for security.",
			Examples: []Example{{"md5('abc')", "900150983cd24fb0d6963f7d28e17f72"}}, min: 1, max: 1,
			bind: hashed(func(dst, b []byte) []byte { h := md5.Sum(b); return hex.AppendEncode(dst, h[:]) }), //nolint:gosec // see the import
		},
		{
			Name: "sha256", Usage: "sha256(string or bytes)", Result: "string", Doc: "The SHA-256 hash of the bytes, as 64 hexadecimal digits.",
			Examples: []Example{{"sha256('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}}, min: 1, max: 1,
			bind: hashed(func(dst, b []byte) []byte { h := sha256.Sum256(b); return hex.AppendEncode(dst, h[:]) }),
		},
	}
}

func isSpace(r rune) bool {
	return r <= ' ' && (r == ' ' || r >= '\t' && r <= '\r') || r == 0x85 || r == 0xa0 || r >= 0x1680 && isWideSpace(r)
}

func isWideSpace(r rune) bool {
	switch r {
	case 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

// cased changes the case of ASCII letters from lo to hi by hand, and leaves strings with others to the Unicode tables: one
// letter may become several, and the last sigma of a word has a form of its own.
func (b *bound) cased(full cases.Caser, lo, hi byte) node {
	return typed(overload{args: []arrow.DataType{typeString()}, result: typeString(), fn: func(c *ctx, sel []int32, in []*col, out *col) {
		for _, i := range sel {
			s := in[0].str[i]
			first := 0
			for first < len(s) && s[first] < utf8.RuneSelf && (s[first] < lo || s[first] > hi) {
				first++
			}
			if first == len(s) { // nothing to change: the string itself will do
				out.str[i] = s
				continue
			}
			from := len(c.arena)
			c.arena = append(c.arena, s...)
			b := c.arena[from:]
			ascii := true
			for j := first; j < len(b); j++ {
				if ch := b[j]; ch >= lo && ch <= hi {
					b[j] = ch ^ 0x20
				} else if ch >= utf8.RuneSelf {
					ascii = false
					break
				}
			}
			if !ascii {
				c.arena = caseWhole(full, c.arena[:from], s)
			}
			out.str[i] = c.keep(from)
		}
	}})(b)
}

// caseWhole appends s in another case to arena.
func caseWhole(full cases.Caser, arena []byte, s string) []byte {
	full.Reset()
	from := len(arena)
	for room := 2*len(s) + 16; ; room *= 2 {
		for cap(arena)-from < room {
			arena = append(arena[:cap(arena)], 0)
		}
		n, _, err := full.Transform(arena[from:from+room], bytesOf(s), true)
		if err == nil {
			return arena[:from+n]
		}
	}
}

func concatKernel(c *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		from := len(c.arena)
		for _, a := range in {
			c.arena = append(c.arena, a.str[i]...)
		}
		out.str[i] = c.keep(from)
	}
}

func replaceKernel(c *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		s, old, with := in[0].str[i], in[1].str[i], in[2].str[i]
		at := -1
		if old != "" {
			at = strings.Index(s, old)
		}
		if at < 0 {
			out.str[i] = s
			continue
		}
		from := len(c.arena)
		for ; at >= 0; at = strings.Index(s, old) {
			c.arena = append(append(c.arena, s[:at]...), with...)
			s = s[at+len(old):]
		}
		c.arena = append(c.arena, s...)
		out.str[i] = c.keep(from)
	}
}

func substringKernel(c *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		if n := in[2].i64[i]; n < 0 {
			c.fail(i, CodeArgument, fmt.Sprintf("a substring cannot have %d characters", n))
			out.setNull(i)
			continue
		}
		out.str[i] = substring(in[0].str[i], in[1].i64[i], in[2].i64[i])
	}
}

// substring counts as SQL does: the window of count characters begins at start, and what of it lies before the string is
// empty. A negative start counts from the end.
func substring(s string, start, count int64) string {
	if start < 0 {
		start += int64(utf8.RuneCountInString(s)) + 1
	}
	end := start + count
	if start > 0 && end < start {
		end = math.MaxInt64
	}
	start = max(start, 1)
	if end <= start {
		return ""
	}
	from, k := len(s), int64(1)
	for i := range s {
		if k == start {
			from = i
		}
		if k == end {
			return s[from:i]
		}
		k++
	}
	return s[from:]
}

func splitKernel(c *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		s, sep, n := in[0].str[i], in[1].str[i], in[2].i64[i]
		if n == 0 || sep == "" {
			c.fail(i, CodeArgument, "split_part needs a separator, and a number of a part that is not 0")
			out.setNull(i)
			continue
		}
		if n < 0 {
			n += int64(strings.Count(s, sep)) + 2
		}
		out.str[i] = part(s, sep, n)
	}
}

func part(s, sep string, n int64) string {
	if n < 1 {
		return ""
	}
	for ; ; n-- {
		head, tail, more := strings.Cut(s, sep)
		if n == 1 {
			return head
		}
		if !more {
			return ""
		}
		s = tail
	}
}

func bindRegexp(b *bound) node {
	if k := kindOf(b.args[0].typ()); k != kindStr && k != kindNull {
		return b.wrong(0, "string")
	}
	pattern, ok := b.constant(1, "the pattern")
	if !ok {
		return nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return b.fail(b.at(1), CodeValue, strings.TrimPrefix(err.Error(), "error parsing regexp: "), "patterns are RE2's: no look-around and no back-references")
	}
	x := b.coerce(b.args[0], typeString(), b.at(0))
	return b.apply(&applyNode{t: typeBool(), fn: map1(re.MatchString), args: []node{x}}, b.call.Place)
}

// bytesOf is the bytes of s, not copied: for reading only.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func hashed(sum func(dst, b []byte) []byte) func(*bound) node {
	fn := written(func(dst []byte, s string) []byte { return sum(dst, bytesOf(s)) })
	return typed(overload{args: []arrow.DataType{typeString()}, result: typeString(), fn: fn}, overload{args: []arrow.DataType{typeBytes()}, result: typeString(), fn: fn})
}
