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

// Worker runs one pipeline in this process. Create it with NewWorker and call Run once.
type Worker struct {
	p    Pipeline
	d    Deps
	dead *ratio

	running sync.WaitGroup // runners

	mu      sync.Mutex
	lanes   map[stream.LaneID]*runner
	leaving map[*runner]struct{} // not ours any more, and not ended yet
	live    map[string]bool
	others  map[stream.LaneID]bool // lanes of other live workers
	run     context.Context        //nolint:containedctx // over when the worker ends: turns of the assignment have no other way to know
	drain   time.Duration          // how long the end may take
	group   int32                  // generation
	total   int                    // lanes of the pipeline
	retired Totals                 // of lanes that are gone
	ended   chan struct{}          // closed when bounded input is done
	endOnce sync.Once
	fault   error // the first one that a bounded run must not hide
}

// NewWorker checks nothing and starts nothing.
func NewWorker(p Pipeline, d Deps) *Worker {
	return &Worker{p: p, d: d, dead: newRatio(p.MaxRatio), lanes: map[stream.LaneID]*runner{}, leaving: map[*runner]struct{}{}, live: map[string]bool{}, others: map[stream.LaneID]bool{}, ended: make(chan struct{})}
}

// Run takes part until ctx is over, then flushes and releases every lane and leaves, within drain. It returns nil after a clean
// drain, or when bounded input is done in every lane; if some of it could not be taken or published, it returns the first fault.
func (w *Worker) Run(ctx context.Context, drain time.Duration) error {
	assign, stop := context.WithCancel(ctx)
	defer stop()
	st := w.d.Joined.State()
	w.mu.Lock()
	w.total, w.drain, w.run = st.Lanes, drain, assign
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { w.beat(assign) })
	wg.Go(func() {
		select {
		case <-w.ended:
			stop()
		case <-assign.Done():
		}
	})
	err := w.p.Source.Assign(assign, stream.Member{
		Session: w.d.Session, Incarnation: st.Incarnation, Plan: st.Plan.Epoch, Lanes: st.Lanes,
	}, w.turn)
	stop()
	w.release(ctx, w.held()) // what a source that failed did not revoke
	w.running.Wait()
	wg.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("assignment of lanes: %w", err)
	}
	select {
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.fault
	default:
		return nil
	}
}

// turn is one change of the assignment. The source calls it one at a time.
func (w *Worker) turn(ctx context.Context, c stream.Change) error {
	w.mu.Lock()
	w.group = c.Generation
	w.mu.Unlock()
	for _, id := range c.Lost {
		if r := w.take(id); r != nil {
			r.abandon()
		}
	}
	w.release(ctx, c.Revoked)
	w.grant(c.Granted)
	for _, g := range c.Added {
		w.mu.Lock()
		r := w.lanes[g.Lane]
		w.mu.Unlock()
		if r != nil {
			r.add(g.Partitions)
		}
	}
	return nil
}

// grant starts lanes, each as soon as a runner that had it before has ended. All are known before the first begins: one that is
// done at once must not take itself for the last.
func (w *Worker) grant(gs []stream.Grant) {
	var starts []func()
	w.mu.Lock()
	for _, g := range gs {
		if old := w.lanes[g.Lane]; old != nil {
			starts = append(starts, func() { old.add(g.Partitions) })
			continue
		}
		r := newRunner(w, g)
		w.lanes[g.Lane] = r
		var before []*runner
		for o := range w.leaving {
			if o.id == g.Lane {
				before = append(before, o)
			}
		}
		starts = append(starts, func() { r.start(before) })
	}
	w.mu.Unlock()
	for _, start := range starts {
		start()
	}
}

