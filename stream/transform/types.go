package transform

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/decimal"
)

// kind is a type as kernels see it.
type kind uint8

const (
	kindNull kind = iota // of NULL itself, until something gives it a type
	kindBool
	kindI32
	kindI64
	kindDec
	kindF64
	kindStr
	kindBin
	kindDate
	kindTime
	kindNest // struct, list, map: paths go into them, and IS NULL
)

func kindOf(t arrow.DataType) kind {
	switch t.ID() {
	case arrow.NULL:
		return kindNull
	case arrow.BOOL:
		return kindBool
	case arrow.INT32:
		return kindI32
	case arrow.INT64:
		return kindI64
	case arrow.DECIMAL128:
		return kindDec
	case arrow.FLOAT64:
		return kindF64
	case arrow.STRING:
		return kindStr
	case arrow.BINARY:
		return kindBin
	case arrow.DATE32:
		return kindDate
	case arrow.TIMESTAMP:
		return kindTime
	default:
	}
	return kindNest
}

func (k kind) numeric() bool { return k >= kindI32 && k <= kindF64 }
func (k kind) integer() bool { return k == kindI32 || k == kindI64 }

func typeNull() arrow.DataType   { return arrow.Null }
func typeBool() arrow.DataType   { return arrow.FixedWidthTypes.Boolean }
func typeI32() arrow.DataType    { return arrow.PrimitiveTypes.Int32 }
func typeI64() arrow.DataType    { return arrow.PrimitiveTypes.Int64 }
func typeF64() arrow.DataType    { return arrow.PrimitiveTypes.Float64 }
func typeString() arrow.DataType { return arrow.BinaryTypes.String }
func typeBytes() arrow.DataType  { return arrow.BinaryTypes.Binary }
func typeDate() arrow.DataType   { return arrow.FixedWidthTypes.Date32 }
func typeTime() arrow.DataType   { return arrow.FixedWidthTypes.Timestamp_us }

func typeDec(t decimal.Type) arrow.DataType {
	return &arrow.Decimal128Type{Precision: t.Precision, Scale: t.Scale}
}

// decOf is the decimal type that holds every value of a decimal or integer type.
func decOf(t arrow.DataType) decimal.Type {
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return decimal.Type{Precision: t.Precision, Scale: t.Scale}
	case *arrow.Int32Type:
		return decimal.Type{Precision: 10}
	}
	return decimal.Type{Precision: 20}
}

// common is the type that both can be widened to without saying so, or nil. The rules are those of doc.go.
func common(a, b arrow.DataType) arrow.DataType {
	ka, kb := kindOf(a), kindOf(b)
	switch {
	case arrow.TypeEqual(a, b):
		return a
	case ka == kindNull:
		return b
	case kb == kindNull:
		return a
	case ka.numeric() && kb.numeric():
		switch k := max(ka, kb); k {
		case kindDec:
			return typeDec(decimal.CommonType(decOf(a), decOf(b)))
		case kindI64:
			return typeI64()
		default:
			return typeF64()
		}
	case ka == kindTime && (kb == kindDate || kb == kindTime), ka == kindDate && kb == kindTime:
		return typeTime()
	}
	return nil
}

// widens tells whether from becomes to without a CAST.
func widens(from, to arrow.DataType) bool {
	c := common(from, to)
	return c != nil && kindOf(c) == kindOf(to)
}
