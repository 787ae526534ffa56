package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/stream"
)

// cut is the barrier (W1): it fixes the positions of the open transaction and sends it on its way. The next one may fill at
// once.
func (h *hold) cut(ctx context.Context) error {
	if err := h.fill.flush(ctx); err != nil {
		return err
	}
	t := h.txn
	h.txn = nil
	h.next.N++
	bookmarks := make([]stream.Bookmark, 0, len(t.order))
	for _, id := range t.order {
		bookmarks = append(bookmarks, *t.at[id])
	}
	h.w.d.Hooks.Reach(stream.W1, h.r.id)
	f := &flight{t: t, at: bookmarks, done: make(chan struct{})}
	h.flight = f
	h.r.flies(time.Now())
	h.wg.Go(func() {
		defer h.r.wake.poke()
		defer close(f.done)
		defer h.r.flies(time.Time{})
		f.err = guard(func() error { return h.flush(ctx, t, bookmarks) })
		var p *panicked
		if errors.As(f.err, &p) && !t.sent {
			h.r.suspect(t.last, true)
			t.abort(ctx, h.w)
		}
	})
	return nil
}

// flush takes a transaction from W2 to W6 and hands it to the publisher.
func (h *hold) flush(ctx context.Context, t *txn, bookmarks []stream.Bookmark) error {
	m := h.w.d.Metrics
	begin := time.Now()
	phase := func(name string) {
		m.CommitDuration.WithLabelValues(name).Observe(time.Since(begin).Seconds())
		begin = time.Now()
	}
	if err := h.w.dead.check(t.counts.Records, t.unfit, time.Now()); err != nil {
		t.abort(ctx, h.w)
		return err
	}
	files, tables, err := t.seal(ctx, h.w)
	if err == nil {
		if off := t.imbalance(h.w.p); off != 0 {
			m.Imbalance.Add(float64(off))
			err = unbalanced(fmt.Errorf("transaction %s: %d records are unaccounted for", t.id, off))
		}
	}
	if err != nil {
		m.Commits.WithLabelValues("abandoned").Inc()
		t.abort(ctx, h.w)
		return err
	}
	phase("upload")
	h.w.d.Hooks.Reach(stream.W2, h.r.id)
	h.w.d.Hooks.Reach(stream.W3, h.r.id)
	t.sent = true
	man, err := h.lane.Commit(ctx, stream.Txn{
		Time: t.time, Ranges: t.read(), Bookmarks: bookmarks, Files: files, Tables: tables, Counts: t.counts, Retired: h.pub.retired(),
	})
	if err != nil {
		m.Commits.WithLabelValues(stream.Kind(err)).Inc()
		if errors.Is(err, stream.ErrFenced) {
			m.Conflicts.Inc()
		}
		return fmt.Errorf("commit %s: %w", t.id, err) // nothing of it may be discarded here any more
	}
	phase("commit")
	m.Commits.WithLabelValues("committed").Inc()
	m.LastCommit.SetToCurrentTime()
	h.count(t)
	h.report(&man, t, time.Since(t.opened))
	h.pub.add(man, t.oldest)
	return nil
}

// count puts a committed transaction into the metrics.
func (h *hold) count(t *txn) {
	m := h.w.d.Metrics
	m.Skipped.Add(float64(t.counts.Skipped))
	for code, n := range t.reasons {
		m.Dead.WithLabelValues(code).Add(float64(n))
	}
	for i, f := range t.steps {
		name := h.w.p.Steps[i].Name
		m.StepRecords.WithLabelValues(name, "in").Add(float64(f.in))
		m.StepRecords.WithLabelValues(name, "out").Add(float64(f.out))
		m.StepRecords.WithLabelValues(name, "dead").Add(float64(f.bad))
	}
}

// report tells people and whoever listens: one line a transaction.
func (h *hold) report(man *stream.Manifest, t *txn, took time.Duration) {
	now := time.Now()
	dead := ""
	if h.w.p.Dead != nil {
		dead = h.w.p.Dead.Ref().Name
	}
	h.r.mu.Lock()
	h.r.tot.committed(man, dead, now)
	h.r.st.LastCommit = now
	lag := h.r.st.Lag
	h.r.mu.Unlock()
	var rows, bytes int64
	for _, f := range man.Files {
		rows, bytes = rows+f.Rows, bytes+f.Bytes
	}
	from, to := t.span()
	h.w.d.Log.Info("committed", "pipeline", h.w.p.Name, "lane", h.r.id, "txn", man.N, "rows", rows, "files", len(man.Files), "bytes", bytes,
		"from", from, "to", to, "lag", lag, "took", took.Round(time.Millisecond))
	if h.w.d.Committed != nil {
		h.w.d.Committed(*man)
	}
}
