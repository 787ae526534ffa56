package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Retry says how calls are repeated.
type Retry struct {
	First time.Duration // the first wait; each next one is twice as long; default 100 ms
	Max   time.Duration // the longest; default 10 s
	Call  time.Duration // bound of one outside call; default 30 s
	Tries int           // of a call on which nothing undecided depends; default 7, about 6 s of waiting
}

func (r *Retry) fill() {
	if r.First <= 0 {
		r.First = 100 * time.Millisecond
	}
	if r.Max <= 0 {
		r.Max = 10 * time.Second
	}
	if r.Call <= 0 {
		r.Call = 30 * time.Second
	}
	if r.Tries <= 0 {
		r.Tries = 7
	}
}

// wait sleeps before the i-th repeat (from 0), between half and all of the step, so that many workers spread.
func (r Retry) wait(ctx context.Context, i int) error {
	d := r.Max
	if i < 30 && r.First<<i < r.Max {
		d = r.First << i
	}
	return pause(ctx, d/2+rand.N(d/2+1))
}

// pause sleeps for d, or until ctx is over.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// again repeats f until it succeeds, ctx is over, or, unless it must be, the tries are used up. f has the time of one call.
func (l *Ledger) again(ctx context.Context, operation, key string, must bool, f func(ctx context.Context) error) error {
	for i := 0; ; i++ {
		err := l.once(ctx, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("ledger: %s %s: %w (%w)", operation, key, context.Cause(ctx), err)
		}
		hopeless := errors.Is(err, stream.ErrDenied) || errors.Is(err, stream.ErrPermanent) || errors.Is(err, stream.ErrForeign)
		if !must && (hopeless || i+1 >= l.o.Retry.Tries) {
			return l.gaveUp(operation, key, i+1, err)
		}
		l.note(operation, key, i, err)
		if l.o.Retry.wait(ctx, i) != nil {
			return fmt.Errorf("ledger: %s %s: %w (%w)", operation, key, context.Cause(ctx), err)
		}
	}
}

// once is one outside call, bounded by its time.
func (l *Ledger) once(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Retry.Call)
	defer cancel()
	return f(ctx)
}

// note counts and logs a repeat. The log line comes with the 4th and then every 8th, as short hiccups are everyday life.
func (l *Ledger) note(operation, key string, i int, err error) {
	l.met.retry(operation)
	if i%8 == 3 {
		l.o.Log.Warn("the ledger's store does not do as asked, repeating", "operation", operation, "path", key,
			"tries", i+1, "err", err, "next", stream.Next(err))
	}
}

func (l *Ledger) gaveUp(operation, key string, tries int, err error) error {
	class := stream.ErrUnavailable
	for _, c := range []error{stream.ErrDenied, stream.ErrPermanent, stream.ErrForeign, stream.ErrFull, stream.ErrUnavailable} {
		if errors.Is(err, c) {
			class = nil
			break
		}
	}
	where := l.o.Store.Location() + key
	if class == nil {
		err = fmt.Errorf("ledger: %s %s, tried %d times: %w", operation, where, tries, err)
	} else {
		err = fmt.Errorf("ledger: %s %s, tried %d times: %w: %w", operation, where, tries, class, err)
	}
	if stream.Next(err) != "" {
		return err
	}
	return stream.WithNext(err, "check that %s can be reached and that this worker may read, write and list there", l.o.Store.Location())
}

// maxRecord bounds what is read at once: a head with 100,000 partitions has about 20 MB.
const maxRecord = 256 << 20

// get reads a whole object strongly.
func (l *Ledger) get(ctx context.Context, operation, key string, must bool) (body []byte, etag string, found bool, err error) {
	err = l.again(ctx, operation, key, must, func(ctx context.Context) error {
		r, o, err := l.o.Store.Get(ctx, key, 0, -1)
		if errors.Is(err, store.ErrNotFound) {
			body, found = nil, false
			return nil
		}
		if err != nil {
			return err
		}
		b, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
		if cerr := r.Close(); err == nil {
			err = cerr
		}
		if err == nil && len(b) > maxRecord {
			err = fmt.Errorf("it has more than %d bytes: %w", maxRecord, stream.ErrPermanent)
		}
		body, etag, found = b, o.ETag, true
		return err
	})
	return body, etag, found, err
}

// writeOnce writes an immutable object of one's own name, until it is there. same is false if something else has its name.
func (l *Ledger) writeOnce(ctx context.Context, operation, key string, body []byte) (same bool, err error) {
	err = l.again(ctx, operation, key, true, func(ctx context.Context) error {
		_, err := l.o.Store.Put(ctx, key, body, store.Cond{IfNone: true})
		if err == nil {
			same = true
			return nil
		}
		if !errors.Is(err, store.ErrPrecondition) {
			return err // nothing of another is overwritten by the repeat
		}
		there, _, found, err := l.get(ctx, operation, key, false)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s was there and is not: %w", key, stream.ErrUnavailable)
		}
		same = protocol.Sum(there) == protocol.Sum(body)
		return nil
	})
	return same, err
}

// list collects the keys with prefix, after the key after. A week of commits every second takes hundreds of pages, more
// than one call's time: a listing that broke off goes on behind the last key that it gave, as long as it gives any.
func (l *Ledger) list(ctx context.Context, operation, prefix, after string) ([]store.Object, error) {
	var all []store.Object
	for {
		before := len(all)
		err := l.again(ctx, operation, prefix, false, func(ctx context.Context) error {
			for o, err := range l.o.Store.List(ctx, prefix, after) {
				if err != nil {
					return err
				}
				all, after = append(all, o), o.Key
			}
			return nil
		})
		if err == nil || ctx.Err() != nil || len(all) == before {
			return all, err
		}
	}
}
