package config

import (
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform"
)

// schema reads the columns of `schema`, in the order of the file. A map is a struct, a list of one is a list; "!" behind
// the type of a column or field makes it required.
func (l *loader) schema(n *node) *arrow.Schema {
	switch {
	case n.broken:
		return nil
	case n.kind == scalar && n.text == "infer":
		l.fault(n.span(), codeLater, "source.schema: infer is not yet known in this version").Fix = "write the columns: {order_id: string!, …}"
		return nil
	case n.kind != mapping:
		l.fault(n.span(), codeType, "source.schema takes columns, not %s", n.show()).Fix = "write name: type, one a line"
		return nil
	}
	fs, ok := l.columns(n, "source.schema", 0)
	if ok && len(fs) == 0 {
		l.fault(n.span(), codeMissing, "source.schema has no column")
		return nil
	}
	if !ok {
		return nil
	}
	return arrow.NewSchema(fs, nil)
}

// maxColumns is far above any table that is read with pleasure.
const maxColumns = 10_000

func (l *loader) columns(n *node, path string, depth int) ([]arrow.Field, bool) {
	ok := true
	folded := map[string]*node{}
	var fs []arrow.Field
	if len(n.keys) > maxColumns {
		l.fault(n.span(), codeTooLarge, "%s has %d columns, more than %d", path, len(n.keys), maxColumns)
		return nil, false
	}
	for i, k := range n.keys {
		low := strings.ToLower(k.text)
		if first := folded[low]; first != nil {
			l.fault(k.span(), codeFold, "column %q differs from %q in line %d only by case; catalogs take them for one", k.text, first.text, first.line).Fix = "rename one"
			ok = false
			continue
		}
		folded[low] = k
		if !l.columnName(k) {
			ok = false
			continue
		}
		t, required, good := l.typeOf(n.vals[i], path+"."+k.text, depth)
		if !good {
			ok = false
			continue
		}
		fs = append(fs, arrow.Field{Name: k.text, Type: t, Nullable: !required})
	}
	return fs, ok
}

// columnName refuses names that no table could have.
func (l *loader) columnName(k *node) bool {
	l.named[span{k.line, k.col, 0}] = true
	for _, r := range k.text {
		if r < ' ' || r == 0x7f {
			l.fault(k.span(), codeValue, "a column's name has no control characters")
			return false
		}
	}
	if len(k.text) > 255 {
		l.fault(k.span(), codeValue, "a column's name has at most 255 bytes, this one %d", len(k.text))
		return false
	}
	if strings.HasSuffix(k.text, "!") {
		l.fault(k.span(), codeValue, "the ! of a required column stands behind its type").Fix = "write " + strings.TrimSuffix(k.text, "!") + ": string!"
		return false
	}
	return true
}

func (l *loader) typeOf(n *node, path string, depth int) (t arrow.DataType, required, ok bool) {
	switch {
	case n.broken:
		return nil, false, false
	case depth > 32:
		l.fault(n.span(), codeTooLarge, "%s: types nest at most 32 deep", path)
		return nil, false, false
	case n.kind == mapping:
		fs, ok := l.columns(n, path, depth+1)
		if ok && len(fs) == 0 {
			l.fault(n.span(), codeMissing, "%s is a struct without fields", path)
			return nil, false, false
		}
		return arrow.StructOf(fs...), false, ok
	case n.kind == sequence:
		if len(n.vals) != 1 {
			l.fault(n.span(), codeType, "%s: a list has one type of element, not %s", path, strconv.Itoa(len(n.vals))).Fix = "write [string], or [{name: type}] for a list of structs"
			return nil, false, false
		}
		elem, _, ok := l.typeOf(n.vals[0], path+"[]", depth+1)
		if !ok {
			return nil, false, false
		}
		return arrow.ListOf(elem), false, true
	case n.null():
		l.fault(n.span(), codeType, "%s has no type", path).Fix = "write string, int64, decimal(18,2), timestamp, …"
		return nil, false, false
	}
	text := n.text
	if !strings.HasSuffix(path, "[]") {
		text, required = strings.CutSuffix(text, "!")
	}
	t, err := transform.ParseType(text)
	if err != nil {
		msg, fix := cutQuestion(err.Error())
		l.fault(n.span(), codeType, "%s: %s", path, msg).Fix = fix
		return nil, false, false
	}
	return t, required, true
}

// cutQuestion takes "did you mean …?" off the end of a message: it stands behind the caret.
func cutQuestion(s string) (text, fix string) {
	if i := strings.LastIndex(s, "; did you mean "); i >= 0 {
		return s[:i], s[i+2:]
	}
	if i := strings.LastIndex(s, "; write "); i >= 0 {
		return s[:i], s[i+2:]
	}
	return s, ""
}

// metadataTypes are the columns of `metadata`, in the order in which decoders append them.
func (m *Metadata) fields() []arrow.Field {
	header := arrow.ListOf(arrow.StructOf(
		arrow.Field{Name: "key", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true}))
	var fs []arrow.Field
	for _, c := range []struct {
		name string
		typ  arrow.DataType
	}{
		{m.Topic, arrow.BinaryTypes.String}, {m.Partition, arrow.PrimitiveTypes.Int32}, {m.Offset, arrow.PrimitiveTypes.Int64},
		{m.Key, arrow.BinaryTypes.Binary}, {m.Timestamp, arrow.FixedWidthTypes.Timestamp_us}, {m.Headers, header},
	} {
		if c.name != "" {
			fs = append(fs, arrow.Field{Name: c.name, Type: c.typ, Nullable: true})
		}
	}
	return fs
}
