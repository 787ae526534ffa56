package lane

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	quit      context.CancelFunc // ends the acquiring that is under way; nil: the lane is held, or nothing is
	st        LaneStatus
	tot       Totals
	published *publisher
	txns      []*txn    // open, or being flushed
	flying    time.Time // when the flush under way began; zero: none
	suspects  map[stream.PartitionID]suspicion
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

// start begins the work when those have ended that had the lane before.
func (r *runner) start(before []*runner) {
	r.w.running.Go(func() {
		defer r.w.left(r)
		defer close(r.done)
		defer r.cancel()
		for _, b := range before {
			<-b.done
		}
		r.run()
	})
}

// abandon drops everything at once: the lane is lost.
func (r *runner) abandon() { r.cancel(); r.wake.poke() }

// stop asks for flush and release, and waits. When ctx is over first, the lane is let go and nobody waits any more: fencing
// keeps it safe.
func (r *runner) stop(ctx context.Context, publish bool) {
	r.mu.Lock()
	r.stopping = &stopping{ctx, publish}
	if r.quit != nil {
		r.quit()
	}
	r.mu.Unlock()
	r.wake.poke()
	select {
	case <-r.done:
	case <-ctx.Done():
		r.abandon()
	}
}

// acquire takes the lane. A stop that is asked for meanwhile ends it: there is nothing to flush yet.
func (r *runner) acquire(ctx context.Context, last bool) (stream.Lane, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.mu.Lock()
	r.quit = cancel
	if r.stopping != nil && !last {
		cancel()
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.quit = nil
		r.mu.Unlock()
	}()
	l, err := r.w.d.Ledger.Acquire(ctx, r.id, r.w.hint())
	if err != nil {
		return nil, fmt.Errorf("acquire lane %s: %w", r.id, err)
	}
	return l, nil
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
	fenced := backoff{Retry: Retry{Initial: fencedWait, Max: 8 * fencedWait}}
	last := false
	for {
		h := &hold{r: r, w: r.w, last: last}
		err := guard(func() error { return h.run(r.ctx) })
		if h.commits > 0 || h.held() > goodHold {
			retry.reset()
			fenced.reset()
		}
		if r.wish() != nil && !h.halted {
			r.account(h)
		}
		if r.ctx.Err() != nil || err == nil {
			return
		}
		if stop := r.wish(); stop != nil {
			if last = !last && stop.publish && stop.ctx.Err() == nil && h.left() > 0; last {
				continue // once more, for what is committed and not published
			}
			r.w.unpublished(h.left(), err)
			return
		}
		r.failed(err, h, &retry, &fenced)
	}
}

// account tells what a stop has left: something read and not committed, or committed and not published.
func (r *runner) account(h *hold) {
	if h.dropped {
		r.mu.Lock()
		r.tot.LetGo = 1
		r.mu.Unlock()
		r.w.laneFault(stream.WithNext(fmt.Errorf("lane %s: there was no time to commit all that was read: %w", r.id, stream.ErrUnavailable),
			"nothing is lost: start it again, perhaps with a longer --drain-timeout"))
	}
	if n := h.left(); n > 0 && !h.told && r.ctx.Err() != nil {
		r.w.unpublished(n, stream.WithNext(fmt.Errorf("lane %s: there was no time to publish all that is committed: %w", r.id, stream.ErrUnavailable),
			"start it again, perhaps with a longer --drain-timeout"))
	}
}

// failed reports why a hold ended, and waits until another try is due.
func (r *runner) failed(err error, h *hold, retry, fenced *backoff) {
	log, m := r.w.d.Log, r.w.d.Metrics
	var p *panicked
	if errors.As(err, &p) {
		log.Error("a panic was caught; this is a fault of millrace, please report it", "pipeline", r.w.p.Name, "lane", r.id, "err", err, "stack", string(p.stack))
	}
	switch {
	case h.halted: // and has waited
	case halts(err):
		r.halt(err)
	case errors.Is(err, stream.ErrFenced):
		wait, _ := fenced.fail(time.Now())
		m.Errors.WithLabelValues("lane", stream.Kind(err)).Inc()
		log.Warn("another worker took the lane; will take it again if it stays assigned here", "pipeline", r.w.p.Name, "lane", r.id, "in", wait.Round(time.Millisecond))
		r.say("waiting", err)
		r.pause(wait)
	default:
		wait, again := retry.fail(time.Now())
		if !again {
			r.halt(fmt.Errorf("gave up after %d tries: %w: %w", retry.tries, errStays, err))
			return
		}
		m.Errors.WithLabelValues("lane", stream.Kind(err)).Inc()
		m.Retries.WithLabelValues("lane", "hold").Inc()
		log.Warn("cannot go on, will retry", "pipeline", r.w.p.Name, "lane", r.id, "err", err, "try", retry.tries, "in", wait.Round(time.Millisecond), "next", stream.Next(err))
		r.say("waiting", err)
		r.pause(wait)
	}
}

