package json

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millrace/millrace/stream/decode"
)

// space moves over white space.
func (d *row) space() {
	for d.i < len(d.b) {
		switch d.b[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

// key reads a member's key up to its value, or the end of the object. key is valid until the next text is read.
func (d *row) key(first bool) (key []byte, more, ok bool) {
	d.space()
	if d.i < len(d.b) && d.b[d.i] == '}' {
		d.i++
		return nil, false, true
	}
	if !first {
		if d.i >= len(d.b) || d.b[d.i] != ',' {
			return nil, false, d.syntax("a comma or }")
		}
		d.i++
		d.space()
	}
	if d.i >= len(d.b) || d.b[d.i] != '"' {
		return nil, false, d.syntax("a key in double quotes")
	}
	if key, ok = d.text(); !ok {
		return nil, false, false
	}
	d.space()
	if d.i >= len(d.b) || d.b[d.i] != ':' {
		return nil, false, d.syntax("a colon")
	}
	d.i++
	d.space()
	return key, true, true
}

// element moves to the next element of an array, or behind its end.
func (d *row) element(first bool) (more, ok bool) {
	d.space()
	if d.i < len(d.b) && d.b[d.i] == ']' {
		d.i++
		return false, true
	}
	if !first {
		if d.i >= len(d.b) || d.b[d.i] != ',' {
			return false, d.syntax("a comma or ]")
		}
		d.i++
		d.space()
	}
	return true, true
}

// skip reads any value and keeps nothing of it.
func (d *row) skip() bool {
	if d.i >= len(d.b) {
		return d.syntax("a value")
	}
	switch c := d.b[d.i]; c {
	case '{':
		return d.skipObject()
	case '[':
		return d.skipArray()
	case '"':
		_, ok := d.text()
		return ok
	case 't':
		return d.literal("true")
	case 'f':
		return d.literal("false")
	case 'n':
		return d.literal("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			return d.syntax("a value")
		}
		_, ok := d.number()
		return ok
	}
}

func (d *row) skipObject() bool {
	if !d.descend() {
		return false
	}
	set := uint32(0)
	for first := true; ; first = false {
		key, more, ok := d.key(first)
		if !ok {
			return false
		}
		if !more {
			d.depth--
			return true
		}
		if !d.distinct(nil, key, &set) || !d.skip() {
			return false
		}
	}
}

func (d *row) skipArray() bool {
	if !d.descend() {
		return false
	}
	for first := true; ; first = false {
		more, ok := d.element(first)
		if !ok {
			return false
		}
		if !more {
			d.depth--
			return true
		}
		if !d.skip() {
			return false
		}
	}
}

func (d *row) literal(word string) bool {
	for k := range len(word) {
		if d.i >= len(d.b) || d.b[d.i] != word[k] {
			return d.syntax(word)
		}
		d.i++
	}
	return true
}

// text reads the string that begins at d.i. The result is part of the record, or of d.scratch if it had escapes.
func (d *row) text() ([]byte, bool) {
	start := d.i + 1
	end, high := plainEnd(d.b, start)
	if end < len(d.b) && d.b[end] == '"' && (!high || utf8.Valid(d.b[start:end])) {
		d.i = end + 1
		return d.b[start:end], true
	}
	return d.unescape(start)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd is the index of the first byte from i on that a string cannot simply contain: a quote, a backslash or a
// control character; or the length of b. high tells that bytes above 0x7F may be among those before it.
func plainEnd(b []byte, i int) (end int, high bool) {
	var seen uint64
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// A byte is below k if subtracting k borrows from its top bit. Borrows reach only higher bytes, so that the lowest
		// hit is right. See Bit Twiddling Hacks, "determine if a word has a byte less than n".
		if ((w-ones*0x20)&^w|(quote-ones)&^quote|(slash-ones)&^slash)&highs != 0 {
			break
		}
		seen |= w
	}
	for ; i < len(b); i++ {
		c := b[i]
		if c < 0x20 || c == '"' || c == '\\' {
			break
		}
		seen |= uint64(c)
	}
	return i, seen&highs != 0
}

// unescape reads a string that is not plain, from the byte behind its quote, into d.scratch.
func (d *row) unescape(start int) ([]byte, bool) {
	out := d.scratch[:0]
	d.i = start
	for {
		end, high := plainEnd(d.b, d.i)
		run := d.b[d.i:end]
		if high && !utf8.Valid(run) {
			if !d.replace {
				return nil, d.fail(nil, decode.BadUTF8, "invalid UTF-8 at byte %d", d.i+firstInvalid(run))
			}
			out = appendReplaced(out, run)
			d.notes |= decode.TextReplaced
		} else {
			out = append(out, run...)
		}
		if d.i = end; end >= len(d.b) {
			return nil, d.fail(nil, decode.BadJSON, "not JSON: the record ends inside the string that begins at byte %d", start-1)
		}
		switch c := d.b[end]; c {
		case '"':
			d.i++
			d.scratch = out
			return out, true
		case '\\':
			var ok bool
			if out, ok = d.escape(out); !ok {
				return nil, false
			}
		default:
			return nil, d.fail(nil, decode.BadJSON, "not JSON at byte %d: control character %#02x in a string", end, c)
		}
	}
}

// escape reads one escape sequence, or a surrogate pair of two.
func (d *row) escape(out []byte) ([]byte, bool) {
	at := d.i
	if at+1 >= len(d.b) {
		return nil, d.fail(nil, decode.BadJSON, "not JSON: the record ends inside the escape at byte %d", at)
	}
	d.i += 2
	switch c := d.b[at+1]; c {
	case '"', '\\', '/':
		return append(out, c), true
	case 'b':
		return append(out, '\b'), true
	case 'f':
		return append(out, '\f'), true
	case 'n':
		return append(out, '\n'), true
	case 'r':
		return append(out, '\r'), true
	case 't':
		return append(out, '\t'), true
	case 'u':
	default:
		return nil, d.fail(nil, decode.BadJSON, "not JSON at byte %d: no escape is written \\%.1q", at, d.b[at+1:at+2])
	}
	r, ok := hex4(d.b, d.i)
	if !ok {
		return nil, d.fail(nil, decode.BadJSON, "not JSON at byte %d: \\u needs four hexadecimal digits", at)
	}
	d.i += 4
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), true
	}
	if d.i+1 < len(d.b) && d.b[d.i] == '\\' && d.b[d.i+1] == 'u' {
		if low, ok := hex4(d.b, d.i+2); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				d.i += 6
				return utf8.AppendRune(out, pair), true
			}
		}
	}
	if !d.replace {
		return nil, d.fail(nil, decode.BadUTF8, "half of a surrogate pair at byte %d", at)
	}
	d.notes |= decode.TextReplaced
	return utf8.AppendRune(out, utf8.RuneError), true
}

func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func firstInvalid(b []byte) (i int) {
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

func appendReplaced(out, b []byte) []byte {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return out
}
