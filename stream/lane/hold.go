package lane

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// hold is one epoch's ownership of a lane: from Acquire to Release, or to the fault that ends it.
type hold struct {
	r    *runner
	w    *Worker
	last bool // a stop is under way already: only what is committed is to be published

	lane   stream.Lane
	since  time.Time // when it was acquired
	reader stream.Reader
	at     map[stream.PartitionID]*stream.Bookmark // where reading is, committed or not
	fill   *filler
	txn    *txn // open; nil: nothing read since the last cut
	next   stream.TxnID
	flight *flight // being flushed; nil: none
	pub    *publisher
	flaky  backoff // of a reader that has only faults
	lost   error   // the first partition's that halted
	care   caution

	ended   bool // bounded input is done
	halted  bool // it ended by a fault that was waited out
	dropped bool // something that was read was not committed
	told    bool // what is committed and not published
	commits int
	wg      sync.WaitGroup // publisher, collector, flight
}

// flight is a transaction on its way from W1 to W6.
type flight struct {
	t    *txn
	at   []stream.Bookmark // after it
	done chan struct{}
	err  error // valid once done is closed
}

// held is how long the lane was held.
func (h *hold) held() time.Duration {
	if h.since.IsZero() {
		return 0
	}
	return time.Since(h.since)
}

// left is the number of transactions that are committed and not published.
func (h *hold) left() int {
	if h.pub == nil {
		return 0
	}
	n, _ := h.pub.state()
	return n
}

// run returns nil when the lane was flushed and released, or given up because ctx is over.
func (h *hold) run(ctx context.Context) (err error) {
	h.r.begins()
	unclean, err := h.unclean(ctx)
	if err != nil {
		return err
	}
	if h.lane, err = h.r.acquire(ctx, h.last); err != nil {
		return err
	}
	h.since = time.Now()
	head := h.lane.Head()
	h.w.d.Log.Debug("acquired", "pipeline", h.w.p.Name, "lane", h.r.id, "epoch", head.Epoch, "n", head.N, "pending", head.N-head.Retired)
	h.next = head.Next()
	h.flaky.Retry = Retry{Initial: h.w.p.Retry.Initial, Max: h.w.p.Retry.Max, GiveUpAfter: readerPatience}
	life, cancel := context.WithCancel(ctx)
	defer h.wg.Wait()
	defer cancel()
	h.pub = newPublisher(h, head)
	h.r.mu.Lock()
	h.r.published = h.pub
	h.r.mu.Unlock()
	h.wg.Go(func() { h.pub.run(life) })
	h.wg.Go(func() { h.collect(life) })
	if err = h.recall(ctx, head, unclean); err == nil {
		err = h.work(ctx, head)
	}
	if err == nil || ctx.Err() != nil || !halts(err) {
		return err
	}
	// The publisher goes on meanwhile: the fault is with what comes next, not with what is committed.
	h.halted = true
	h.r.halt(err)
	if stop := h.r.wish(); stop != nil {
		h.part(stop)
	}
	return err
}

// work reads until the lane is released, or until a fault; then what is open is dropped.
func (h *hold) work(ctx context.Context, head stream.Head) (err error) {
	if err := h.open(ctx, head); err != nil {
		return err
	}
	defer func() { _ = h.reader.Close() }()
	defer h.drop(ctx)
	defer func() {
		if v := recover(); v != nil {
			h.blame()
			err = &panicked{v, debug.Stack()}
		}
	}()
	h.r.say("running", nil)
	return h.loop(ctx)
}

// open starts reading at the head's bookmarks; a partition that the head does not know begins at its beginning.
func (h *hold) open(ctx context.Context, head stream.Head) (err error) {
	if h.fill, err = newFiller(h); err != nil {
		return err
	}
	h.at = map[stream.PartitionID]*stream.Bookmark{}
	h.r.mu.Lock()
	clear(h.r.st.Halted)
	granted := h.r.granted
	h.r.fresh = false
	h.r.mu.Unlock()
	var at []stream.Bookmark
	for id, b := range head.Partitions {
		b.Partition = id
		h.at[id] = &b
		at = append(at, b)
	}
	for _, p := range granted {
		if h.at[p.ID] == nil {
			b := p.Bookmark
			b.Partition = p.ID
			h.at[p.ID] = &b
			at = append(at, b)
		}
	}
	if h.reader, err = h.w.p.Source.Open(ctx, h.r.id, at); err != nil {
		return fmt.Errorf("read lane %s: %w", h.r.id, err)
	}
	return nil
}

