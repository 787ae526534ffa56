package parquet

import (
	"fmt"
	"math/big"
	"strconv"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"

	"github.com/millrace/millrace/stream"
)

const fieldIDKey = "PARQUET:field_id"

// layout is an Arrow schema compiled for writing. It is not changed once made, and shared by all encoders of a schema.
type layout struct {
	schema *arrow.Schema
	root   *schema.GroupNode
	leaves []leaf
	base   int64 // memory of an encoder's empty columns
}

// leaf is one Parquet column and the way to it from a top-level column of the batch.
type leaf struct {
	path  string
	col   int    // index in the batch
	steps []step // from the top-level column to the leaf itself
	kind  kind
	width int // bytes of a fixed-length value
}

// step is one level of nesting on the way to a leaf.
type step struct {
	name     string
	optional bool
	list     bool // a list or map: go on in Kids[0], for every element
	kid      int  // of a struct: go on in this one of Kids; unused in the last step
}

type kind uint8

const (
	kindBool kind = iota
	kindI32
	kindI64
	kindF64
	kindDec32
	kindDec64
	kindDecFixed
	kindBytes
)

// compile lays s out. An Arrow type without a layout is an error that names the column.
func compile(s *arrow.Schema) (*layout, error) {
	l := &layout{schema: s, base: 1 << 10}
	var fields schema.FieldList
	for i, f := range s.Fields() {
		n, err := l.field(f, f.Name, i, nil)
		if err != nil {
			return nil, err
		}
		fields = append(fields, n)
		l.base += footprint(f.Type)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("parquet: a file needs at least one column: %w", stream.ErrPermanent)
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		return nil, fmt.Errorf("parquet: schema: %w: %w", stream.ErrPermanent, err)
	}
	l.root = root
	columns := schema.NewSchema(root)
	for i := range l.leaves {
		l.leaves[i].path = columns.Column(i).Path()
	}
	return l, nil
}

// footprint is the memory of an empty column of type t.
func footprint(t arrow.DataType) int64 {
	n := int64(unsafe.Sizeof(stream.Vec{})) + 8
	if nt, ok := t.(arrow.NestedType); ok {
		for _, f := range nt.Fields() {
			n += footprint(f.Type)
		}
	}
	return n
}

func repetition(f arrow.Field) parquet.Repetition {
	if f.Nullable {
		return parquet.Repetitions.Optional
	}
	return parquet.Repetitions.Required
}

func fieldID(f arrow.Field) int32 {
	if v, ok := f.Metadata.GetValue(fieldIDKey); ok {
		if id, err := strconv.ParseInt(v, 10, 32); err == nil {
			return int32(id)
		}
	}
	return -1
}

// field makes the node of f and appends its leaves. name is what Parquet calls it; above are the steps that lead to it.
func (l *layout) field(f arrow.Field, name string, col int, above []step) (schema.Node, error) {
	here := step{name: f.Name, optional: f.Nullable}
	down := func(s step) []step { return append(above[:len(above):len(above)], s) }
	var n schema.Node
	var err error
	switch t := f.Type.(type) {
	case *arrow.MapType:
		here.list = true
		entry := down(here)
		key := t.KeyField()
		key.Nullable = false
		var k, v schema.Node
		if k, err = l.field(key, "key", col, append(entry, step{name: "entry", kid: 0})); err != nil {
			return nil, err
		}
		if v, err = l.field(t.ItemField(), "value", col, append(entry[:len(entry):len(entry)], step{name: "entry", kid: 1})); err != nil {
			return nil, err
		}
		n, err = group("key_value", parquet.Repetitions.Repeated, schema.FieldList{k, v}, nil, -1)
		if err == nil {
			n, err = group(name, repetition(f), schema.FieldList{n}, schema.MapLogicalType{}, fieldID(f))
		}
	case *arrow.ListType:
		here.list = true
		var e schema.Node
		if e, err = l.field(t.ElemField(), "element", col, down(here)); err != nil {
			return nil, err
		}
		n, err = group("list", parquet.Repetitions.Repeated, schema.FieldList{e}, nil, -1)
		if err == nil {
			n, err = group(name, repetition(f), schema.FieldList{n}, schema.NewListLogicalType(), fieldID(f))
		}
	case *arrow.StructType:
		if t.NumFields() == 0 {
			return nil, fmt.Errorf("parquet: column %q is a struct without fields, which Parquet cannot hold: %w", f.Name, stream.ErrPermanent)
		}
		var kids schema.FieldList
		for i, kf := range t.Fields() {
			s := here
			s.kid = i
			var k schema.Node
			if k, err = l.field(kf, kf.Name, col, down(s)); err != nil {
				return nil, err
			}
			kids = append(kids, k)
		}
		n, err = group(name, repetition(f), kids, nil, fieldID(f))
	default:
		lf := leaf{col: col, steps: down(here)}
		n, err = lf.primitive(f, name)
		l.leaves = append(l.leaves, lf)
	}
	if err != nil {
		return nil, fmt.Errorf("parquet: column %q of type %s: %w: %w", f.Name, f.Type, stream.ErrPermanent, err)
	}
	return n, nil
}