// pause waits, until a stop is asked for. d < 0: until then.
func (r *runner) pause(d time.Duration) {
	var end time.Time
	if d >= 0 {
		end = time.Now().Add(d)
	}
	for r.wish() == nil && r.ctx.Err() == nil && (d < 0 || time.Now().Before(end)) {
		ctx, cancel := r.wake.context(r.ctx, end)
		<-ctx.Done()
		cancel()
	}
}

// halt waits for a person. A fault that may be mended outside (a permission, a table) is tried again at a slow pace, so that
// nobody needs to restart anything; what is in the configuration or the data stays until a restart.
func (r *runner) halt(err error) {
	wait := max(r.w.p.Retry.Max, haltedWait)
	if stays(err) || r.w.p.Bounded {
		wait = -1
	}
	r.w.d.Metrics.Errors.WithLabelValues("lane", stream.Kind(err)).Inc()
	r.w.d.Log.Error("halted", "pipeline", r.w.p.Name, "lane", r.id, "err", err, "next", stream.Next(err), "again", wait >= 0)
	r.say("halted", err)
	r.w.laneFault(err)
	r.w.laneEnded() // a bounded run does not wait for a lane that cannot go on
	r.pause(wait)
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

// begins tells that the lane is being acquired, unless there is a reason to tell why it is not running: that stays until it is.
func (r *runner) begins() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.st.Reason == "" && r.st.State != "acquiring" {
		r.st.State, r.st.Since = "acquiring", time.Now()
	}
}

// opened and closed keep the transactions whose files may still be closed.
func (r *runner) opened(t *txn) {
	r.mu.Lock()
	r.txns = append(r.txns, t)
	r.mu.Unlock()
}

func (r *runner) closed(t *txn) {
	r.mu.Lock()
	r.txns = slices.DeleteFunc(r.txns, func(o *txn) bool { return o == t })
	r.mu.Unlock()
}

func (r *runner) status() LaneStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.st
	s.Halted = map[stream.PartitionID]string{}
	for k, v := range r.st.Halted {
		s.Halted[k] = v
	}
	r.slow(&s)
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

// slow tells of a lane that waits for its ledger or a store for so long that a person should know: their calls are repeated
// without an end, and without an error here.
func (r *runner) slow(s *LaneStatus) {
	switch now := time.Now(); {
	case s.State == "acquiring" && now.Sub(s.Since) > slowAfter:
		s.Reason = fmt.Sprintf("it has not been acquired for %s: the ledger does not answer, or another live worker has it", now.Sub(s.Since).Round(time.Second))
	case s.State == "running" && !r.flying.IsZero() && now.Sub(r.flying) > slowAfter:
		s.Reason = fmt.Sprintf("a commit has been under way for %s: a store does not answer", now.Sub(r.flying).Round(time.Second))
	default:
		return
	}
	s.State, s.Next = "waiting", "the log's warnings name the store and its answers; it goes on by itself"
}

// flies notes that a flush is under way, or, with a zero time, that it has ended.
func (r *runner) flies(since time.Time) {
	r.mu.Lock()
	r.flying = since
	r.mu.Unlock()
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

// waker ends waits of one goroutine: it asks for a context, and poke cancels that, or the next one if nobody waits. Who was
// woken looks at everything anew, so that pokes need not be counted.
type waker struct {
	mu     sync.Mutex
	poked  bool
	cancel context.CancelFunc
}

func (k *waker) poke() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cancel == nil {
		k.poked = true
		return
	}
	k.cancel()
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
