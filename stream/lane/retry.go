package lane

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/stream"
)

// backoff doubles from Initial to Max, each with up to a third of jitter, and starts anew after a success.
type backoff struct {
	Retry
	next  time.Duration
	since time.Time // of the first failure in a row
	tries int
}

func (b *backoff) reset() { b.next, b.tries = 0, 0 }

// fail counts a failure and says how long to wait; false: give up.
func (b *backoff) fail(now time.Time) (time.Duration, bool) {
	if b.tries == 0 {
		b.since, b.next = now, b.Initial
	}
	b.tries++
	if b.GiveUpAfter > 0 && now.Sub(b.since) >= b.GiveUpAfter {
		return 0, false
	}
	d := max(b.next, leastWait) // a loop without any wait would burn a core for as long as a server is away
	b.next = min(2*b.next, b.Max)
	return d + time.Duration(rand.Int64N(int64(d)/3+1)), true //nolint:gosec // jitter needs no secrecy
}

// errStays marks faults of the configuration or of the data: they halt, and only a restart tries again.
var errStays = errors.New("stays until the pipeline is started again")

// stays tells whether trying again is of no use, even later.
func stays(err error) bool {
	return errors.Is(err, errStays) || errors.Is(err, stream.ErrForeign) || errors.Is(err, stream.ErrLost)
}

// halts tells whether another try gives the same, so that a person must act.
func halts(err error) bool {
	for _, e := range []error{errStays, stream.ErrPermanent, stream.ErrForeign, stream.ErrLost, stream.ErrDenied} {
		if errors.Is(err, e) {
			return !errors.Is(err, stream.ErrFenced)
		}
	}
	return false
}

// sleep waits for d, or until ctx is over.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