func group(name string, r parquet.Repetition, fields schema.FieldList, logical schema.LogicalType, id int32) (schema.Node, error) {
	if logical == nil {
		return schema.NewGroupNode(name, r, fields, id)
	}
	return schema.NewGroupNodeLogical(name, r, fields, logical, id)
}

// primitive makes the node of a column without children, and notes how its values are converted.
func (lf *leaf) primitive(f arrow.Field, name string) (schema.Node, error) {
	r, id := repetition(f), fieldID(f)
	plain := func(k kind, t parquet.Type) (schema.Node, error) {
		lf.kind = k
		return schema.NewPrimitiveNode(name, r, t, id, -1)
	}
	logical := func(k kind, t parquet.Type, lt schema.LogicalType) (schema.Node, error) {
		lf.kind = k
		return schema.NewPrimitiveNodeLogical(name, r, lt, t, lf.width, id)
	}
	switch t := f.Type.(type) {
	case *arrow.BooleanType:
		return plain(kindBool, parquet.Types.Boolean)
	case *arrow.Int32Type:
		return plain(kindI32, parquet.Types.Int32)
	case *arrow.Int64Type:
		return plain(kindI64, parquet.Types.Int64)
	case *arrow.Float64Type:
		return plain(kindF64, parquet.Types.Double)
	case *arrow.BinaryType:
		return plain(kindBytes, parquet.Types.ByteArray)
	case *arrow.StringType:
		return logical(kindBytes, parquet.Types.ByteArray, schema.StringLogicalType{})
	case *arrow.Date32Type:
		return logical(kindI32, parquet.Types.Int32, schema.DateLogicalType{})
	case *arrow.TimestampType:
		if t.Unit != arrow.Microsecond {
			return nil, fmt.Errorf("timestamps are held in microseconds")
		}
		return logical(kindI64, parquet.Types.Int64, schema.NewTimestampLogicalType(t.TimeZone != "", schema.TimeUnitMicros))
	case *arrow.Decimal128Type:
		lt := schema.NewDecimalLogicalType(t.Precision, t.Scale)
		switch {
		case t.Precision <= 9:
			return logical(kindDec32, parquet.Types.Int32, lt)
		case t.Precision <= 18:
			return logical(kindDec64, parquet.Types.Int64, lt)
		}
		lf.width = decimalWidth(t.Precision)
		return logical(kindDecFixed, parquet.Types.FixedLenByteArray, lt)
	}
	return nil, fmt.Errorf("there is no Parquet layout for it")
}

// decimalWidth is the least number of bytes that hold every two's complement number of p decimal digits.
func decimalWidth(p int32) int {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(p)), nil)
	return most.Sub(most, big.NewInt(1)).BitLen()/8 + 1
}
