package json

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/stream/decode"
)

// fail notes a fault; n is its column, nil if it belongs to none. It returns false, for the callers to return.
func (d *row) fail(n *node, code, format string, args ...any) bool {
	d.fault = decode.Fault{Code: code, Reason: fmt.Sprintf(format, args...)}
	if n != nil {
		d.fault.Column = n.path
		d.fault.Reason = fmt.Sprintf("column %q: %s", n.path, d.fault.Reason)
	}
	return false
}

// syntax notes that the record is no JSON at d.i.
func (d *row) syntax(expected string) bool {
	if d.i >= len(d.b) {
		return d.fail(nil, decode.BadJSON, "not JSON: expected %s, but the record ends at byte %d", expected, len(d.b))
	}
	return d.fail(nil, decode.BadJSON, "not JSON at byte %d: expected %s, got %s", d.i, expected, clip(d.b[d.i:], 16))
}

// wrong reads the value at d.i, so that broken JSON is called that, and notes that its kind is not n's.
func (d *row) wrong(n *node) bool {
	at := d.i
	if !d.skip() {
		return false
	}
	got := describe(d.b[at:d.i])
	if n.kind == kindTimestamp && (d.b[at] == '-' || d.b[at] <= '9' && d.b[at] >= '0') {
		return d.fail(n, decode.BadTimestamp, "%s at byte %d is not taken for a timestamp: whether it counts seconds or milliseconds is not guessed; "+
			"declare the column as int64 and convert it in a step", got, at)
	}
	return d.fail(n, decode.WrongType, "expected %s, got %s at byte %d", article(n.typ), got, at)
}

// describe names a JSON value, for people.
func describe(b []byte) string {
	switch b[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "the string " + clip(b, 66)
	case 't', 'f', 'n':
		return string(b)
	default:
		return "the number " + clip(b, 64)
	}
}

// clip is the first bytes of b, with what is not printable escaped.
func clip(b []byte, n int) string {
	dots := ""
	if len(b) > n {
		b, dots = b[:n], "…"
	}
	q := strconv.Quote(string(b))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) + dots
}

func article(typ string) string {
	switch typ[0] {
	case 'a', 'i', 'o':
		return "an " + typ
	}
	return "a " + typ
}

// prefixed is key as a path below n.
func prefixed(n *node, key []byte) string {
	if n == nil || n.path == "" {
		return string(key)
	}
	return n.path + "." + string(key)
}
