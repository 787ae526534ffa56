package lane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/stream"
)

// publisher makes what has been committed visible and notes it as retired (W7–W9). Everything it does may be done twice, by
// anybody: the next owner of the lane begins with what this one left.
//
// Uploads are completed in any order and as soon as possible, whatever the catalog does: a store may abort an upload that
// waits too long. Tables are told in order of n.
type publisher struct {
	h *hold

	mu      sync.Mutex
	queue   []*pending // committed, not registered, in order of n
	waiting int        // known by number only, still to be read from the history
	upTo    uint64     // done up to here, without a gap
	err     error      // why the first of the queue is not done yet
	visible chan struct{}
	come    chan struct{}
}

// pending is a committed transaction. visible is guarded by the publisher's mutex.
type pending struct {
	m       stream.Manifest
	since   time.Time
	oldest  stream.Micros // time of its oldest record; 0: unknown
	visible bool          // W7 is done
}

func newPublisher(h *hold, head stream.Head) *publisher {
	return &publisher{
		h: h, waiting: int(head.N - head.Retired), upTo: head.Retired, //nolint:gosec // bounded by MaxPending
		visible: make(chan struct{}, 1), come: make(chan struct{}, 1),
	}
}

// add queues a transaction that was just committed.
func (p *publisher) add(m stream.Manifest, oldest stream.Micros) {
	p.mu.Lock()
	p.queue = append(p.queue, &pending{m: m, since: time.Now(), oldest: oldest})
	p.mu.Unlock()
	poke(p.come)
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
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

// retired is the number that the next commit may note as retired; 0: the head knows it.
func (p *publisher) retired() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if head := p.h.lane.Head(); head.Retired >= p.upTo {
		return 0
	}
	return p.upTo
}

// state is the number of transactions that are not done, and why the oldest is not.
func (p *publisher) state() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) + p.waiting, p.err
}

func (p *publisher) fail(err error) {
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
}

// run publishes until ctx is over. What a former owner left comes first.
func (p *publisher) run(ctx context.Context) {
	p.persist(ctx, "inherit", func() error { return p.inherit(ctx) })
	var wg sync.WaitGroup
	wg.Go(func() { p.complete(ctx) })
	wg.Go(func() { p.register(ctx) })
	wg.Wait()
}

// persist repeats do until it succeeds or ctx is over. A fault that a person must mend is looked at again every so often:
// publishing waits for that person until pending is full, and nothing is lost meanwhile.
func (p *publisher) persist(ctx context.Context, what string, do func() error) {
	retry := backoff{Retry: p.h.w.p.Retry}
	retry.GiveUpAfter = 0
	for ctx.Err() == nil {
		err := guard(do)
		if err == nil || ctx.Err() != nil {
			return
		}
		p.fail(err)
		wait, _ := retry.fail(time.Now())
		if halts(err) {
			wait = max(wait, retry.Max)
		}
		w := p.h.w
		w.d.Metrics.Errors.WithLabelValues("publish", stream.Kind(err)).Inc()
		w.d.Metrics.Retries.WithLabelValues("lane", what).Inc()
		w.d.Log.Warn("cannot publish, will retry", "pipeline", w.p.Name, "lane", p.h.r.id, "operation", what, "err", err, "try", retry.tries, "in", wait.Round(time.Millisecond), "next", stream.Next(err))
		sleep(ctx, wait)
	}
}

// complete does W7 until ctx is over.
func (p *publisher) complete(ctx context.Context) {
	for ctx.Err() == nil {
		p.persist(ctx, "publish", func() error {
			var first error // one that cannot be completed does not hold up the others
			for _, next := range p.invisible() {
				err := guard(func() error { return p.uploads(ctx, next) })
				if err == nil {
					p.mu.Lock()
					next.visible = true
					p.mu.Unlock()
					poke(p.visible)
				} else if first == nil {
					first = err
				}
			}
			return first
		})
		select {
		case <-ctx.Done():
		case <-p.come:
		}
	}
}

func (p *publisher) invisible() (out []*pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.queue {
		if !t.visible {
			out = append(out, t)
		}
	}
	return out
}

