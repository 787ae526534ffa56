package parquet

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

// Slabs have sizes of 4 KiB and one and a half times that, doubling up to 3 GiB. What is smaller is left to append: there are
// files of a few rows, in great numbers.
const (
	leastSlab   = 4 << 10
	slabClasses = 40
)

// slabs keeps the memory of rows that have been encoded for the rows to come, of whatever column and file. So a row group that
// ends gives back all it had, and files that grow and end at their own pace take nothing from the heap. Steps of a third and
// a half leave less room unused than doubling would. What lies idle is let go by the garbage collector.
type slabs struct {
	classes [slabClasses]sync.Pool // of *byte: the size follows from the class
}

// slabClass is the smallest class of n bytes or more.
func slabClass(n int) int {
	if n <= leastSlab {
		return 0
	}
	k := bits.Len(uint(n-1)) - 1 // 2^k < n ≤ 2^(k+1)
	c := 2 * (k - bits.Len(leastSlab) + 1)
	if n <= 3<<(k-1) {
		return c + 1
	}
	return c + 2
}

func slabSize(class int) int {
	if class%2 == 0 {
		return leastSlab << (class / 2)
	}
	return leastSlab * 3 / 2 << (class / 2)
}

// take returns memory for n bytes or more.
func (s *slabs) take(n int) []byte {
	c := slabClass(n)
	if c >= slabClasses {
		return make([]byte, n)
	}
	if p, ok := s.classes[c].Get().(*byte); ok {
		return unsafe.Slice(p, slabSize(c))
	}
	return make([]byte, slabSize(c))
}

// give takes back what take gave; other memory is left to the collector.
func (s *slabs) give(b []byte) {
	if len(b) < leastSlab {
		return
	}
	if c := slabClass(len(b)); c < slabClasses && slabSize(c) == len(b) {
		s.classes[c].Put(unsafe.SliceData(b))
	}
}

// number is what columns of fixed width hold. None has pointers or an alignment above 8, so that a slab may hold any.
type number interface {
	byte | int32 | int64 | float64 | decimal128.Num
}

// raw is all the memory behind x.
func raw[T number](x []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), cap(x)*int(unsafe.Sizeof(*new(T)))) //nolint:gosec // no pointers in it
}

// room returns x with room for n values more, in a slab if they are many.
func room[T number](s *slabs, x []T, n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	need := (len(x) + n) * size
	if len(x)+n <= cap(x) || need < leastSlab {
		return x
	}
	b := s.take(need)
	y := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size)[:len(x)] //nolint:gosec // as above
	copy(y, x)
	s.give(raw(x))
	return y
}

// reserve makes room in v for the rows sel of src, so that appending them takes nothing from the heap. Elements of lists,
// bits and nulls are left to append.
func (s *slabs) reserve(v, src *stream.Vec, sel []int32) {
	n := len(sel)
	switch {
	case src.I32 != nil:
		v.I32 = room(s, v.I32, n)
	case src.I64 != nil:
		v.I64 = room(s, v.I64, n)
	case src.F64 != nil:
		v.F64 = room(s, v.F64, n)
	case src.Dec != nil:
		v.Dec = room(s, v.Dec, n)
	case src.Offsets != nil:
		v.Offsets = room(s, v.Offsets, n+1)
		if len(src.Kids) == 0 {
			v.Bytes = room(s, v.Bytes, textBytes(src, sel))
		}
	default:
		for i, k := range v.Kids {
			s.reserve(k, src.Kids[i], sel)
		}
	}
}

// textBytes is how long the rows sel of v are together.
func textBytes(v *stream.Vec, sel []int32) int {
	n := 0
	for _, i := range sel {
		n += int(v.Offsets[i+1] - v.Offsets[i])
	}
	return n
}

// release empties v and gives its memory back.
func (s *slabs) release(v *stream.Vec) {
	v.Reset()
	s.give(raw(v.I32))
	s.give(raw(v.I64))
	s.give(raw(v.F64))
	s.give(raw(v.Dec))
	s.give(raw(v.Offsets))
	s.give(raw(v.Bytes))
	v.Valid, v.Bits, v.I32, v.I64, v.F64, v.Dec, v.Offsets, v.Bytes = nil, nil, nil, nil, nil, nil, nil, nil
	for _, k := range v.Kids {
		s.release(k)
	}
}
