package stream

import "github.com/apache/arrow-go/v18/arrow"

// Port is an output of a step.
type Port struct {
	Name   string // empty: the only one
	Schema *arrow.Schema
}

// Emit hands a batch to what follows port. The batch is lent until Emit returns.
type Emit func(port int, b *Batch) error

// Step is a stateless transform, built from its input schema so that mismatches fail at start. Its scratch memory makes
// it the property of one goroutine: every lane has its own.
type Step interface {
	Ports() []Port
	// Apply transforms one batch and emits at most one batch a port. Rows that cannot be computed are given to b.Reject and
	// leave the selection; they are no error.
	Apply(b *Batch, emit Emit) error
}

// Operator is a lane's half of a stateful, deterministic transform in event time.
type Operator interface {
	Push(b *Batch, emit Emit) error
	// Advance moves the watermark and returns the partials of windows that have closed.
	Advance(watermark Micros, emit Emit) ([]Partial, error)
	// Delta is the state's change since the last call, by partition; it is written before the commit it belongs to.
	Delta() ([]byte, error)
	Restore(deltas [][]byte) error
	// Finalized tells that partials up to here have been merged and may go.
	Finalized(upTo Micros)
}

// Partial is a lane's share of one window.
type Partial struct {
	Window Micros // its end
	Data   []byte
}
