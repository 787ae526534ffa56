package transform

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

// col holds the values of one part of an expression, by row number. Only the rows that were asked for are filled, the
// others hold leftovers. Which slice has the values follows from the kind; dates are in i32, timestamps in i64, strings
// and bytes in str. Strings point into the batch or into the arena of ctx, and die with the batch.
type col struct {
	null []bool // nil: none of the rows asked for is null
	b    []bool
	i32  []int32
	i64  []int64
	f64  []float64
	dec  []decimal128.Num
	str  []string
	nest *stream.Vec // struct, list, map: row i is row at[i] of nest
	at   []int32

	nullBuf []bool
	rows    int
}

// value is what a kernel may work on.
type value interface {
	bool | int32 | int64 | float64 | string | decimal128.Num
}

// vals is the slice of c that holds values of type T.
func vals[T value](c *col) []T {
	var z T
	switch any(z).(type) {
	case bool:
		return *(*[]T)(unsafe.Pointer(&c.b))
	case int32:
		return *(*[]T)(unsafe.Pointer(&c.i32))
	case int64:
		return *(*[]T)(unsafe.Pointer(&c.i64))
	case float64:
		return *(*[]T)(unsafe.Pointer(&c.f64))
	case string:
		return *(*[]T)(unsafe.Pointer(&c.str))
	}
	return *(*[]T)(unsafe.Pointer(&c.dec))
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// start makes room for rows values of kind k, of which none is null so far.
func (c *col) start(k kind, rows int) {
	c.null, c.rows = nil, rows
	switch k {
	case kindBool:
		c.b = grow(c.b, rows)
	case kindI32, kindDate:
		c.i32 = grow(c.i32, rows)
	case kindI64, kindTime:
		c.i64 = grow(c.i64, rows)
	case kindF64:
		c.f64 = grow(c.f64, rows)
	case kindDec:
		c.dec = grow(c.dec, rows)
	case kindStr, kindBin:
		c.str = grow(c.str, rows)
	case kindNest:
		c.at = grow(c.at, rows)
	default:
	}
}

func (c *col) setNull(row int32) {
	if c.null == nil {
		c.nullBuf = grow(c.nullBuf, c.rows)
		clear(c.nullBuf)
		c.null = c.nullBuf
	}
	c.null[row] = true
}

func (c *col) isNull(row int32) bool { return c.null != nil && c.null[row] }

// copyRow takes row i of src, of the same kind.
func (c *col) copyRow(k kind, src *col, i int32) {
	if src.isNull(i) {
		c.setNull(i)
		return
	}
	switch k {
	case kindBool:
		c.b[i] = src.b[i]
	case kindI32, kindDate:
		c.i32[i] = src.i32[i]
	case kindI64, kindTime:
		c.i64[i] = src.i64[i]
	case kindF64:
		c.f64[i] = src.f64[i]
	case kindDec:
		c.dec[i] = src.dec[i]
	case kindStr, kindBin:
		c.str[i] = src.str[i]
	default:
	}
}

// load points the column at the rows sel of v, without copying where the layouts agree.
func (c *col) load(k kind, v *stream.Vec, sel []int32) {
	c.null, c.rows = nil, v.N
	if len(v.Valid) != 0 {
		for _, i := range sel {
			if !v.Valid.Get(int(i)) {
				c.setNull(i)
			}
		}
	}
	switch k {
	case kindBool:
		c.b = grow(c.b, v.N)
		for _, i := range sel {
			c.b[i] = v.Bits.Get(int(i))
		}
	case kindI32, kindDate:
		c.i32 = v.I32
	case kindI64, kindTime:
		c.i64 = v.I64
	case kindF64:
		c.f64 = v.F64
	case kindDec:
		c.dec = v.Dec
	case kindStr, kindBin:
		c.str = grow(c.str, v.N)
		for _, i := range sel {
			c.str[i] = v.StringAt(int(i))
		}
	case kindNest:
		c.nest = v
		c.at = grow(c.at, v.N)
		for _, i := range sel {
			c.at[i] = i
		}
	default:
	}
}

// gather is load for values that lie within a nested column: row i takes row at[i] of v, and is null where gone[i].
func (c *col) gather(k kind, v *stream.Vec, at []int32, gone []bool, rows int, sel []int32) {
	c.start(k, rows)
	c.nest = v
	for _, i := range sel {
		if gone[i] || v.IsNull(int(at[i])) {
			c.setNull(i)
			continue
		}
		j := at[i]
		switch k {
		case kindBool:
			c.b[i] = v.Bits.Get(int(j))
		case kindI32, kindDate:
			c.i32[i] = v.I32[j]
		case kindI64, kindTime:
			c.i64[i] = v.I64[j]
		case kindF64:
			c.f64[i] = v.F64[j]
		case kindDec:
			c.dec[i] = v.Dec[j]
		case kindStr, kindBin:
			c.str[i] = v.StringAt(int(j))
		case kindNest:
			c.at[i] = j
		default:
		}
	}
}

// store makes v, emptied before, a column of rows rows with the values of sel. The other rows are zero values.
func (c *col) store(k kind, v *stream.Vec, sel []int32, rows int) {
	v.Reset()
	if k == kindNest {
		c.storeNested(v, sel, rows)
		return
	}
	switch k {
	case kindBool:
		v.Bits = grow(v.Bits, (rows+7)/8)
		clear(v.Bits)
		for _, i := range sel {
			if c.b[i] && !c.isNull(i) {
				v.Bits[i>>3] |= 1 << (i & 7)
			}
		}
	case kindI32, kindDate:
		v.I32 = put(v.I32, c.i32, c.null, sel, rows)
	case kindI64, kindTime:
		v.I64 = put(v.I64, c.i64, c.null, sel, rows)
	case kindF64:
		v.F64 = put(v.F64, c.f64, c.null, sel, rows)
	case kindDec:
		v.Dec = put(v.Dec, c.dec, c.null, sel, rows)
	case kindStr, kindBin:
		c.storeStrings(v, sel, rows)
	default:
	}
	v.N = rows
	if c.null == nil {
		return
	}
	v.Valid = grow(v.Valid, (rows+7)/8)
	for i := range v.Valid {
		v.Valid[i] = 0xff
	}
	if r := rows & 7; r != 0 {
		v.Valid[len(v.Valid)-1] = 1<<r - 1
	}
	for _, i := range sel {
		if c.null[i] {
			v.Valid[i>>3] &^= 1 << (i & 7)
		}
	}
}

func put[T any](dst, src []T, null []bool, sel []int32, rows int) []T {
	dst = grow(dst, rows)
	if len(sel) == rows && null == nil {
		copy(dst, src)
		return dst
	}
	clear(dst)
	for _, i := range sel {
		if null == nil || !null[i] {
			dst[i] = src[i]
		}
	}
	return dst
}

func (c *col) storeStrings(v *stream.Vec, sel []int32, rows int) {
	if rows == 0 {
		return
	}
	v.Offsets = grow(v.Offsets, rows+1)
	b, next := v.Bytes[:0], 0
	for _, i := range sel {
		end := int32(len(b)) //nolint:gosec // below 1 GiB: ctx.limit
		for ; next <= int(i); next++ {
			v.Offsets[next] = end
		}
		if !c.isNull(i) {
			b = append(b, c.str[i]...)
		}
	}
	end := int32(len(b)) //nolint:gosec // below 1 GiB: ctx.limit
	for ; next <= rows; next++ {
		v.Offsets[next] = end
	}
	v.Bytes = b
}

func (c *col) storeNested(v *stream.Vec, sel []int32, rows int) {
	next := 0
	for _, i := range sel {
		for ; next < int(i); next++ {
			v.AppendNull()
		}
		if c.isNull(i) {
			v.AppendNull()
		} else {
			v.AppendRow(c.nest, int(c.at[i]))
		}
		next++
	}
	for ; next < rows; next++ {
		v.AppendNull()
	}
}
