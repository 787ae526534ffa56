package stream

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Vec is a growable column in Arrow's memory layout, whose buffers are reused from batch to batch.
//
// Which slice holds the values follows from Type:
//
//	bool                  Bits
//	int32, date32         I32
//	int64, timestamp[us]  I64
//	float64               F64
//	decimal128            Dec
//	string, binary        Offsets (N+1 of them once N > 0), Bytes
//	list, map             Offsets (likewise), Kids[0] the elements (of a map: a struct of key and value)
//	struct                Kids, one a field, each with N rows
//
// The value below a null is the zero value, never garbage. A Vec is not safe for concurrent use.
type Vec struct {
	Type    arrow.DataType
	N       int
	Valid   Bitmap // empty: no nulls so far; else N bits, 1 = present
	Bits    Bitmap
	I32     []int32
	I64     []int64
	F64     []float64
	Dec     []decimal128.Num
	Offsets []int32
	Bytes   []byte
	Kids    []*Vec

	kind kind
}

// Bitmap is a sequence of bits, least significant first, as Arrow lays them out.
type Bitmap []byte

// Get tells whether bit i is set.
func (b Bitmap) Get(i int) bool { return b[i>>3]&(1<<(i&7)) != 0 }

// Set sets bit i to on.
func (b Bitmap) Set(i int, on bool) {
	if on {
		b[i>>3] |= 1 << (i & 7)
	} else {
		b[i>>3] &^= 1 << (i & 7)
	}
}

// Grow returns b with room for n bits; new bytes are zero.
func (b Bitmap) Grow(n int) Bitmap {
	for len(b)*8 < n {
		b = append(b, 0)
	}
	return b
}

// Ones counts the set bits among the first n.
func (b Bitmap) Ones(n int) int {
	c := 0
	for i := 0; i < n>>3; i++ {
		c += bits.OnesCount8(b[i])
	}
	if r := n & 7; r != 0 {
		c += bits.OnesCount8(b[n>>3] & (1<<r - 1))
	}
	return c
}

type kind uint8

const (
	kindBits kind = iota
	kindI32
	kindI64
	kindF64
	kindDec
	kindBytes
	kindList
	kindStruct
)

// NewVec returns an empty column of type t. Only the types of the table at Vec are known; another one panics, as schemas
// are checked when the configuration is loaded.
func NewVec(t arrow.DataType) *Vec {
	v := &Vec{Type: t}
	switch t := t.(type) {
	case *arrow.BooleanType:
		v.kind = kindBits
	case *arrow.Int32Type, *arrow.Date32Type:
		v.kind = kindI32
	case *arrow.Int64Type, *arrow.TimestampType:
		v.kind = kindI64
	case *arrow.Float64Type:
		v.kind = kindF64
	case *arrow.Decimal128Type:
		v.kind = kindDec
	case *arrow.StringType, *arrow.BinaryType:
		v.kind = kindBytes
	case *arrow.MapType:
		v.kind = kindList
		v.Kids = []*Vec{NewVec(t.Elem())}
	case *arrow.ListType:
		v.kind = kindList
		v.Kids = []*Vec{NewVec(t.Elem())}
	case *arrow.StructType:
		v.kind = kindStruct
		for _, f := range t.Fields() {
			v.Kids = append(v.Kids, NewVec(f.Type))
		}
	default:
		panic(fmt.Sprintf("stream: no column layout for type %s", t))
	}
	return v
}

// Reset empties the column and keeps its memory.
func (v *Vec) Reset() { v.Truncate(0) }

// Truncate drops the rows from n on, and whatever was appended piecewise to a row that was never ended. It undoes
// appends that turned out to belong to a bad record.
func (v *Vec) Truncate(n int) {
	if n > v.N {
		return
	}
	v.N = n
	v.Valid = cutBits(v.Valid, n)
	switch v.kind {
	case kindBits:
		v.Bits = cutBits(v.Bits, n)
	case kindI32:
		v.I32 = v.I32[:n]
	case kindI64:
		v.I64 = v.I64[:n]
	case kindF64:
		v.F64 = v.F64[:n]
	case kindDec:
		v.Dec = v.Dec[:n]
	case kindBytes:
		if n == 0 {
			v.Offsets, v.Bytes = v.Offsets[:0], v.Bytes[:0]
		} else {
			v.Offsets = v.Offsets[:n+1]
			v.Bytes = v.Bytes[:v.Offsets[n]]
		}
	case kindList:
		if n == 0 {
			v.Offsets = v.Offsets[:0]
			v.Kids[0].Truncate(0)
		} else {
			v.Offsets = v.Offsets[:n+1]
			v.Kids[0].Truncate(int(v.Offsets[n]))
		}
	case kindStruct:
		for _, k := range v.Kids {
			k.Truncate(n)
		}
	}
}

