package object

import (
	"context"
	"math/bits"
	"sync"
)

// Buffers have sizes of 80 KiB (a 64th of the first part), doubling up to the size of the last part.
const (
	leastBuffer = firstPart >> 6
	classes     = 6 + maxParts/doubleAfter
)

// Gate bounds how many parts are sent at a time, and keeps the buffers of parts for the next ones. One is shared by all
// tables of a process. Idle buffers are let go by the garbage collector.
type Gate struct {
	slots   chan struct{}
	buffers [classes]sync.Pool
}

// NewGate lets n parts through at a time.
func NewGate(n int) *Gate { return &Gate{slots: make(chan struct{}, max(n, 1))} }

// pass runs do when a slot is free.
func (g *Gate) pass(ctx context.Context, do func() error) error {
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.slots }()
	return do()
}

// take returns an empty buffer with room for n bytes.
func (g *Gate) take(n int) []byte {
	c := class(n)
	if b, ok := g.buffers[c].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, leastBuffer<<c)
}

// give takes back what take gave.
func (g *Gate) give(b []byte) {
	if cap(b) > 0 {
		g.buffers[class(cap(b))].Put(&b)
	}
}

func class(n int) int { return bits.Len(uint((n - 1) / leastBuffer)) } //nolint:gosec // n is positive
