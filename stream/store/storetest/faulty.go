package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// ErrCrashed is what every call of a crashed client returns: the process that made it is dead.
var ErrCrashed = errors.New("crashed")

// ErrReplyLost is the default error of a fault.
var ErrReplyLost = fmt.Errorf("%w: connection reset by the test", stream.ErrUnavailable)

// Fault is what goes wrong, once or always. The zero values of Op and Key fit every call.
type Fault struct {
	Op    string        // get, put, head, list, delete, create, part, complete, abort, uploads, parts
	Key   string        // what the key, or the prefix of a list, contains
	Nth   int           // the how-manyeth fitting call from now on, from 1; 0: every one
	After bool          // the store does it, and the answer is lost
	Err   error         // nil: ErrReplyLost, unless Delay or Do is set
	Delay time.Duration // before the call, cut short by its context
	Crash bool          // this call, and every one after it, fails with ErrCrashed
	Do    func()        // called at that moment: before the store is asked, or after it with After; alone it makes nothing fail
}

// Status is the error that a store makes of an HTTP status.
func Status(code int) error {
	class := stream.ErrPermanent
	switch {
	case code == http.StatusPreconditionFailed:
		class = store.ErrPrecondition
	case code == http.StatusNotFound:
		class = store.ErrNotFound
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		class = stream.ErrDenied
	case code == http.StatusConflict, code == http.StatusTooManyRequests, code >= 500:
		class = stream.ErrUnavailable
	}
	return fmt.Errorf("%w: %d %s by the test", class, code, http.StatusText(code))
}

// FaultyClient is a client that fails as told. It is safe for concurrent use.
type FaultyClient struct {
	c store.Client

	mu      sync.Mutex
	faults  []*armed
	calls   []string
	crashed bool
}

type armed struct {
	Fault
	seen int
}

var _ store.Client = (*FaultyClient)(nil)

// Faulty wraps c. A list counts as one call, when it begins.
func Faulty(c store.Client, faults ...Fault) *FaultyClient {
	f := &FaultyClient{c: c}
	for _, x := range faults {
		f.Add(x)
	}
	return f
}

// Add arms one more fault; it counts calls from now on.
func (f *FaultyClient) Add(x Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &armed{Fault: x})
}

// Heal disarms all faults, and raises the dead.
func (f *FaultyClient) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults, f.crashed = nil, false
}

// Calls lists every call so far, those that failed included, as "op key".
func (f *FaultyClient) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Count is the number of calls so far; op "" counts all.
func (f *FaultyClient) Count(op string) int {
	n := 0
	for _, c := range f.Calls() {
		if op == "" || strings.HasPrefix(c, op+" ") {
			n++
		}
	}
	return n
}

// Crashed tells whether a fault with Crash has struck.
func (f *FaultyClient) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// pick notes a call and finds the fault that strikes it.
func (f *FaultyClient) pick(op, key string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op+" "+key)
	if f.crashed {
		return Fault{Err: ErrCrashed}, true
	}
	for _, x := range f.faults {
		if (x.Op != "" && x.Op != op) || !strings.Contains(key, x.Key) {
			continue
		}
		if x.seen++; x.Nth == 0 || x.seen == x.Nth {
			if x.Crash {
				f.crashed = true
			}
			return x.Fault, true
		}
	}
	return Fault{}, false
}

// call runs do, or what a fault makes of it.
func (f *FaultyClient) call(ctx context.Context, op, key string, do func() error) error {
	x, struck := f.pick(op, key)
	if !struck {
		return do()
	}
	if x.Delay > 0 {
		t := time.NewTimer(x.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if x.Err == nil && !x.Crash {
			return do()
		}
	}
	if x.Do != nil && x.Err == nil && !x.Crash && !x.After {
		x.Do()
		return do()
	}
	err := x.Err
	switch {
	case x.Crash:
		err = ErrCrashed
	case err == nil:
		err = ErrReplyLost
	}
	if x.After {
		_ = do() // whatever it answers is lost
	}
	if x.Do != nil {
		x.Do()
	}
	return fmt.Errorf("store: %s %s: %w", op, key, err)
}

// Location is the real one.
func (f *FaultyClient) Location() string { return f.c.Location() }

// Get reads.
func (f *FaultyClient) Get(ctx context.Context, key string, off, n int64) (r io.ReadCloser, o store.Object, err error) {
	err = f.call(ctx, "get", key, func() (err error) { r, o, err = f.c.Get(ctx, key, off, n); return err })
	if err != nil && r != nil {
		_ = r.Close()
		r = nil
	}
	return r, o, err
}

// Put writes.
func (f *FaultyClient) Put(ctx context.Context, key string, body []byte, c store.Cond) (etag string, err error) {
	return one(f, ctx, "put", key, func() (string, error) { return f.c.Put(ctx, key, body, c) })
}

// Head looks.
func (f *FaultyClient) Head(ctx context.Context, key string) (store.Object, error) {
	return one(f, ctx, "head", key, func() (store.Object, error) { return f.c.Head(ctx, key) })
}

// List lists.
func (f *FaultyClient) List(ctx context.Context, prefix, after string) iter.Seq2[store.Object, error] {
	return seq(f, ctx, "list", prefix, f.c.List(ctx, prefix, after))
}

// Delete removes.
func (f *FaultyClient) Delete(ctx context.Context, key string) error {
	return f.call(ctx, "delete", key, func() error { return f.c.Delete(ctx, key) })
}

// Create begins an upload.
func (f *FaultyClient) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	return one(f, ctx, "create", key, func() (string, error) { return f.c.Create(ctx, key, meta) })
}

// Part uploads a part.
func (f *FaultyClient) Part(ctx context.Context, key, id string, n int32, body []byte) (store.Part, error) {
	return one(f, ctx, "part", key, func() (store.Part, error) { return f.c.Part(ctx, key, id, n, body) })
}

// Complete ends an upload.
func (f *FaultyClient) Complete(ctx context.Context, key, id string, parts []store.Part) error {
	return f.call(ctx, "complete", key, func() error { return f.c.Complete(ctx, key, id, parts) })
}

// Abort drops an upload.
func (f *FaultyClient) Abort(ctx context.Context, key, id string) error {
	return f.call(ctx, "abort", key, func() error { return f.c.Abort(ctx, key, id) })
}

// Uploads lists uploads.
func (f *FaultyClient) Uploads(ctx context.Context, prefix string) iter.Seq2[store.Upload, error] {
	return seq(f, ctx, "uploads", prefix, f.c.Uploads(ctx, prefix))
}

// Parts lists parts.
func (f *FaultyClient) Parts(ctx context.Context, key, id string) ([]store.Part, error) {
	return one(f, ctx, "parts", key, func() ([]store.Part, error) { return f.c.Parts(ctx, key, id) })
}

func one[T any](f *FaultyClient, ctx context.Context, op, key string, do func() (T, error)) (T, error) { //nolint:revive // f is its receiver
	var v, none T
	err := f.call(ctx, op, key, func() (err error) { v, err = do(); return err })
	if err != nil {
		return none, err
	}
	return v, nil
}

func seq[T any](f *FaultyClient, ctx context.Context, op, prefix string, s iter.Seq2[T, error]) iter.Seq2[T, error] { //nolint:revive // f is its receiver
	return func(yield func(T, error) bool) {
		var none T
		if err := f.call(ctx, op, prefix, func() error { return nil }); err != nil {
			yield(none, err)
			return
		}
		s(yield)
	}
}