func cutBits(b Bitmap, n int) Bitmap {
	if len(b) == 0 {
		return b
	}
	b = b[:(n+7)/8]
	if r := n & 7; r != 0 {
		b[len(b)-1] &= 1<<r - 1 // bits above n stay zero, so that growing needs no clearing
	}
	return b
}

// IsNull tells whether row i is null.
func (v *Vec) IsNull(i int) bool { return len(v.Valid) != 0 && !v.Valid.Get(i) }

// Nulls counts the null rows.
func (v *Vec) Nulls() int {
	if len(v.Valid) == 0 {
		return 0
	}
	return v.N - v.Valid.Ones(v.N)
}

// row counts one more row, present or not.
func (v *Vec) row(present bool) {
	if !present && len(v.Valid) == 0 {
		v.Valid = v.Valid.Grow(max(v.N, 1))
		for i := range v.N {
			v.Valid.Set(i, true)
		}
	}
	v.N++
	if len(v.Valid) != 0 || !present {
		v.Valid = v.Valid.Grow(v.N)
		v.Valid.Set(v.N-1, present)
	}
}

// AppendNull adds a null row.
func (v *Vec) AppendNull() {
	switch v.kind {
	case kindBits:
		v.Bits = v.Bits.Grow(v.N + 1)
	case kindI32:
		v.I32 = append(v.I32, 0)
	case kindI64:
		v.I64 = append(v.I64, 0)
	case kindF64:
		v.F64 = append(v.F64, 0)
	case kindDec:
		v.Dec = append(v.Dec, decimal128.Num{})
	case kindBytes:
		v.endOffset(len(v.Bytes))
	case kindList:
		v.endOffset(v.Kids[0].N)
	case kindStruct:
		for _, k := range v.Kids {
			k.AppendNull()
		}
	}
	v.row(false)
}

// AppendBool adds a row to a bool column.
func (v *Vec) AppendBool(x bool) {
	v.Bits = v.Bits.Grow(v.N + 1)
	v.Bits.Set(v.N, x)
	v.row(true)
}

// AppendI32 adds a row to an int32 or date column (days since 1970).
func (v *Vec) AppendI32(x int32) { v.I32 = append(v.I32, x); v.row(true) }

// AppendI64 adds a row to an int64 or timestamp column (Micros).
func (v *Vec) AppendI64(x int64) { v.I64 = append(v.I64, x); v.row(true) }

// AppendF64 adds a row to a float64 column.
func (v *Vec) AppendF64(x float64) { v.F64 = append(v.F64, x); v.row(true) }

// AppendDec adds a row to a decimal column; x is the unscaled value.
func (v *Vec) AppendDec(x decimal128.Num) { v.Dec = append(v.Dec, x); v.row(true) }

// AppendBytes adds a row to a string or binary column; x is copied.
func (v *Vec) AppendBytes(x []byte) {
	v.Bytes = append(v.Bytes, x...)
	v.endOffset(len(v.Bytes))
	v.row(true)
}

// AppendString is AppendBytes for a string.
func (v *Vec) AppendString(x string) {
	v.Bytes = append(v.Bytes, x...)
	v.endOffset(len(v.Bytes))
	v.row(true)
}

// EndRow ends a row whose value was appended piecewise: to Bytes of a string column, to Kids[0] of a list or map, or one
// value to every one of Kids of a struct.
func (v *Vec) EndRow() {
	switch v.kind {
	case kindBytes:
		v.endOffset(len(v.Bytes))
	case kindList:
		v.endOffset(v.Kids[0].N)
	case kindStruct:
	default:
		panic("stream: EndRow on a column of " + v.Type.String())
	}
	v.row(true)
}

func (v *Vec) endOffset(end int) {
	if len(v.Offsets) == 0 {
		v.Offsets = append(v.Offsets, 0)
	}
	v.Offsets = append(v.Offsets, int32(end)) //nolint:gosec // a batch is far below 2 GiB: Batch.Full bounds it
}

// BytesAt is the value of row i of a string or binary column, not copied.
func (v *Vec) BytesAt(i int) []byte { return v.Bytes[v.Offsets[i]:v.Offsets[i+1]] }

