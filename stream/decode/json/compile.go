package json

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
)

type kind uint8

const (
	kindString kind = iota
	kindBool
	kindInt32
	kindInt64
	kindFloat64
	kindDecimal
	kindDate
	kindTimestamp
	kindBytes
	kindStruct
	kindList
	kindMap
)

// node is a column, a field of one, or the elements of one.
type node struct {
	kind             kind
	name, path       string
	typ              string // as people write it
	required         bool
	precision, scale int

	fields []*node        // of a struct
	byName map[string]int // their numbers
	elem   *node          // of a list; the values of a map
	width  int            // vectors that one value touches, itself included, lists and maps inside it counted as one
	spare  *stream.Vec    // of a map: room to drop entries that came again
}

// New makes a decoder of JSON objects by schema. Names that differ only in upper and lower case are refused, since
// catalogs and query engines would merge them.
func New(c Config, schema *arrow.Schema) (decode.Row, error) {
	if fs := c.Validate(); len(fs) > 0 {
		return nil, fmt.Errorf("json: %s: %s: %w", fs[0].Path, fs[0].Text, stream.ErrPermanent)
	}
	root := &node{kind: kindStruct, typ: "object", required: true}
	if err := root.addFields(schema.Fields(), ""); err != nil {
		return nil, err
	}
	r := &row{
		schema: schema, root: root,
		lastWins:    c.DuplicateKeys == lastWins,
		refuseExtra: c.ExtraFields == deadLetter,
		replace:     c.InvalidUTF8 == replace,
		base64:      base64.StdEncoding.Strict(),
	}
	r.keys.init()
	return r, nil
}

func (n *node) addFields(fields []arrow.Field, prefix string) error {
	if len(fields) == 0 {
		return fmt.Errorf("json: %q has no fields: %w", strings.TrimSuffix(prefix, "."), stream.ErrPermanent)
	}
	n.byName = make(map[string]int, len(fields))
	n.width = 1
	folded := make(map[string]string, len(fields))
	for i, f := range fields {
		low := strings.ToLower(f.Name)
		if other, ok := folded[low]; ok {
			return stream.WithNext(
				fmt.Errorf("json: columns %q and %q differ at most in upper and lower case: %w", prefix+other, prefix+f.Name, stream.ErrPermanent),
				"tables and query engines would merge them: keep one of the two in the schema")
		}
		folded[low] = f.Name
		k, err := compile(f, prefix+f.Name)
		if err != nil {
			return err
		}
		n.byName[f.Name] = i
		n.fields = append(n.fields, k)
		n.width += k.width
	}
	return nil
}

func compile(f arrow.Field, path string) (*node, error) {
	n := &node{name: f.Name, path: path, required: !f.Nullable, width: 1}
	var err error
	switch t := f.Type.(type) {
	case *arrow.StringType:
		n.kind, n.typ = kindString, "string"
	case *arrow.BooleanType:
		n.kind, n.typ = kindBool, "bool"
	case *arrow.Int32Type:
		n.kind, n.typ = kindInt32, "int32"
	case *arrow.Int64Type:
		n.kind, n.typ = kindInt64, "int64"
	case *arrow.Float64Type:
		n.kind, n.typ = kindFloat64, "float64"
	case *arrow.Date32Type:
		n.kind, n.typ = kindDate, "date"
	case *arrow.BinaryType:
		n.kind, n.typ = kindBytes, "bytes"
	case *arrow.TimestampType:
		n.kind, n.typ = kindTimestamp, "timestamp"
		if t.Unit != arrow.Microsecond {
			err = fmt.Errorf("json: column %q: %s: timestamps are kept in microseconds: %w", path, t, stream.ErrPermanent)
		}
	case *arrow.Decimal128Type:
		n.kind, n.precision, n.scale = kindDecimal, int(t.Precision), int(t.Scale)
		n.typ = fmt.Sprintf("decimal(%d,%d)", n.precision, n.scale)
		if n.precision < 1 || n.precision > maxPrecision || n.scale < 0 || n.scale > n.precision {
			err = fmt.Errorf("json: column %q: %s: a precision of 1 to 38 and a scale of 0 to the precision are possible: %w", path, n.typ, stream.ErrPermanent)
		}
	case *arrow.StructType:
		n.kind, n.typ = kindStruct, "object"
		err = n.addFields(t.Fields(), path+".")
	case *arrow.MapType:
		n.kind, n.typ = kindMap, "object"
		if t.KeyType().ID() != arrow.STRING {
			return nil, fmt.Errorf("json: column %q: keys of a map are strings: %w", path, stream.ErrPermanent)
		}
		n.spare = stream.NewVec(t.Elem())
		n.elem, err = compile(t.ItemField(), path+"[]")
	case *arrow.ListType:
		n.kind, n.typ = kindList, "array"
		n.elem, err = compile(t.ElemField(), path+"[]")
	default:
		err = fmt.Errorf("json: column %q: no JSON value becomes a %s: %w", path, f.Type, stream.ErrPermanent)
	}
	return n, err
}
