package json

import (
	"encoding/base64"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
)

const (
	// MaxDepth is how deeply objects and arrays may nest, the record itself being the first level. Recursion stops here,
	// so that no record can grow the stack beyond some 300 kB.
	MaxDepth = 500
	// maxCells bounds what one record may append below lists and maps, nulls included: `[{},{},…]` in 16 MiB of input
	// would be gigabytes of nulls in a wide struct.
	maxCells = 4 << 20
)

var _ decode.Row = (*row)(nil)

type row struct {
	schema                         *arrow.Schema
	root                           *node
	lastWins, refuseExtra, replace bool

	b       []byte // the record
	i       int    // next byte to read
	depth   int
	cells   int
	notes   decode.Notes
	scratch []byte // text that had escapes; valid until the next text is read
	digits  []byte
	base64  *base64.Encoding
	keys    keySet
	fault   decode.Fault
}

func (d *row) Schema() *arrow.Schema { return d.schema }

// Append implements decode.Row.
func (d *row) Append(value []byte, cols []*stream.Vec) (decode.Notes, *decode.Fault) {
	d.b, d.i, d.depth, d.cells, d.notes = value, 0, 0, 0, 0
	d.keys.reset()
	ok := d.record(cols)
	d.b = nil
	if !ok {
		return 0, &d.fault
	}
	return d.notes, nil
}

func (d *row) record(cols []*stream.Vec) bool {
	if len(d.b) >= 3 && d.b[0] == 0xEF && d.b[1] == 0xBB && d.b[2] == 0xBF {
		d.i = 3
		d.notes |= decode.ByteOrderMark
	}
	d.space()
	if d.i == len(d.b) {
		return d.fail(nil, decode.EmptyValue, "a value of %d bytes without anything in it", len(d.b))
	}
	if d.b[d.i] != '{' {
		at := d.i
		if !d.skip() || !d.end() {
			return false
		}
		return d.fail(nil, decode.WrongType, "expected an object, got %s", describe(d.b[at:]))
	}
	return d.object(d.root, cols, cols[0].N) && d.end()
}

// end makes sure that nothing follows the record.
func (d *row) end() bool {
	d.space()
	if d.i < len(d.b) {
		return d.syntax("the end of the record")
	}
	return true
}

// value appends the value at d.i to v.
func (d *row) value(n *node, v *stream.Vec) bool {
	if d.i >= len(d.b) {
		return d.syntax("a value")
	}
	c := d.b[d.i]
	if c == 'n' {
		at := d.i
		if !d.literal("null") {
			return false
		}
		if n.required {
			return d.fail(n, decode.MissingRequired, "null at byte %d, but the column is required", at)
		}
		v.AppendNull()
		return true
	}
	switch n.kind {
	case kindString:
		return d.stringValue(n, v)
	case kindBool:
		return d.boolValue(n, v)
	case kindInt32, kindInt64, kindDecimal:
		return d.exactValue(n, v)
	case kindFloat64:
		return d.floatValue(n, v)
	case kindDate, kindTimestamp:
		return d.timeValue(n, v)
	case kindBytes:
		return d.bytesValue(n, v)
	case kindStruct:
		if c != '{' {
			return d.wrong(n)
		}
		if !d.object(n, v.Kids, v.N) {
			return false
		}
		v.EndRow()
		return true
	case kindList:
		return d.list(n, v)
	case kindMap:
		return d.mapping(n, v)
	}
	panic("json: a kind of column that is not decoded")
}

// object appends one row to every column of n, of which each has base rows now.
func (d *row) object(n *node, cols []*stream.Vec, base int) bool {
	if !d.descend() {
		return false
	}
	extras, next := uint32(0), 0
	for first := true; ; first = false {
		key, more, ok := d.key(first)
		if !ok {
			return false
		}
		if !more {
			break
		}
		k := next
		if k >= len(n.fields) || n.fields[k].name != string(key) {
			var known bool
			if k, known = n.byName[string(key)]; !known {
				if !d.extra(n, key, &extras) {
					return false
				}
				continue
			}
		}
		if cols[k].N != base {
			if !d.again(n, key) {
				return false
			}
			cols[k].Truncate(base)
		}
		if !d.value(n.fields[k], cols[k]) {
			return false
		}
		next = k + 1
	}
	d.depth--
	for k, f := range n.fields {
		if cols[k].N == base {
			if f.required {
				return d.fail(f, decode.MissingRequired, "no key %q in the object that ends at byte %d, but the column is required", f.name, d.i-1)
			}
			cols[k].AppendNull()
		}
	}
	return true
}