// StringAt is BytesAt as a string that shares the column's memory: valid as long as the column is not changed.
func (v *Vec) StringAt(i int) string {
	b := v.BytesAt(i)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Size is the number of bytes that the column's rows take.
func (v *Vec) Size() int64 {
	s := int64(len(v.Valid) + len(v.Bits) + 4*len(v.I32) + 8*len(v.I64) + 8*len(v.F64) + 16*len(v.Dec) + 4*len(v.Offsets) + len(v.Bytes))
	for _, k := range v.Kids {
		s += k.Size()
	}
	return s
}

// AppendRow copies row i of src, a column of the same type.
func (v *Vec) AppendRow(src *Vec, i int) {
	if src.IsNull(i) {
		v.AppendNull()
		return
	}
	switch v.kind {
	case kindBits:
		v.AppendBool(src.Bits.Get(i))
	case kindI32:
		v.AppendI32(src.I32[i])
	case kindI64:
		v.AppendI64(src.I64[i])
	case kindF64:
		v.AppendF64(src.F64[i])
	case kindDec:
		v.AppendDec(src.Dec[i])
	case kindBytes:
		v.AppendBytes(src.BytesAt(i))
	case kindList:
		for j := src.Offsets[i]; j < src.Offsets[i+1]; j++ {
			v.Kids[0].AppendRow(src.Kids[0], int(j))
		}
		v.EndRow()
	case kindStruct:
		for k := range v.Kids {
			v.Kids[k].AppendRow(src.Kids[k], i)
		}
		v.row(true)
	}
}

// AppendRows copies the rows sel of src, a column of the same type, in that order.
func (v *Vec) AppendRows(src *Vec, sel []int32) {
	if len(sel) == 0 {
		return
	}
	plain := len(src.Valid) == 0 && len(v.Valid) == 0
	switch {
	case plain && v.kind == kindI32:
		for _, i := range sel {
			v.I32 = append(v.I32, src.I32[i])
		}
	case plain && v.kind == kindI64:
		for _, i := range sel {
			v.I64 = append(v.I64, src.I64[i])
		}
	case plain && v.kind == kindF64:
		for _, i := range sel {
			v.F64 = append(v.F64, src.F64[i])
		}
	case plain && v.kind == kindDec:
		for _, i := range sel {
			v.Dec = append(v.Dec, src.Dec[i])
		}
	case plain && v.kind == kindBytes:
		v.appendStrings(src, sel)
	default:
		for _, i := range sel {
			v.AppendRow(src, int(i))
		}
		return
	}
	v.N += len(sel)
}

// appendStrings copies neighbouring rows as one run of bytes: most selections are dense.
func (v *Vec) appendStrings(src *Vec, sel []int32) {
	if len(v.Offsets) == 0 {
		v.Offsets = append(v.Offsets, 0)
	}
	for k := 0; k < len(sel); {
		end := k + 1
		for end < len(sel) && sel[end] == sel[end-1]+1 {
			end++
		}
		from := src.Offsets[sel[k]]
		shift := int32(len(v.Bytes)) - from //nolint:gosec // below 2 GiB, see endOffset
		v.Bytes = append(v.Bytes, src.Bytes[from:src.Offsets[sel[end-1]+1]]...)
		for _, i := range sel[k:end] {
			v.Offsets = append(v.Offsets, src.Offsets[i+1]+shift)
		}
		k = end
	}
}

// Arrow is the column as an Arrow array that shares its memory: valid until the column changes.
func (v *Vec) Arrow() arrow.Array {
	d := v.data()
	defer d.Release()
	return array.MakeFromData(d)
}

func (v *Vec) data() arrow.ArrayData {
	var valid *memory.Buffer
	if len(v.Valid) != 0 {
		valid = memory.NewBufferBytes(v.Valid)
	}
	bufs := []*memory.Buffer{valid}
	var kids []arrow.ArrayData
	switch v.kind {
	case kindBits:
		bufs = append(bufs, memory.NewBufferBytes(v.Bits))
	case kindI32:
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.I32)))
	case kindI64:
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(v.I64)))
	case kindF64:
		bufs = append(bufs, memory.NewBufferBytes(arrow.Float64Traits.CastToBytes(v.F64)))
	case kindDec:
		bufs = append(bufs, memory.NewBufferBytes(arrow.Decimal128Traits.CastToBytes(v.Dec)))
	case kindBytes:
		bufs = append(bufs, v.offsetBuffer(), memory.NewBufferBytes(v.Bytes))
	case kindList:
		bufs = append(bufs, v.offsetBuffer())
		kids = append(kids, v.Kids[0].data())
	case kindStruct:
		for _, k := range v.Kids {
			kids = append(kids, k.data())
		}
	}
	d := array.NewData(v.Type, v.N, bufs, kids, v.Nulls(), 0)
	for _, k := range kids {
		k.Release()
	}
	return d
}

func (v *Vec) offsetBuffer() *memory.Buffer {
	if len(v.Offsets) == 0 {
		return memory.NewBufferBytes(make([]byte, 4))
	}
	return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(v.Offsets))
}
