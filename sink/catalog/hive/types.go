package hive

import (
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// hiveType is a parsed type of Hive: a plain word, or array, map or struct with its parts.
type hiveType struct {
	name  string // "bigint", "decimal(18,2)", "array", "map", "struct"
	parts []hivePart
}

// hivePart is a field of a struct, the element of an array, or key and value of a map, both without a name.
type hivePart struct {
	name string
	typ  hiveType
}

// maxTypeDepth bounds nesting, as types also come from catalogs that others write.
const maxTypeDepth = 64

// String writes the type the way Hive and Glue do.
func (t hiveType) String() string {
	if len(t.parts) == 0 {
		return t.name
	}
	var b strings.Builder
	b.WriteString(t.name + "<")
	for i, p := range t.parts {
		if i > 0 {
			b.WriteByte(',')
		}
		if t.name == "struct" {
			b.WriteString(p.name + ":")
		}
		b.WriteString(p.typ.String())
	}
	b.WriteByte('>')
	return b.String()
}

// hiveOf maps an Arrow type. Names of struct fields are folded to lower case, as Hive compares them so.
func hiveOf(t arrow.DataType) (hiveType, error) {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return hiveType{name: "boolean"}, nil
	case *arrow.Int32Type:
		return hiveType{name: "int"}, nil
	case *arrow.Int64Type:
		return hiveType{name: "bigint"}, nil
	case *arrow.Float64Type:
		return hiveType{name: "double"}, nil
	case *arrow.Decimal128Type:
		return hiveType{name: fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)}, nil
	case *arrow.Date32Type:
		return hiveType{name: "date"}, nil
	case *arrow.TimestampType:
		return hiveType{name: "timestamp"}, nil
	case *arrow.StringType:
		return hiveType{name: "string"}, nil
	case *arrow.BinaryType:
		return hiveType{name: "binary"}, nil
	case *arrow.MapType:
		return hiveNested("map", arrow.Field{Type: t.KeyType()}, arrow.Field{Type: t.ItemField().Type})
	case *arrow.ListType:
		return hiveNested("array", arrow.Field{Type: t.Elem()})
	case *arrow.StructType:
		return hiveStruct(t)
	}
	return hiveType{}, fmt.Errorf("type %s has no counterpart in a catalog of Hive tables", t)
}

func hiveNested(name string, fields ...arrow.Field) (hiveType, error) {
	out := hiveType{name: name}
	for _, f := range fields {
		p, err := hiveOf(f.Type)
		if err != nil {
			return hiveType{}, err
		}
		out.parts = append(out.parts, hivePart{f.Name, p})
	}
	return out, nil
}

func hiveStruct(t *arrow.StructType) (hiveType, error) {
	fields, seen := make([]arrow.Field, 0, t.NumFields()), map[string]string{}
	for _, f := range t.Fields() {
		low := strings.ToLower(f.Name)
		if low == "" || strings.ContainsAny(low, ":,<>` \t\r\n") {
			return hiveType{}, fmt.Errorf("the name of field %q cannot be written inside a Hive type", f.Name)
		}
		if other, ok := seen[low]; ok {
			return hiveType{}, fmt.Errorf("fields %q and %q are one name in lower case", other, f.Name)
		}
		seen[low] = f.Name
		f.Name = low
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return hiveType{}, errors.New("a struct without fields cannot be written as a Hive type")
	}
	return hiveNested("struct", fields...)
}

// parseType reads a type as catalogs write it, blanks and case aside.
func parseType(s string) (hiveType, error) {
	p := typeParser{rest: strings.ToLower(s)}
	t, err := p.parse(0)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("%q after the type", p.rest)
	}
	if err != nil {
		return hiveType{}, fmt.Errorf("type %q cannot be read: %w", s, err)
	}
	return t, nil
}

type typeParser struct{ rest string }

// word reads up to a mark that is not inside parentheses: decimal(18,2) is one word.
func (p *typeParser) word(marks string) string {
	open := 0
	for i, c := range p.rest {
		switch {
		case c == '(':
			open++
		case c == ')':
			open--
		case open == 0 && strings.ContainsRune(marks, c):
			w := p.rest[:i]
			p.rest = p.rest[i:]
			return strings.TrimSpace(w)
		}
	}
	w := p.rest
	p.rest = ""
	return strings.TrimSpace(w)
}

func (p *typeParser) take(mark byte) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest == "" || p.rest[0] != mark {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *typeParser) parse(depth int) (hiveType, error) {
	if depth > maxTypeDepth {
		return hiveType{}, errors.New("nested too deeply")
	}
	t := hiveType{name: plainName(p.word("<>,"))}
	if t.name == "" {
		return t, errors.New("a type is missing")
	}
	nested := t.name == "struct" || t.name == "array" || t.name == "map"
	if !p.take('<') {
		if nested {
			return t, fmt.Errorf("%s without <…>", t.name)
		}
		return t, nil
	}
	if !nested && t.name != "uniontype" {
		return t, fmt.Errorf("%q takes no parts", t.name)
	}
	for {
		part := hivePart{}
		if t.name == "struct" {
			part.name = p.word(":<>,")
			if part.name == "" || !p.take(':') {
				return t, errors.New("a field without name and type")
			}
		}
		var err error
		if part.typ, err = p.parse(depth + 1); err != nil {
			return t, err
		}
		t.parts = append(t.parts, part)
		if p.take(',') {
			continue
		}
		if !p.take('>') {
			return t, errors.New("> is missing")
		}
		if want := map[string]int{"array": 1, "map": 2}[t.name]; want != 0 && want != len(t.parts) {
			return t, fmt.Errorf("%s with %d parts", t.name, len(t.parts))
		}
		return t, nil
	}
}

// plainName writes the same type always the same way. Blanks between words are part of a name.
func plainName(s string) string {
	if s = strings.Join(strings.Fields(s), " "); strings.Contains(s, "(") {
		s = strings.ReplaceAll(s, " ", "")
	}
	switch s {
	case "integer":
		return "int"
	case "decimal":
		return "decimal(10,0)"
	}
	return s
}

// misfit is a column or a nested field whose type in the catalog is not the one that files will have.
type misfit struct {
	path       string
	have, want string
}

// merge adds to have what want has beyond it: fields of structs, at any depth. It never changes what is there. Names of
// new fields go to added.
func merge(path string, have, want hiveType, added *[]string, bad *[]misfit) hiveType {
	if have.name != want.name || len(have.parts) == 0 || len(want.parts) == 0 {
		if have.String() != want.String() {
			*bad = append(*bad, misfit{path, have.String(), want.String()})
		}
		return have
	}
	out := hiveType{name: have.name, parts: append([]hivePart(nil), have.parts...)}
	for i, w := range want.parts {
		sub, at := path, i
		if have.name == "struct" {
			sub = path + "." + w.name
			at = -1
			for j, h := range have.parts {
				if h.name == w.name {
					at = j
				}
			}
		}
		switch {
		case at < 0:
			out.parts = append(out.parts, w)
			*added = append(*added, sub)
		case at >= len(out.parts):
			*bad = append(*bad, misfit{path, have.String(), want.String()})
			return have
		default:
			out.parts[at].typ = merge(sub, out.parts[at].typ, w.typ, added, bad)
		}
	}
	return out
}