// loop is the lane's life: it returns nil after a release.
func (h *hold) loop(ctx context.Context) error {
	for {
		if err := h.landed(ctx); err != nil {
			return err
		}
		if stop := h.r.wish(); stop != nil {
			return h.finish(ctx, stop)
		}
		if err := h.seek(ctx); err != nil {
			return err
		}
		if h.txn != nil && h.flight == nil && h.txn.due(time.Now(), h.w.p) && h.pub.room() {
			if err := h.cut(ctx); err != nil {
				return err
			}
			continue
		}
		if h.ended || (h.txn != nil && h.txn.full(h.w.p)) || !h.pub.room() {
			if err := h.wait(ctx); err != nil {
				return err
			}
			continue
		}
		if err := h.read(ctx); err != nil {
			return err
		}
	}
}

// landed takes note of a flush that has ended.
func (h *hold) landed(ctx context.Context) error {
	if h.flight == nil {
		return nil
	}
	select {
	case <-h.flight.done:
	default:
		return nil
	}
	f := h.flight
	h.flight = nil
	h.r.closed(f.t)
	if f.err != nil {
		return f.err
	}
	h.commits++
	ack, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	if err := h.reader.Ack(ack, f.at); err != nil {
		h.w.d.Log.Debug("positions were not shown to lag tools", "pipeline", h.w.p.Name, "lane", h.r.id, "err", err)
	}
	h.w.d.Hooks.Reach(stream.W10, h.r.id)
	return nil
}

// read takes one raw batch and moves it on.
func (h *hold) read(ctx context.Context) error {
	wait, cancel := h.r.wake.context(ctx, h.deadline())
	raw, err := h.reader.Next(wait)
	woken := wait.Err() != nil
	cancel()
	var pe *stream.PartitionError
	switch {
	case err == nil:
		if h.flaky.tries > 0 {
			h.flaky.reset()
			h.r.say("running", nil)
		}
		return h.fill.raw(ctx, raw)
	case errors.Is(err, stream.ErrEnd):
		h.ended = true
		return h.fill.flush(ctx)
	case errors.As(err, &pe):
		h.haltPartition(pe)
		return h.fill.flush(ctx)
	case ctx.Err() != nil:
		return ctx.Err()
	case woken:
		return h.fill.flush(ctx) // a barrier, or somebody wants something
	case errors.Is(err, stream.ErrUnavailable):
		return h.flutter(ctx, err)
	default:
		return fmt.Errorf("read lane %s: %w", h.r.id, err)
	}
}

// flutter waits out a fault of the reader, which goes on by itself: one broker that is away must not keep the lane from
// committing what others deliver. Only after a while the reader is opened anew.
func (h *hold) flutter(ctx context.Context, err error) error {
	err = fmt.Errorf("read lane %s: %w", h.r.id, err)
	if ferr := h.fill.flush(ctx); ferr != nil {
		return ferr
	}
	wait, again := h.flaky.fail(time.Now())
	if !again {
		return err
	}
	h.w.d.Metrics.Errors.WithLabelValues("source", stream.Kind(err)).Inc()
	h.w.d.Metrics.Retries.WithLabelValues("lane", "read").Inc()
	if h.flaky.tries == 1 {
		h.w.d.Log.Warn("cannot read, will go on by itself", "pipeline", h.w.p.Name, "lane", h.r.id, "err", err, "next", stream.Next(err))
	}
	h.r.say("waiting", err)
	end := time.Now().Add(wait)
	if d := h.deadline(); !d.IsZero() && d.Before(end) {
		end = d
	}
	rest, cancel := h.r.wake.context(ctx, end)
	<-rest.Done()
	cancel()
	return ctx.Err()
}

// deadline is when the loop has something to do even if nothing comes.
func (h *hold) deadline() time.Time {
	if h.txn == nil {
		return time.Time{}
	}
	if h.flight != nil || !h.pub.room() {
		return time.Time{} // the end of the flush, or of a publication, wakes the lane
	}
	return h.txn.opened.Add(h.w.p.CommitEvery)
}

// wait lets the reader rest until a flush or a publication has ended, or somebody wants something.
func (h *hold) wait(ctx context.Context) error {
	if err := h.fill.flush(ctx); err != nil {
		return err
	}
	if h.ended && h.flight == nil && h.txn != nil && h.pub.room() {
		return h.cut(ctx)
	}
	if h.ended && h.flight == nil && h.txn == nil {
		if h.lost != nil {
			h.w.laneFault(h.lost)
		}
		h.r.say("ended", nil)
		h.w.laneEnded()
	}
	h.reader.Pause(true)
	wait, cancel := h.r.wake.context(ctx, time.Time{})
	<-wait.Done()
	cancel()
	h.reader.Pause(false)
	return ctx.Err()
}