// register does W8 and W9 until ctx is over.
func (p *publisher) register(ctx context.Context) {
	quiet := time.NewTimer(retireQuiet)
	defer quiet.Stop()
	for ctx.Err() == nil {
		if next := p.first(); next != nil {
			p.persist(ctx, "register", func() error { return p.tables(ctx, next) })
			if ctx.Err() == nil {
				p.done(next)
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-p.visible:
			quiet.Reset(retireQuiet)
		case <-quiet.C:
			p.retire(ctx)
			quiet.Reset(retireQuiet)
		}
	}
}

// first is the oldest transaction if it is visible, else nil.
func (p *publisher) first() *pending {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 || !p.queue[0].visible {
		return nil
	}
	return p.queue[0]
}

func (p *publisher) done(t *pending) {
	p.mu.Lock()
	p.queue = p.queue[1:]
	p.upTo, p.err = t.m.N, nil
	p.mu.Unlock()
	w := p.h.w
	if t.oldest > 0 {
		w.d.Metrics.EndToEnd.Observe(max(0, time.Since(time.UnixMicro(int64(t.oldest))).Seconds()))
	}
	if w.d.Published != nil {
		w.d.Published(t.m)
	}
	p.h.r.wake.poke()
}

// inherit reads what is committed and not retired from the history.
func (p *publisher) inherit(ctx context.Context) error {
	w := p.h.w
	p.mu.Lock()
	from, left := p.upTo+1, p.waiting
	p.mu.Unlock()
	if left == 0 {
		return nil
	}
	var old []*pending
	for m, err := range w.d.Ledger.History(ctx, p.h.r.id, from) {
		if err != nil {
			return fmt.Errorf("read what is to be published: %w", err)
		}
		old = append(old, &pending{m: m, since: time.Now()})
		if len(old) == left {
			break
		}
	}
	if len(old) < left {
		return fmt.Errorf("lane %s: history has %d of %d transactions from %d on: %w", p.h.r.id, len(old), left, from, stream.ErrUnavailable)
	}
	p.mu.Lock()
	p.queue = append(old, p.queue...)
	p.waiting, p.err = 0, nil
	p.mu.Unlock()
	w.d.Log.Info("publishing what the former owner left", "pipeline", w.p.Name, "lane", p.h.r.id, "transactions", len(old), "from", from)
	return nil
}

// uploads takes one transaction through W7.
func (p *publisher) uploads(ctx context.Context, t *pending) error {
	w, m := p.h.w, &t.m
	begin := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(publishAtOnce)
	for i := range m.Files {
		f := &m.Files[i]
		g.Go(func() error {
			return guard(func() error {
				up, err := w.d.Tables.Uploads(ctx, m.Tables[f.Table])
				if err != nil {
					return fmt.Errorf("table %s: %w", f.Table, err)
				}
				err = up.Publish(ctx, f.Upload)
				if errors.Is(err, stream.ErrNoUpload) {
					err = p.missing(ctx, t, f, err)
				}
				if err != nil {
					return fmt.Errorf("publish %s: %w", f.Key, err)
				}
				w.d.Hooks.Reach(stream.W7, p.h.r.id)
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("transaction %s: %w", m.ID(), err)
	}
	w.d.Metrics.CommitDuration.WithLabelValues("publish").Observe(time.Since(begin).Seconds())
	return nil
}

// tables takes one transaction through W8.
func (p *publisher) tables(ctx context.Context, t *pending) error {
	w, m := p.h.w, &t.m
	begin := time.Now()
	for _, name := range slices.Sorted(maps.Keys(m.Tables)) {
		tab, err := w.d.Tables.Table(ctx, m.Tables[name])
		if err == nil {
			err = tab.Apply(ctx, []stream.Manifest{*m})
		}
		if err != nil {
			return fmt.Errorf("transaction %s: register table %s: %w", m.ID(), name, err)
		}
	}
	w.d.Metrics.CommitDuration.WithLabelValues("catalog").Observe(time.Since(begin).Seconds())
	w.d.Hooks.Reach(stream.W8, p.h.r.id)
	return nil
}

// missing decides about an upload that is neither pending nor published: retired by another meanwhile, or not to be seen yet,
// or lost.
func (p *publisher) missing(ctx context.Context, t *pending, f *stream.File, cause error) error {
	heads, err := p.h.w.d.Ledger.Heads(ctx, []stream.LaneID{t.m.Lane})
	if err != nil {
		return fmt.Errorf("read the head again: %w", err)
	}
	if heads[0].Retired >= t.m.N {
		return nil
	}
	if time.Since(t.since) < lostAfter {
		return fmt.Errorf("%w: %w", stream.ErrUnavailable, cause)
	}
	return stream.WithNext(fmt.Errorf("%s was committed, and its upload is gone: %w", f.Key, stream.ErrLost),
		"somebody aborted the upload (a lifecycle rule that aborts incomplete uploads too early?); restore it if you can: the records are %v", t.m.Ranges)
}

// retire notes what is done in the head, when no commit came along to do it.
func (p *publisher) retire(ctx context.Context) {
	n := p.retired()
	if n == 0 {
		return
	}
	if err := p.h.lane.Mark(ctx, stream.Mark{Retired: n}); err != nil && ctx.Err() == nil {
		p.h.w.d.Log.Debug("not retired, will retry", "lane", p.h.r.id, "txn", n, "err", err)
	}
}

// drain waits until everything is done and retired, or ctx is over. It returns what keeps it from that, nil if nothing is left.
func (p *publisher) drain(ctx context.Context) error {
	for {
		n, err := p.state()
		if n == 0 {
			p.retire(ctx)
			return nil
		}
		if ctx.Err() != nil {
			if err == nil {
				err = stream.ErrUnavailable
			}
			return fmt.Errorf("lane %s: %d transactions are committed, and published by whoever takes the lane next: %w", p.h.r.id, n, err)
		}
		wait, cancel := p.h.r.wake.context(ctx, time.Time{})
		<-wait.Done()
		cancel()
	}
}