// release flushes and releases lanes, all at once, bounded by ctx. A worker that ends takes its drain time instead, and waits
// for what was committed to be published, as nobody else may be there to do it.
func (w *Worker) release(ctx context.Context, ids []stream.LaneID) {
	end := w.run.Err() != nil
	if end {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), w.drain)
		defer cancel()
	}
	var wg sync.WaitGroup
	for _, id := range ids {
		w.mu.Lock()
		r := w.lanes[id]
		w.mu.Unlock()
		if r == nil {
			continue
		}
		wg.Go(func() {
			r.stop(ctx, end)
			w.take(id)
		})
	}
	wg.Wait()
}

// take makes a lane no longer ours. Its runner may still be ending.
func (w *Worker) take(id stream.LaneID) *runner {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.lanes[id]
	if r == nil {
		return nil
	}
	delete(w.lanes, id)
	select {
	case <-r.done:
		w.retired.add(r.totals())
	default:
		w.leaving[r] = struct{}{}
	}
	return r
}

// left is told by a runner that has ended.
func (w *Worker) left(r *runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.leaving[r]; ok {
		delete(w.leaving, r)
		w.retired.add(r.totals())
	}
}

func (w *Worker) held() []stream.LaneID {
	w.mu.Lock()
	defer w.mu.Unlock()
	var ids []stream.LaneID
	for id := range w.lanes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// laneFault keeps the first fault that a bounded run must report.
func (w *Worker) laneFault(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		w.fault = err
	}
}

// unpublished tells that a lane ends with n transactions that are committed and not published.
func (w *Worker) unpublished(n int, err error) {
	if n == 0 {
		return
	}
	w.d.Log.Warn("not everything that is committed is published; whoever takes the lane next does it", "pipeline", w.p.Name, "transactions", n, "err", err, "next", stream.Next(err))
	w.laneFault(err)
}

// laneEnded looks whether bounded input is done: in every lane held, and every other one is another worker's.
func (w *Worker) laneEnded() {
	if !w.p.Bounded {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.lanes {
		if !r.atEnd() {
			return
		}
	}
	for _, id := range w.p.Expected {
		if w.lanes[id] == nil && !w.others[id] {
			return
		}
	}
	w.endOnce.Do(func() { close(w.ended) })
}

func (w *Worker) beat(ctx context.Context) {
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	first := map[string]uint64{} // sequence at the first sight: what a dead session has left does not change any more
	for n := uint64(1); ; n++ {
		s := stream.Session{ID: w.d.Session, Plan: w.d.Joined.State().Plan.Epoch, Lanes: w.held(), Sequence: n}
		live, err := w.d.Joined.Beat(ctx, s)
		if err != nil && !errors.Is(err, context.Canceled) {
			w.d.Log.Debug("cannot show that this worker lives", "err", err)
		}
		if err == nil {
			w.mu.Lock()
			clear(w.live)
			clear(w.others)
			for _, l := range live {
				w.live[l.ID] = true
				if _, known := first[l.ID]; !known {
					first[l.ID] = l.Sequence
				}
				for _, id := range l.Lanes {
					w.others[id] = w.others[id] || l.ID != w.d.Session && l.Sequence != first[l.ID]
				}
			}
			some := len(w.lanes) > 0
			w.mu.Unlock()
			if some {
				w.laneEnded()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (w *Worker) hint() stream.Hint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return stream.Hint{Session: w.d.Session, Generation: w.group, Live: func(s string) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.live[s]
	}}
}

// Footer is what is known of a transaction of this worker while it is open: its id and what it has read so far, for files
// that are closed early. It is nil for one that is not open here. It may be called at any time.
func (w *Worker) Footer(id stream.TxnID) map[string]string {
	w.mu.Lock()
	var rs []*runner
	if r := w.lanes[id.Lane]; r != nil {
		rs = append(rs, r)
	}
	for r := range w.leaving {
		rs = append(rs, r)
	}
	w.mu.Unlock()
	for _, r := range rs {
		r.mu.Lock()
		ts := slices.Clone(r.txns)
		r.mu.Unlock()
		for _, t := range ts {
			if t.id == id {
				return t.footer(w.p.Name)
			}
		}
	}
	return nil
}