func (h *hold) haltPartition(e *stream.PartitionError) {
	if h.lost == nil {
		h.lost = e
	}
	h.r.mu.Lock()
	h.r.st.Halted[e.Partition] = e.Err.Error()
	h.r.st.Next = stream.Next(e)
	h.r.mu.Unlock()
	h.w.d.Metrics.Errors.WithLabelValues("source", e.Code).Inc()
	h.w.d.Log.Error("partition halted", "pipeline", h.w.p.Name, "lane", h.r.id, "partition", e.Partition, "code", e.Code, "err", e.Err, "next", stream.Next(e))
}

// seek adds partitions that appeared since the reader was opened.
func (h *hold) seek(ctx context.Context) error {
	h.r.mu.Lock()
	var add []stream.Bookmark
	if h.r.fresh {
		for _, p := range h.r.granted {
			if h.at[p.ID] == nil {
				b := p.Bookmark
				b.Partition = p.ID
				h.at[p.ID] = &b
				add = append(add, b)
			}
		}
		h.r.fresh = false
	}
	h.r.mu.Unlock()
	if len(add) == 0 {
		return nil
	}
	h.w.d.Log.Info("new partitions", "pipeline", h.w.p.Name, "lane", h.r.id, "count", len(add), "first", add[0].Partition)
	if err := h.reader.Seek(ctx, add); err != nil {
		return fmt.Errorf("read new partitions of lane %s: %w", h.r.id, err)
	}
	return nil
}

// finish flushes, publishes if that is wanted, and releases, all within the wish's time.
func (h *hold) finish(ctx context.Context, stop *stopping) error {
	if err := h.fill.flush(ctx); err != nil {
		return err
	}
	for h.flight != nil || h.txn != nil {
		if h.flight != nil {
			select {
			case <-h.flight.done:
			case <-stop.ctx.Done():
				return stop.ctx.Err() // let go
			}
			if err := h.landed(ctx); err != nil {
				return err
			}
			continue
		}
		if err := h.cut(ctx); err != nil {
			return err
		}
	}
	h.part(stop)
	h.r.say("released", nil)
	return nil
}

// part publishes what is committed, if that is wanted, and releases the lane.
func (h *hold) part(stop *stopping) {
	if stop.publish {
		if err := h.pub.drain(stop.ctx); err != nil {
			h.told = true
			h.w.unpublished(h.left(), err)
		}
	}
	if err := h.lane.Release(stop.ctx); err != nil && !errors.Is(err, stream.ErrFenced) {
		h.w.d.Log.Debug("lane was not released; the next owner takes it anyway", "pipeline", h.w.p.Name, "lane", h.r.id, "err", err)
	}
}

// drop forgets what is open, if anything is. What was sent to the ledger is left to garbage collection.
func (h *hold) drop(ctx context.Context) {
	h.fill.drop()
	if h.flight != nil {
		<-h.flight.done // a swap that is under way must be decided first, or ctx over
		h.dropped = h.flight.err != nil
		h.r.closed(h.flight.t)
		h.flight = nil
	}
	if h.txn != nil {
		h.dropped = true
		h.r.closed(h.txn)
		h.txn.abort(ctx, h.w)
		h.txn = nil
	}
}

// busy counts the time that a step took for a batch.
func (h *hold) busy(step string, d time.Duration) {
	h.w.d.Metrics.StepDuration.WithLabelValues(step).Observe(d.Seconds())
	h.w.d.Metrics.StepBusy.WithLabelValues(step).Add(d.Seconds())
}

// collect removes what earlier owners left behind, now and then.
func (h *hold) collect(ctx context.Context) {
	if h.w.d.Collect == nil {
		return
	}
	wait := collectAgain
	for ctx.Err() == nil {
		err := guard(func() error { return h.w.d.Collect(ctx, h.lane) })
		if err == nil {
			wait = collectAgain
			sleep(ctx, collectEvery)
			continue
		}
		if ctx.Err() == nil {
			h.w.d.Log.Debug("garbage was not collected, will retry", "pipeline", h.w.p.Name, "lane", h.r.id, "err", err, "in", wait)
		}
		sleep(ctx, wait)
		wait = min(2*wait, collectEvery)
	}
}
