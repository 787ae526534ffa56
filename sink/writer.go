package sink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/millrace/millrace/stream"
)

// writer holds the files of one transaction in one table.
type writer struct {
	s  *Sink
	id stream.TxnID

	// ctx is that of every upload, from the first row on. It outlives the calls that begin files, and ends with Abort.
	ctx    context.Context
	cancel context.CancelCauseFunc

	router
	view  stream.Batch // a batch as files see it: without partition columns
	next  int          // number of the next file
	files []*file      // all of them, in order of n
	size  atomic.Int64

	closing sync.WaitGroup // files that a closer has
	mu      sync.Mutex
	err     error // first one of a file that was closed in the background
}

var errAborted = errors.New("transaction dropped")

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Write routes the selected rows of b. An error means that the transaction cannot be completed: Abort it.
func (w *writer) Write(ctx context.Context, b *stream.Batch) error {
	if err := w.failed(); err != nil {
		return err
	}
	if len(b.Sel) == 0 {
		return nil
	}
	if w.ctx == nil {
		w.ctx, w.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	}
	if err := w.route(w.s, b); err != nil {
		return err
	}
	w.project(b)
	for _, g := range w.groups {
		w.view.Sel = w.order[g.from:g.to]
		if err := w.append(ctx, g); err != nil {
			w.fail(err)
			return err
		}
		if err := w.s.deps.Pool.relieve(ctx, w.s); err != nil {
			return err
		}
	}
	return nil
}

// project makes view the columns of b that go into files.
func (w *writer) project(b *stream.Batch) {
	w.view.Rows, w.view.Time, w.view.Origin, w.view.Raw = b.Rows, b.Time, b.Origin, b.Raw
	for i, c := range w.s.cols {
		if c >= 0 {
			w.view.Cols[i] = b.Cols[c]
			continue
		}
		for v := w.view.Cols[i]; v.N < b.Rows; {
			v.AppendNull()
		}
	}
}

// append writes view to the partition's open file, and closes that if it has grown to its size.
func (w *writer) append(ctx context.Context, g *slot) error {
	for {
		opened := g.file == nil
		if opened {
			if err := w.open(ctx, g); err != nil {
				return err
			}
		}
		f := g.file
		size, ok, err := f.append(&w.view)
		if err != nil {
			return fmt.Errorf("sink %s: %s: %w", w.s.cfg.Ref.Name, f.key, err)
		}
		if !ok { // closed for memory meanwhile
			g.file = nil
			continue
		}
		switch {
		case size > int64(w.s.cfg.RollSize):
			w.shut(f, nil)
		case opened:
			w.s.deps.Pool.add(f) // not before it has rows: an empty file must not be closed and kept
		}
		return nil
	}
}

func (w *writer) open(ctx context.Context, g *slot) error {
	if err := w.s.deps.Pool.admit(ctx, w.s); err != nil {
		return err
	}
	f := &file{s: w.s, w: w, slot: g, n: w.next, key: fileKey(g.folder, w.id, w.next)}
	enc, err := w.s.deps.NewEncoder(w.s.file, f)
	if err != nil {
		return err
	}
	f.enc = enc
	w.next++
	w.files = append(w.files, f)
	w.closing.Add(1)
	w.s.live.Add(1)
	w.s.deps.Metrics.OpenFiles.Inc()
	g.file = f
	return nil
}

// shut closes f in the background, unless somebody has begun to.
func (w *writer) shut(f *file, meta map[string]string) {
	f.mu.Lock()
	taken := f.taken
	f.taken = true
	f.mu.Unlock()
	if taken {
		return
	}
	f.meta = meta
	f.slot.file = nil
	w.s.deps.Pool.leave(f)
	w.s.closer.enqueue(f, (*file).finish)
}

// Size is about what the files have and will have; what is not encoded yet counts as it lies in memory.
func (w *writer) Size() int64 { return w.size.Load() }

// Seal closes, uploads and verifies every file. With an error nothing may be committed: Abort.
func (w *writer) Seal(ctx context.Context, footer map[string]string) ([]stream.File, error) {
	if w.ctx != nil {
		defer context.AfterFunc(ctx, func() { w.cancel(context.Cause(ctx)) })()
	}
	if footer == nil {
		footer = map[string]string{}
	}
	for _, f := range w.files {
		w.shut(f, footer)
	}
	w.closing.Wait()
	if err := w.failed(); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(maxWorkers)
	for _, f := range w.files {
		g.Go(func() error {
			if err := w.s.deps.Uploads.Verify(gctx, *f.ref); err != nil {
				return fmt.Errorf("sink %s: verify %s: %w", w.s.cfg.Ref.Name, f.key, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		w.fail(err)
		return nil, err
	}
	files := make([]stream.File, 0, len(w.files))
	for _, f := range w.files {
		files = append(files, f.entry())
		w.count(f)
	}
	w.releaseSlots(w.s.deps.Pool)
	slices.SortFunc(files, func(a, b stream.File) int { return cmp.Compare(a.Key, b.Key) })
	return files, nil
}

func (w *writer) count(f *file) {
	m := w.s.deps.Metrics
	m.Files.Inc()
	m.Records.Add(float64(f.rows))
	m.Bytes.Add(float64(f.ref.Bytes))
	m.FileSize.Observe(float64(f.ref.Bytes))
}

// Abort drops all files, also those that Seal has uploaded. It may be called again.
func (w *writer) Abort(ctx context.Context) error {
	w.fail(errAborted) // files that wait for a worker are not begun any more
	if w.cancel != nil {
		w.cancel(errAborted)
	}
	for _, f := range w.files {
		w.shut(f, nil)
	}
	w.closing.Wait()
	w.releaseSlots(w.s.deps.Pool)
	var g errgroup.Group
	g.SetLimit(maxWorkers)
	for _, f := range w.files {
		g.Go(func() error {
			var err error
			switch {
			case f.ref != nil:
				err = w.s.deps.Uploads.Discard(ctx, *f.ref)
			case f.staged != nil:
				err = f.staged.Abort(ctx)
			}
			if err != nil {
				return fmt.Errorf("sink %s: drop %s: %w", w.s.cfg.Ref.Name, f.key, err)
			}
			return nil
		})
	}
	err := g.Wait()
	w.files = nil
	return err
}
