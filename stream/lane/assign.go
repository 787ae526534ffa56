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

	mu      sync.Mutex
	lanes   map[stream.LaneID]*runner
	live    map[string]bool
	run     context.Context //nolint:containedctx // over when the worker ends: turns of the assignment have no other way to know
	drain   time.Duration   // how long the end may take
	group   int32           // generation
	total   int             // lanes of the pipeline
	retired Totals          // of lanes that are gone
	ended   chan struct{}   // closed when bounded input is done in every lane held
	endOnce sync.Once
	halted  error // of the first lane that halted
}

// NewWorker checks nothing and starts nothing.
func NewWorker(p Pipeline, d Deps) *Worker {
	return &Worker{p: p, d: d, dead: newRatio(p.MaxRatio), lanes: map[stream.LaneID]*runner{}, live: map[string]bool{}, ended: make(chan struct{})}
}

// Run takes part until ctx is over, then flushes and releases every lane and leaves, within drain. It returns nil after a clean
// drain, or when bounded input is done in every lane; if lanes halted instead, it returns the first one's fault.
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
	wg.Wait()
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("assignment of lanes: %w", err)
	}
	select {
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.halted // a bounded run that could not take everything has failed
	default:
		return nil
	}
}

// turn is one change of the assignment. The source calls it one at a time.
func (w *Worker) turn(ctx context.Context, c stream.Change) error {
	w.mu.Lock()
	w.group = c.Generation
	for _, id := range c.Lost {
		if r := w.lanes[id]; r != nil {
			r.abandon()
		}
	}
	w.mu.Unlock()
	for _, id := range c.Lost {
		w.forget(id)
	}
	w.release(ctx, c.Revoked)
	for _, g := range c.Granted {
		w.grant(g)
	}
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

func (w *Worker) grant(g stream.Grant) {
	w.mu.Lock()
	old := w.lanes[g.Lane]
	w.mu.Unlock()
	if old != nil {
		old.add(g.Partitions)
		return
	}
	r := newRunner(w, g)
	w.mu.Lock()
	w.lanes[g.Lane] = r
	w.mu.Unlock()
	r.start()
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
			w.forget(id)
		})
	}
	wg.Wait()
}

// forget waits for a lane's goroutines and drops it.
func (w *Worker) forget(id stream.LaneID) {
	w.mu.Lock()
	r := w.lanes[id]
	w.mu.Unlock()
	if r == nil {
		return
	}
	<-r.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lanes[id] == r {
		delete(w.lanes, id)
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

// laneHalted is told by a lane that only a person can mend.
func (w *Worker) laneHalted(err error) {
	w.mu.Lock()
	if w.halted == nil {
		w.halted = err
	}
	w.mu.Unlock()
	w.laneEnded()
}

// laneEnded is told by a lane whose bounded input is done. When all are, the worker ends.
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
	w.endOnce.Do(func() { close(w.ended) })
}

func (w *Worker) beat(ctx context.Context) {
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	for n := uint64(1); ; n++ {
		s := stream.Session{ID: w.d.Session, Plan: w.d.Joined.State().Plan.Epoch, Lanes: w.held(), Sequence: n}
		live, err := w.d.Joined.Beat(ctx, s)
		if err != nil && !errors.Is(err, context.Canceled) {
			w.d.Log.Debug("cannot show that this worker lives", "err", err)
		}
		if err == nil {
			w.mu.Lock()
			clear(w.live)
			for _, l := range live {
				w.live[l.ID] = true
			}
			w.mu.Unlock()
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
