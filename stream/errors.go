package stream

import (
	"errors"
	"fmt"
)

// The classes of errors. A component wraps the cause and one of these; one place, the lane, retries.
var (
	// ErrPermanent: trying again gives the same. Halt, and say what to do.
	ErrPermanent = errors.New("permanent")
	// ErrUnavailable: a server is away or busy. Back off and try again.
	ErrUnavailable = errors.New("unavailable")
	// ErrDenied: credentials or permissions are wrong.
	ErrDenied = errors.New("permission denied")
	// ErrFenced: another worker owns the lane, definitively. Drop what is open, clean nothing.
	ErrFenced = errors.New("fenced: another worker owns this lane")
	// ErrUnknown: whether a swap landed is not known. Stop, clean nothing.
	ErrUnknown = errors.New("outcome unknown")
	// ErrForeign: an object or a table that this ledger did not write is in our place. Halt, never overwrite.
	ErrForeign = errors.New("written by somebody else")
	// ErrLost: a committed upload is gone. Halt and alarm.
	ErrLost = errors.New("committed data is lost")
	// ErrNoUpload: the upload is unknown to the store and its object is not there: published by another and removed since, or lost.
	ErrNoUpload = errors.New("upload is gone")
	// ErrFull: no space left. Pause, give back what is open, go on when there is room.
	ErrFull = errors.New("no space left")
)

type nextError struct {
	error
	next string
}

func (e *nextError) Unwrap() error { return e.error }

// WithNext adds the next step that a person can take to err. A nil err stays nil.
func WithNext(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &nextError{err, fmt.Sprintf(format, args...)}
}

// Next is the innermost advice that err carries, or "".
func Next(err error) string {
	s := ""
	for e := (*nextError)(nil); errors.As(err, &e); err = e.error {
		s = e.next
	}
	return s
}

// Kind is the one word for err's class, the label of millrace_errors_total: permanent, unavailable, denied, fenced,
// unknown, foreign, lost, full or internal.
func Kind(err error) string {
	for _, k := range []struct {
		err  error
		word string
	}{
		{ErrFenced, "fenced"}, {ErrUnknown, "unknown"}, {ErrForeign, "foreign"}, {ErrLost, "lost"}, {ErrNoUpload, "lost"},
		{ErrFull, "full"}, {ErrDenied, "denied"}, {ErrPermanent, "permanent"}, {ErrUnavailable, "unavailable"},
	} {
		if errors.Is(err, k.err) {
			return k.word
		}
	}
	return "internal"
}

// Fault is one thing wrong with a component's configuration. Validate methods return all of them at once.
type Fault struct {
	Path string // dotted, below the component: "tls.ca", "topics[1]"; empty: the component itself
	Code string // E…, stable
	Text string // what is wrong
	Fix  string // what to write instead; may be empty
}
