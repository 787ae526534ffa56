package parquet

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
)

func TestSlabClasses(t *testing.T) {
	for _, c := range []struct{ n, size int }{
		{1, 4 << 10}, {4096, 4 << 10}, {4097, 6 << 10}, {6144, 6 << 10}, {6145, 8 << 10}, {8192, 8 << 10}, {8193, 12 << 10}, {12289, 16 << 10},
		{1 << 20, 1 << 20}, {1<<20 + 1, 3 << 19}, {3 << 19, 3 << 19}, {3<<19 + 1, 2 << 20}, {3 << 30, 3 << 30},
	} {
		class := slabClass(c.n)
		if got := slabSize(class); got != c.size || class >= slabClasses {
			t.Errorf("%d bytes: got class %d of %d bytes, want %d", c.n, class, got, c.size)
		}
	}
}

func TestRoomKeepsWhatIsThere(t *testing.T) {
	var s slabs
	var x []decimal128.Num
	for i := range 5000 {
		x = append(room(&s, x, 1), decimal128.FromI64(int64(i)))
	}
	if cap(x)*16 != 96<<10 {
		t.Errorf("got room for %d bytes, want a slab of 96 KiB", cap(x)*16)
	}
	for i, v := range x {
		if v != decimal128.FromI64(int64(i)) {
			t.Fatalf("value %d is %v", i, v)
		}
	}
	s.give(raw(x))
	s.give(make([]byte, 5000)) // no slab: left to the collector
	if b := s.take(90 << 10); len(b) != 96<<10 {
		t.Errorf("got %d bytes, want 96 KiB", len(b))
	}
	var none []int32
	if got := room(&s, none, 10); got != nil {
		t.Errorf("got room for %d values in a slab, want few values left to append", cap(got))
	}
}
