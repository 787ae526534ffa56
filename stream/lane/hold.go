package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// hold is one epoch's ownership of a lane: from Acquire to Release, or to the fault that ends it.
type hold struct {
	r *runner
	w *Worker

	lane   stream.Lane
	reader stream.Reader
	at     map[stream.PartitionID]*stream.Bookmark // where reading is, committed or not
	halted map[stream.PartitionID]bool
	fill   *filler
	txn    *txn // open; nil: nothing read since the last cut
	next   stream.TxnID
	flight *flight // being flushed; nil: none
	pub    *publisher

	ended   bool // bounded input is done
	commits int
	wg      sync.WaitGroup // publisher, collector
}

// flight is a transaction on its way from W1 to W6.
type flight struct {
	t    *txn
	at   []stream.Bookmark // after it
	done chan struct{}
	err  error // valid once done is closed
}

// run returns nil when the lane was flushed and released, or given up because ctx is over.
func (h *hold) run(ctx context.Context) (err error) {
	h.r.say("acquiring", nil)
	if h.lane, err = h.w.d.Ledger.Acquire(ctx, h.r.id, h.w.hint()); err != nil {
		return fmt.Errorf("acquire lane %s: %w", h.r.id, err)
	}
	head := h.lane.Head()
	h.w.d.Log.Debug("acquired", "pipeline", h.w.p.Name, "lane", h.r.id, "epoch", head.Epoch, "n", head.N, "pending", head.N-head.Retired)
	h.next = head.Next()
	life, cancel := context.WithCancel(ctx)
	defer h.wg.Wait()
	defer cancel()
	h.pub = newPublisher(h, head)
	h.r.mu.Lock()
	h.r.published = h.pub
	h.r.mu.Unlock()
	h.wg.Go(func() { h.pub.run(life) })
	h.wg.Go(func() { h.collect(life) })

	if err := h.open(ctx, head); err != nil {
		return err
	}
	defer func() { _ = h.reader.Close() }()
	h.r.say("running", nil)
	if err = h.loop(ctx); err != nil {
		h.drop(ctx)
	}
	return err
}

// open starts reading at the head's bookmarks; a partition that the head does not know begins at its beginning.
func (h *hold) open(ctx context.Context, head stream.Head) (err error) {
	if h.fill, err = newFiller(h); err != nil {
		return err
	}
	h.at, h.halted = map[stream.PartitionID]*stream.Bookmark{}, map[stream.PartitionID]bool{}
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
	default:
		return fmt.Errorf("read lane %s: %w", h.r.id, err)
	}
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
	h.halted[e.Partition] = true
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
				return nil // let go
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
	if stop.publish {
		h.pub.drain(stop.ctx)
	}
	if err := h.lane.Release(stop.ctx); err != nil && !errors.Is(err, stream.ErrFenced) {
		h.w.d.Log.Debug("lane was not released; the next owner takes it anyway", "lane", h.r.id, "err", err)
	}
	h.w.d.Hooks.Reach(stream.Release, h.r.id)
	h.r.say("released", nil)
	return nil
}

// drop forgets what is open after a fault. What was sent to the ledger is left to garbage collection.
func (h *hold) drop(ctx context.Context) {
	h.fill.drop()
	if h.flight != nil {
		<-h.flight.done // it ends soon: its own calls are bounded
		h.flight = nil
	}
	if h.txn != nil {
		h.txn.abort(ctx, h.w)
		h.txn = nil
	}
}

// collect removes what earlier owners left behind, now and then.
func (h *hold) collect(ctx context.Context) {
	if h.w.d.Collect == nil {
		return
	}
	for ctx.Err() == nil {
		if err := h.w.d.Collect(ctx, h.lane); err != nil && ctx.Err() == nil {
			h.w.d.Log.Debug("garbage was not collected, will retry", "pipeline", h.w.p.Name, "lane", h.r.id, "err", err)
		}
		sleep(ctx, collectEvery)
	}
}
