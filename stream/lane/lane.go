package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// runner owns one lane in this process, from its grant to its release. One goroutine does the work; the other methods leave
// it notes and wake it.
type runner struct {
	w  *Worker
	id stream.LaneID

	ctx    context.Context //nolint:containedctx // the runner's life; over: drop everything at once
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
	wake   waker

	mu        sync.Mutex
	granted   []stream.Start // partitions of the lane, each at its beginning
	fresh     bool           // granted has grown since the reader was told
	stopping  *stopping
	st        LaneStatus
	tot       Totals
	published *publisher
}

// stopping is the wish to flush and release.
type stopping struct {
	ctx     context.Context //nolint:containedctx // bounds the flush that the wish asks for
	publish bool            // wait for publishing too
}

func newRunner(w *Worker, g stream.Grant) *runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &runner{
		w: w, id: g.Lane, ctx: ctx, cancel: cancel, done: make(chan struct{}), granted: g.Partitions,
		st: LaneStatus{Lane: g.Lane, State: "acquiring", Since: time.Now(), Lag: -1, Halted: map[stream.PartitionID]string{}},
	}
}

func (r *runner) start() {
	go func() {
		defer close(r.done)
		defer r.cancel()
		r.run()
	}()
}

// abandon drops everything at once: the lane is lost.
func (r *runner) abandon() { r.cancel(); r.wake.poke() }

// stop asks for flush and release, and waits. When ctx is over first, the lane is let go: fencing keeps it safe.
func (r *runner) stop(ctx context.Context, publish bool) {
	r.mu.Lock()
	r.stopping = &stopping{ctx, publish}
	r.mu.Unlock()
	r.wake.poke()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.abandon()
		<-r.done
	}
}

// add tells of partitions that the lane has now.
func (r *runner) add(ps []stream.Start) {
	r.mu.Lock()
	known := map[stream.PartitionID]bool{}
	for _, p := range r.granted {
		known[p.ID] = true
	}
	for _, p := range ps {
		if !known[p.ID] {
			r.granted = append(r.granted, p)
			r.fresh = true
		}
	}
	r.mu.Unlock()
	r.wake.poke()
}

func (r *runner) wish() *stopping {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopping
}

// run holds the lane again and again, until it is stopped.
func (r *runner) run() {
	retry := backoff{Retry: r.w.p.Retry}
	fenced := fencedWait
	for {
		h := &hold{r: r, w: r.w}
		err := h.run(r.ctx)
		if h.commits > 0 {
			retry.reset()
			fenced = fencedWait
		}
		switch {
		case r.ctx.Err() != nil:
			return
		case err == nil:
			return // released, or input is done
		case errors.Is(err, stream.ErrFenced):
			r.w.d.Log.Warn("another worker took the lane; will take it again if it stays assigned here", "pipeline", r.w.p.Name, "lane", r.id, "next", fenced)
			r.say("waiting", err)
			r.pause(fenced)
			fenced = min(2*fenced, 8*fencedWait)
		case halts(err):
			r.halt(err)
			return
		default:
			wait, again := retry.fail(time.Now())
			if !again {
				r.halt(fmt.Errorf("gave up after %d tries: %w", retry.tries, err))
				return
			}
			r.w.d.Metrics.Retries.WithLabelValues("lane", "hold").Inc()
			r.w.d.Log.Warn("cannot go on, will retry", "pipeline", r.w.p.Name, "lane", r.id, "err", err, "try", retry.tries, "in", wait.Round(time.Millisecond))
			r.say("waiting", err)
			r.pause(wait)
		}
		if r.wish() != nil {
			return // nothing is held, so there is nothing to flush
		}
	}
}

// pause waits between two holds, until a stop is asked for.
func (r *runner) pause(d time.Duration) {
	end := time.Now().Add(d)
	for r.wish() == nil && r.ctx.Err() == nil && time.Now().Before(end) {
		ctx, cancel := r.wake.context(r.ctx, end)
		<-ctx.Done()
		cancel()
	}
}

// halt leaves the lane as it is until it is stopped: only a person can mend it.
func (r *runner) halt(err error) {
	r.w.d.Metrics.Errors.WithLabelValues("lane", stream.Kind(err)).Inc()
	r.w.d.Log.Error("halted", "pipeline", r.w.p.Name, "lane", r.id, "err", err, "next", stream.Next(err))
	r.say("halted", err)
	r.w.laneHalted(err) // a bounded run does not wait for a lane that cannot go on
	for r.wish() == nil && r.ctx.Err() == nil {
		ctx, cancel := r.wake.context(r.ctx, time.Time{})
		<-ctx.Done()
		cancel()
	}
}

func (r *runner) say(state string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st.State != state {
		r.st.State, r.st.Since = state, time.Now()
	}
	r.st.Reason, r.st.Next = "", ""
	if err != nil {
		r.st.Reason, r.st.Next = err.Error(), stream.Next(err)
	}
}

func (r *runner) status() LaneStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.st
	s.Halted = map[stream.PartitionID]string{}
	for k, v := range r.st.Halted {
		s.Halted[k] = v
	}
	if p := r.published; p != nil {
		n, err := p.state()
		s.Pending = n
		if err != nil && s.State == "running" {
			s.State, s.Reason, s.Next = "waiting", err.Error(), stream.Next(err)
			if halts(err) {
				s.State = "halted"
			}
		}
	}
	return s
}

func (r *runner) totals() Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tot
}

// atEnd tells whether nothing more is to come of this lane in a bounded run.
func (r *runner) atEnd() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st.State == "ended" || r.st.State == "halted"
}

// waker ends waits: whoever waits asks it for a context, and poke cancels it, or the next one if nobody waits.
type waker struct {
	mu     sync.Mutex
	poked  bool
	cancel context.CancelFunc
}

func (k *waker) poke() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.poked = true
	if k.cancel != nil {
		k.cancel()
	}
}

// context is over at a poke, at the deadline if there is one, or with parent.
func (k *waker) context(parent context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	var ctx context.Context
	var cancel context.CancelFunc
	if deadline.IsZero() {
		ctx, cancel = context.WithCancel(parent)
	} else {
		ctx, cancel = context.WithDeadline(parent, deadline)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.poked {
		k.poked = false
		cancel()
	}
	k.cancel = cancel
	return ctx, func() {
		k.mu.Lock()
		k.cancel = nil
		k.mu.Unlock()
		cancel()
	}
}