// extra deals with a member that n has no field for. extras names the set of such keys, made when the first comes.
func (d *row) extra(n *node, key []byte, extras *uint32) bool {
	if d.refuseExtra {
		return d.fail(nil, decode.ExtraField, "key %.64q is not in the schema, and extra_fields is dead_letter", prefixed(n, key))
	}
	d.notes |= decode.ExtraIgnored
	if !d.distinct(n, key, extras) {
		return false
	}
	return d.skip()
}

// distinct notes key and makes sure that it is new in its object.
func (d *row) distinct(n *node, key []byte, set *uint32) bool {
	if d.lastWins {
		return true // all of them are skipped
	}
	if *set == 0 {
		*set = d.keys.open()
	}
	_, found, ok := d.keys.add(*set, key, 0)
	if !ok {
		return d.fail(nil, decode.TooLarge, "more than %d keys that are not columns", maxKeys)
	}
	if found {
		return d.again(n, key)
	}
	return true
}

// again deals with a key that its object had already.
func (d *row) again(n *node, key []byte) bool {
	if d.lastWins {
		d.notes |= decode.DuplicateTaken
		return true
	}
	return d.fail(nil, decode.DuplicateKey, "key %.64q comes twice in one object, the second time before byte %d", prefixed(n, key), d.i)
}

func (d *row) list(n *node, v *stream.Vec) bool {
	if d.b[d.i] != '[' {
		return d.wrong(n)
	}
	if !d.descend() {
		return false
	}
	for first := true; ; first = false {
		more, ok := d.element(first)
		if !ok {
			return false
		}
		if !more {
			break
		}
		if !d.room(n) || !d.value(n.elem, v.Kids[0]) {
			return false
		}
	}
	d.depth--
	v.EndRow()
	return true
}

func (d *row) mapping(n *node, v *stream.Vec) bool {
	if d.b[d.i] != '{' {
		return d.wrong(n)
	}
	if !d.descend() {
		return false
	}
	pairs := v.Kids[0]
	base, set, dropped := pairs.N, d.keys.open(), false
	for first := true; ; first = false {
		key, more, ok := d.key(first)
		if !ok {
			return false
		}
		if !more {
			break
		}
		if !d.room(n) {
			return false
		}
		slot, found, ok := d.keys.add(set, key, pairs.N-base)
		if !ok {
			return d.fail(n, decode.TooLarge, "more than %d keys that are not columns", maxKeys)
		}
		if found {
			if !d.again(n, key) {
				return false
			}
			d.keys.slots[slot].index, dropped = pairs.N-base, true
		}
		pairs.Kids[0].AppendBytes(key)
		if !d.value(n.elem, pairs.Kids[1]) {
			return false
		}
		pairs.EndRow()
	}
	d.depth--
	if dropped {
		d.keepLast(n, pairs, base, set)
	}
	v.EndRow()
	return true
}

// keepLast drops the entries from base on whose key came again later.
func (d *row) keepLast(n *node, pairs *stream.Vec, base int, set uint32) {
	n.spare.Reset()
	for i := base; i < pairs.N; i++ {
		if slot, _, _ := d.keys.add(set, pairs.Kids[0].BytesAt(i), 0); d.keys.slots[slot].index == i-base {
			n.spare.AppendRow(pairs, i)
		}
	}
	pairs.Truncate(base)
	for i := range n.spare.N {
		pairs.AppendRow(n.spare, i)
	}
}

// room counts what one more element of n appends.
func (d *row) room(n *node) bool {
	if d.cells += n.elem.width; d.cells > maxCells {
		return d.fail(n, decode.TooLarge, "the record makes more than %d values, nulls included", maxCells)
	}
	return true
}

// descend enters an object or array.
func (d *row) descend() bool {
	if d.depth++; d.depth > MaxDepth {
		return d.fail(nil, decode.TooDeep, "nested deeper than %d levels at byte %d", MaxDepth, d.i)
	}
	d.i++
	return true
}
