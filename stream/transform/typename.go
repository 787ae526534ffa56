package transform

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// TypeName writes a type in the words of the configuration: decimal(18,2), timestamp, map(string, int64), [string],
// {id: int64!, tags: [string]}. ParseType reads it back.
func TypeName(t arrow.DataType) string {
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	case *arrow.MapType:
		return "map(" + TypeName(t.KeyType()) + ", " + TypeName(t.ItemType()) + ")"
	case *arrow.ListType:
		return "[" + TypeName(t.Elem()) + "]"
	case *arrow.StructType:
		var b strings.Builder
		for i, f := range t.Fields() {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(f.Name + ": " + TypeName(f.Type))
			if !f.Nullable {
				b.WriteByte('!')
			}
		}
		return "{" + b.String() + "}"
	}
	switch kindOf(t) {
	case kindNull:
		return "NULL"
	case kindBool:
		return "bool"
	case kindI32:
		return "int32"
	case kindI64:
		return "int64"
	case kindF64:
		return "float64"
	case kindStr:
		return "string"
	case kindBin:
		return "bytes"
	case kindDate:
		return "date"
	case kindTime:
		return "timestamp"
	default:
	}
	return t.String()
}

// otherType is our word for a type that other systems call w, or "".
func otherType(w string) string {
	return map[string]string{
		"str": "string", "text": "string", "varchar": "string", "char": "string", "boolean": "bool", "int": "int32",
		"integer": "int32", "smallint": "int32", "tinyint": "int32", "int8": "int32", "int16": "int32", "long": "int64",
		"bigint": "int64", "uint32": "int64", "double": "float64", "float": "float64", "real": "float64", "float32": "float64",
		"numeric": "decimal", "number": "decimal", "datetime": "timestamp", "timestamptz": "timestamp", "time": "timestamp",
		"binary": "bytes", "varbinary": "bytes", "blob": "bytes", "list": "[…]", "array": "[…]", "struct": "{name: type, …}",
		"row": "{name: type, …}", "object": "{name: type, …}",
	}[strings.ToLower(w)]
}

// ParseType reads a type as configurations write it, see TypeName. Words are taken in lower case only.
func ParseType(s string) (arrow.DataType, error) {
	p := &typeParser{s: s}
	t, err := p.read(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.i < len(s) {
		if s[p.i:] == "!" {
			return nil, errors.New("only columns and fields are required: write ! behind the type of one")
		}
		return nil, fmt.Errorf("unexpected %q after the type %s", s[p.i:], TypeName(t))
	}
	return t, nil
}

type typeParser struct {
	s string
	i int
}

func (p *typeParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n') {
		p.i++
	}
}

func (p *typeParser) take(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *typeParser) need(c byte, in string) error {
	if !p.take(c) {
		return fmt.Errorf("%q lacks a %q; write %s", p.s, c, in)
	}
	return nil
}

func (p *typeParser) word(stop string) string {
	p.space()
	from := p.i
	for p.i < len(p.s) && strings.IndexByte(stop, p.s[p.i]) < 0 {
		p.i++
	}
	return strings.TrimRight(p.s[from:p.i], " \t\n")
}

func (p *typeParser) read(depth int) (arrow.DataType, error) {
	if depth > 32 {
		return nil, errors.New("types nest at most 32 deep")
	}
	switch {
	case p.take('['):
		elem, err := p.read(depth + 1)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), p.need(']', "[type]")
	case p.take('{'):
		return p.fields(depth)
	}
	switch w := p.word("()[]{},:! \t\n"); w {
	case "string":
		return typeString(), nil
	case "bool":
		return typeBool(), nil
	case "int32":
		return typeI32(), nil
	case "int64":
		return typeI64(), nil
	case "float64":
		return typeF64(), nil
	case "bytes":
		return typeBytes(), nil
	case "date":
		return typeDate(), nil
	case "timestamp":
		return typeTime(), nil
	case "decimal":
		return p.decimal()
	case "map":
		return p.mapOf(depth)
	case "":
		return nil, errors.New("there is no type; write one like string, int64 or decimal(18,2)")
	default:
		return nil, unknownType(w)
	}
}

func unknownType(w string) error {
	near := otherType(w)
	if near == "" {
		near = syntax.Near(w, []string{"string", "bool", "int32", "int64", "float64", "decimal", "date", "timestamp", "bytes", "map"})
	}
	if near == "decimal" {
		near = "decimal(18,2)"
	}
	if near == "" {
		return fmt.Errorf("there is no type %q; there are string, bool, int32, int64, float64, decimal(p,s), date, timestamp, "+
			"bytes, map(key, value), [type] and {name: type}", w)
	}
	return fmt.Errorf("there is no type %q; did you mean %s?", w, near)
}

func (p *typeParser) decimal() (arrow.DataType, error) {
	const form = "decimal(precision,scale), such as decimal(18,2)"
	if err := p.need('(', form); err != nil {
		return nil, err
	}
	prec, err1 := strconv.ParseUint(p.word(",)"), 10, 16)
	if err := p.need(',', form); err != nil {
		return nil, err
	}
	scale, err2 := strconv.ParseUint(p.word(",)"), 10, 16)
	if err := errors.Join(p.need(')', form), err1, err2); err != nil {
		return nil, fmt.Errorf("%q is no decimal type; write %s", p.s, form)
	}
	if prec < 1 || prec > decimal.MaxPrecision {
		return nil, fmt.Errorf("decimal(%d,%d): a decimal has 1 to 38 digits", prec, scale)
	}
	if scale > prec {
		return nil, fmt.Errorf("decimal(%d,%d): no more than all %d digits can stand behind the point", prec, scale, prec)
	}
	return &arrow.Decimal128Type{Precision: int32(prec), Scale: int32(scale)}, nil //nolint:gosec // at most 38
}

func (p *typeParser) mapOf(depth int) (arrow.DataType, error) {
	const form = "map(key, value), such as map(string, int64)"
	if err := p.need('(', form); err != nil {
		return nil, err
	}
	key, err := p.read(depth + 1)
	if err != nil {
		return nil, err
	}
	if err := p.need(',', form); err != nil {
		return nil, err
	}
	val, err := p.read(depth + 1)
	if err != nil {
		return nil, err
	}
	if k := kindOf(key); k == kindNest || k == kindF64 {
		return nil, fmt.Errorf("%s cannot be the key of a map", TypeName(key))
	}
	return arrow.MapOf(key, val), p.need(')', form)
}

func (p *typeParser) fields(depth int) (arrow.DataType, error) {
	const form = "{name: type, …}"
	var fields []arrow.Field
	for {
		name := p.word("()[]{},:!")
		if name == "" {
			return nil, fmt.Errorf("%q lacks the name of a field; write %s", p.s, form)
		}
		for _, f := range fields {
			if f.Name == name {
				return nil, fmt.Errorf("the field %q stands twice", name)
			}
		}
		if err := p.need(':', form); err != nil {
			return nil, err
		}
		t, err := p.read(depth + 1)
		if err != nil {
			return nil, err
		}
		fields = append(fields, arrow.Field{Name: name, Type: t, Nullable: !p.take('!')})
		if p.take('}') {
			return arrow.StructOf(fields...), nil
		}
		if err := p.need(',', form); err != nil {
			return nil, err
		}
	}
}
