package lane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// publisher makes what has been committed visible, in order of n, and notes it as retired (W7–W9). Everything it does may be
// done twice, by anybody: the next owner of the lane begins with what this one left.
type publisher struct {
	h *hold

	mu      sync.Mutex
	queue   []pending // committed, not published
	waiting int       // known by number only, still to be read from the history
	upTo    uint64    // published up to here, without a gap
	marked  uint64    // retired in the head
	err     error     // why the first of the queue is not published yet
	notify  chan struct{}
}

type pending struct {
	m     stream.Manifest
	since time.Time
}

func newPublisher(h *hold, head stream.Head) *publisher {
	return &publisher{h: h, waiting: int(head.N - head.Retired), upTo: head.Retired, marked: head.Retired, notify: make(chan struct{}, 1)} //nolint:gosec // bounded by MaxPending
}

// add queues a transaction that was just committed.
func (p *publisher) add(m stream.Manifest) {
	p.mu.Lock()
	p.queue = append(p.queue, pending{m, time.Now()})
	p.mu.Unlock()
	p.poke()
}

func (p *publisher) poke() {
	select {
	case p.notify <- struct{}{}:
	default:
	}
}

// room tells whether one more transaction may be committed.
func (p *publisher) room() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue)+p.waiting >= max(p.h.w.p.MaxPending, 1) {
		return false
	}
	return len(p.queue) == 0 || time.Since(p.queue[0].since) < maxPendingAge
}

// retired is the number that the next commit may note as retired.
func (p *publisher) retired() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.upTo
}

// state is the number of transactions that are not retired, and why the oldest is not published.
func (p *publisher) state() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) + p.waiting, p.err
}

// run publishes until ctx is over. What a former owner left comes first.
func (p *publisher) run(ctx context.Context) {
	p.inherit(ctx)
	retry := backoff{Retry: p.h.w.p.Retry}
	retry.GiveUpAfter = 0
	quiet := time.NewTimer(retireQuiet)
	defer quiet.Stop()
	for ctx.Err() == nil {
		next, ok := p.first()
		if !ok {
			select {
			case <-ctx.Done():
			case <-p.notify:
				quiet.Reset(retireQuiet)
			case <-quiet.C:
				p.retire(ctx)
				quiet.Reset(retireQuiet)
			}
			continue
		}
		if err := p.publish(ctx, &next.m); err != nil {
			if ctx.Err() != nil {
				return
			}
			p.failed(ctx, &next.m, err, &retry)
			continue
		}
		retry.reset()
		p.done(next.m.N)
	}
}

func (p *publisher) first() (pending, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return pending{}, false
	}
	return p.queue[0], true
}

func (p *publisher) done(n uint64) {
	p.mu.Lock()
	p.queue = p.queue[1:]
	p.upTo, p.err = n, nil
	p.mu.Unlock()
	p.h.r.wake.poke()
}

// failed reports and waits. A fault that a person must mend is looked at again every so often: publishing waits for that
// person until pending is full, and nothing is lost meanwhile.
func (p *publisher) failed(ctx context.Context, m *stream.Manifest, err error, retry *backoff) {
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	wait, _ := retry.fail(time.Now())
	if halts(err) {
		wait = retry.Max
	}
	w := p.h.w
	w.d.Metrics.Errors.WithLabelValues("publish", stream.Kind(err)).Inc()
	w.d.Metrics.Retries.WithLabelValues("lane", "publish").Inc()
	w.d.Log.Warn("cannot publish, will retry", "pipeline", w.p.Name, "lane", p.h.r.id, "txn", m.N, "err", err, "try", retry.tries, "in", wait.Round(time.Millisecond), "next", stream.Next(err))
	sleep(ctx, wait)
}

