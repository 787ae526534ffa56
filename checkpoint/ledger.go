package checkpoint

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Options are what a ledger is made of.
type Options struct {
	Store   store.Client // where the ledger lives
	Session string       // one life of one worker; unique
	Tables  stream.Tables
	// Stores opens the store of a table at its location: to see whether a file is visible, and for Probe.
	Stores func(ctx context.Context, t stream.TableRef) (store.Client, error)
	// Probe is store.Probe: it proves that the stores keep their promises. What it found is kept in the ledger, and a store
	// is asked once. nil: they are trusted.
	Probe func(ctx context.Context, ledger store.Client, tables ...store.Client) (store.ProbeResult, error)

	Hooks   *stream.Hooks
	Log     *slog.Logger
	Metrics prometheus.Registerer

	History time.Duration // how long retired manifests and superseded state are kept; default 7 days
	PutOff  time.Duration // longest wait for another live owner, a rebalance timeout; default 1 minute
	Retry   Retry
}

// Ledger is the ledger of one pipeline. It is safe for concurrent use.
type Ledger struct {
	o   Options
	met *metrics

	mu    sync.Mutex
	joint *pipeline               // after Join
	turns map[stream.LaneID]*turn // of Acquire: one at a time per lane
}

var (
	_ stream.Ledger   = (*Ledger)(nil)
	_ stream.Pipeline = (*pipeline)(nil)
	_ stream.Lane     = (*lane)(nil)
)

// New makes a ledger. It reads and writes nothing.
func New(o Options) *Ledger {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.History <= 0 {
		o.History = 7 * 24 * time.Hour
	}
	if o.PutOff <= 0 {
		o.PutOff = time.Minute
	}
	o.Retry.fill()
	return &Ledger{o: o, met: newMetrics(o.Metrics), turns: map[stream.LaneID]*turn{}}
}

// Inspect reads pipeline.json and changes nothing: for tools that look at a ledger without joining it.
func (l *Ledger) Inspect(ctx context.Context) (stream.PipelineState, error) {
	r, err := l.readPipeline(ctx, false)
	switch {
	case err != nil:
		return stream.PipelineState{}, err
	case r.Fault != nil:
		return stream.PipelineState{}, r.Fault
	case !r.Found:
		return stream.PipelineState{}, stream.WithNext(
			fmt.Errorf("ledger: there is none at %s: %w", l.o.Store.Location(), stream.ErrPermanent),
			"check ledger.location; a pipeline makes its ledger when it runs for the first time")
	}
	return r.State, nil
}

// Heads reads heads strongly.
func (l *Ledger) Heads(ctx context.Context, lanes []stream.LaneID) ([]stream.Head, error) {
	heads := make([]stream.Head, len(lanes))
	err := parallel(ctx, len(lanes), func(ctx context.Context, i int) error {
		r, err := l.readHead(ctx, lanes[i], false)
		switch {
		case err != nil:
			return err
		case !r.Found:
			return protocol.Missing(lanes[i])
		}
		heads[i] = r.Head
		return r.Fault
	})
	if err != nil {
		return nil, err
	}
	return heads, nil
}

func (l *Ledger) joined() (*pipeline, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.joint == nil {
		return nil, errors.New("ledger: a lane was asked for before Join")
	}
	return l.joint, nil
}

// readHead reads a head strongly. must: repeat until ctx is over, as something undecided depends on it.
func (l *Ledger) readHead(ctx context.Context, id stream.LaneID, must bool) (protocol.Read, error) {
	key := protocol.HeadKey(id)
	b, etag, found, err := l.get(ctx, "read_head", key, must)
	if err != nil || !found {
		return protocol.Read{}, err
	}
	h, fault := protocol.DecodeHead(key, b)
	return protocol.Read{Found: true, Head: h, ETag: etag, Fault: fault, Nonce: random(16)}, nil
}

func (l *Ledger) readPipeline(ctx context.Context, must bool) (protocol.Swap, error) {
	b, etag, found, err := l.get(ctx, "read_pipeline", protocol.PipelineKey, must)
	if err != nil || !found {
		return protocol.Swap{}, err
	}
	p, fault := protocol.DecodePipeline(b)
	return protocol.Swap{
		PipelineRead: protocol.PipelineRead{Found: true, State: p, Fault: fault},
		ETag:         etag, Nonce: random(16),
	}, nil
}

// random is n random bytes as hex.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// turn lets one at a time pass, and whoever waits may give up.
type turn struct{ c chan struct{} }

func newTurn() *turn { return &turn{make(chan struct{}, 1)} }

func (t *turn) take(ctx context.Context) error {
	select {
	case t.c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) give() { <-t.c }

// parallel runs f for 0 to n-1, eight at a time, and returns the first error. Eight requests hide the latency of a store
// without crowding out the uploads of the same process.
func parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	free := make(chan struct{}, 8)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if ctx.Err() != nil {
				return
			}
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}
