package lane

import (
	"fmt"
	"runtime/debug"

	"github.com/millrace/millrace/stream"
)

// panicked is a panic as an error: one record, or one fault of ours, must not end the process and with it every pipeline.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// Unwrap: another try may go another way, and what is open is dropped.
func (p *panicked) Unwrap() error { return stream.ErrUnavailable }

// guard calls f and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return f()
}