// inherit reads what is committed and not retired from the history.
func (p *publisher) inherit(ctx context.Context) {
	w := p.h.w
	retry := backoff{Retry: w.p.Retry}
	retry.GiveUpAfter = 0
	for ctx.Err() == nil {
		head := p.h.lane.Head()
		p.mu.Lock()
		from, left := p.upTo+1, p.waiting
		p.mu.Unlock()
		if left == 0 {
			return
		}
		var old []pending
		var err error
		for m, e := range w.d.Ledger.History(ctx, p.h.r.id, from) {
			if e != nil {
				err = e
				break
			}
			old = append(old, pending{m, time.Now()})
			if len(old) == left {
				break
			}
		}
		if err == nil && len(old) < left {
			err = fmt.Errorf("lane %s: history has %d of %d transactions from %d to %d: %w", p.h.r.id, len(old), left, from, head.N, stream.ErrUnavailable)
		}
		if err == nil {
			p.mu.Lock()
			p.queue = append(old, p.queue...)
			p.waiting = 0
			p.mu.Unlock()
			w.d.Log.Info("publishing what the former owner left", "pipeline", w.p.Name, "lane", p.h.r.id, "transactions", len(old), "from", from)
			return
		}
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		wait, _ := retry.fail(time.Now())
		w.d.Log.Warn("cannot read what is to be published, will retry", "pipeline", w.p.Name, "lane", p.h.r.id, "err", err, "in", wait, "next", stream.Next(err))
		sleep(ctx, wait)
	}
}

// publish takes one transaction through W7 and W8.
func (p *publisher) publish(ctx context.Context, m *stream.Manifest) error {
	w := p.h.w
	begin := time.Now()
	for i := range m.Files {
		f := &m.Files[i]
		up, err := w.d.Tables.Uploads(ctx, m.Tables[f.Table])
		if err != nil {
			return fmt.Errorf("table %s: %w", f.Table, err)
		}
		err = up.Publish(ctx, f.Upload)
		if errors.Is(err, stream.ErrNoUpload) {
			err = p.missing(ctx, m, f, err)
		}
		if err != nil {
			return fmt.Errorf("publish %s: %w", f.Key, err)
		}
		w.d.Hooks.Reach(stream.W7, p.h.r.id)
	}
	w.d.Metrics.CommitDuration.WithLabelValues("publish").Observe(time.Since(begin).Seconds())
	begin = time.Now()
	for _, name := range slices.Sorted(maps.Keys(m.Tables)) {
		t, err := w.d.Tables.Table(ctx, m.Tables[name])
		if err == nil {
			err = t.Apply(ctx, []stream.Manifest{*m})
		}
		if err != nil {
			return fmt.Errorf("register table %s: %w", name, err)
		}
	}
	w.d.Metrics.CommitDuration.WithLabelValues("catalog").Observe(time.Since(begin).Seconds())
	w.d.Hooks.Reach(stream.W8, p.h.r.id)
	if w.d.Published != nil {
		w.d.Published(*m)
	}
	return nil
}

// missing decides about an upload that is neither pending nor published: retired by another meanwhile, or not to be seen yet,
// or lost.
func (p *publisher) missing(ctx context.Context, m *stream.Manifest, f *stream.File, cause error) error {
	heads, err := p.h.w.d.Ledger.Heads(ctx, []stream.LaneID{m.Lane})
	if err != nil {
		return fmt.Errorf("read the head again: %w", err)
	}
	if heads[0].Retired >= m.N {
		return nil
	}
	p.mu.Lock()
	since := p.queue[0].since
	p.mu.Unlock()
	if time.Since(since) < lostAfter {
		return fmt.Errorf("%w: %w", cause, stream.ErrUnavailable)
	}
	return stream.WithNext(fmt.Errorf("%s of transaction %s was committed, and its upload is gone: %w", f.Key, m.ID(), stream.ErrLost),
		"somebody aborted the upload (a lifecycle rule that aborts incomplete uploads too early?); restore it if you can: the records are %v", m.Ranges)
}

// retire notes what is published in the head, when no commit came along to do it.
func (p *publisher) retire(ctx context.Context) {
	p.mu.Lock()
	n, marked := p.upTo, p.marked
	p.mu.Unlock()
	if head := p.h.lane.Head(); n == marked || head.Retired >= n {
		p.mu.Lock()
		p.marked = n
		p.mu.Unlock()
		return
	}
	if err := p.h.lane.Mark(ctx, stream.Mark{Retired: n}); err != nil {
		if ctx.Err() == nil {
			p.h.w.d.Log.Debug("not retired, will retry", "lane", p.h.r.id, "txn", n, "err", err)
		}
		return
	}
	p.mu.Lock()
	p.marked = n
	p.mu.Unlock()
	p.h.w.d.Hooks.Reach(stream.W9, p.h.r.id)
}

// drain waits until everything is published and retired, or ctx is over.
func (p *publisher) drain(ctx context.Context) {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		if n, _ := p.state(); n == 0 {
			p.retire(ctx)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
