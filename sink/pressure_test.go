package sink_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/stream"
)

// many makes n rows of one partition.
func many(n int, day int32) *stream.Batch {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{int64(i), day, "DE"}
	}
	return batch(rows...)
}

// Where ending row groups gives nothing back, files are closed. The coldest goes first, though it is another lane's; among
// equally cold ones the largest.
func TestColdestFirst(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{Limit: 16 << 20}
	var mu sync.Mutex
	var evicted []stream.LaneID
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil), NewEncoder: stiff(1 << 10),
		Hooks: &stream.Hooks{At: func(p stream.Point, l stream.LaneID) {
			mu.Lock()
			defer mu.Unlock()
			if p == stream.Evict {
				evicted = append(evicted, l)
			}
		}}})
	cold, warm := s.Begin(txn("cold", 1)), s.Begin(txn("warm", 1))
	write(t, cold, many(2500, 0)) // 2.5 MB, the coldest of all
	for d := range int32(4) {
		write(t, warm, many(3000, d))
	}
	write(t, warm, many(500, 5)) // 0.5 MB, in the same breath as the last of the above
	if len(up.order) != 0 {
		t.Fatalf("%v left before the limit", up.order)
	}
	write(t, warm, many(1500, 3)) // over
	if want := "day=1970-01-01/country=DE/7f3a-cold-17-1-0.parquet"; len(up.order) == 0 || !slices.Contains(up.order, want) {
		t.Fatalf("got %v, want %s among them", up.order, want)
	}
	if slices.ContainsFunc(up.order, func(k string) bool { return strings.Contains(k, "day=1970-01-06") }) {
		t.Errorf("the small warm file was cut short: %v", up.order)
	}
	if budget.Over() > 0 {
		t.Errorf("still %d bytes over", budget.Over())
	}
	if !slices.Contains(evicted, "cold") {
		t.Errorf("got point evict for %v, want it for the lane whose file it was", evicted)
	}
	files := seal(t, cold)
	if len(files) != 1 || files[0].Rows != 2500 {
		t.Errorf("got %+v, want the evicted file", files)
	}
	rows := int64(0)
	for _, f := range seal(t, warm) {
		rows += f.Rows
	}
	if rows != 14000 {
		t.Errorf("got %d rows, want 14000", rows)
	}
}

// One file that is larger than the whole budget closes itself, again and again, and nothing waits for ever.
func TestOneFileOverTheLimit(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{Limit: 1 << 20}
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil), NewEncoder: stiff(4 << 10)})
	w := s.Begin(txn("0", 1))
	for range 5 {
		write(t, w, many(1000, 0))
	}
	if files := seal(t, w); len(files) != 5 {
		t.Errorf("got %d files, want 5", len(files))
	}
}

// The row groups of the largest files are ended before any file is closed, whoever writes to them.
func TestRowGroupsBeforeFiles(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{Limit: 16 << 20}
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil), NewEncoder: encoder(1 << 10)})
	one, other := s.Begin(txn("0", 1)), s.Begin(txn("1", 1))
	rows := 0
	for i := range int32(40) {
		write(t, one, many(1000, i%3))
		write(t, other, many(500, i%4))
		rows += 1500
		if over := budget.Over(); over > 0 {
			t.Fatalf("%d bytes over the limit", over)
		}
	}
	if up.staged != 7 || len(up.order) != 0 {
		t.Errorf("%d files were begun and %d closed, want 7 and none", up.staged, len(up.order))
	}
	files := append(seal(t, one), seal(t, other)...)
	for _, f := range files {
		rows -= int(f.Rows)
		if n := len(up.ids(f.Key)); n != int(f.Rows) {
			t.Errorf("%s has %d rows, want %d", f.Key, n, f.Rows)
		}
	}
	if len(files) != 7 || rows != 0 || budget.Used() != 0 {
		t.Errorf("%d files, %d rows missing, %d bytes still counted", len(files), rows, budget.Used())
	}
}

// A fault met while a row group is being ended for memory is told by the next call, and nobody waits for ever.
func TestFlushFails(t *testing.T) {
	up := newUploads()
	up.failWrite = fmt.Errorf("write: %w", stream.ErrFull)
	budget := &stream.Budget{Limit: 2 << 20}
	w := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil), NewEncoder: encoder(1 << 10)}).Begin(txn("0", 1))
	var err error
	for range 20 {
		if err = w.Write(t.Context(), many(1000, 0)); err != nil {
			break
		}
	}
	if !errors.Is(err, stream.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if err := w.Abort(t.Context()); err != nil || budget.Used() != 0 {
		t.Errorf("got %v from Abort, and %d bytes still counted", err, budget.Used())
	}
}

// When something else fills the budget, files are not cut into crumbs and nobody waits.
func TestOthersFillTheBudget(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{Limit: 16 << 20}
	budget.Add(32 << 20)
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil)})
	w := s.Begin(txn("0", 1))
	for range 10 {
		write(t, w, many(100, 0))
	}
	if files := seal(t, w); len(files) != 1 {
		t.Errorf("got %d files, want 1", len(files))
	}
}

// A store that hangs stops its own sink only: after a while others no longer wait for what it would give back.
func TestStuckStoreHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := &stream.Budget{Limit: 8 << 20}
		pool := sink.NewPool(budget, nil)
		stuck := newUploads()
		stuck.hang = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		up := newUploads()
		a := newSink(t, config(), sink.Deps{Uploads: stuck, Pool: pool, NewEncoder: encoder(1 << 10)})
		b := newSink(t, config(), sink.Deps{Uploads: up, Pool: pool, NewEncoder: encoder(1 << 10)})
		wa, wb := a.Begin(txn("a", 1)), b.Begin(txn("b", 1))
		blocked := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			var err error
			for d := int32(0); err == nil; d++ {
				err = wa.Write(ctx, many(1000, d))
			}
			blocked <- err
		}()
		synctest.Wait()
		start := time.Now()
		for d := range int32(40) {
			write(t, wb, many(1000, d))
		}
		if waited := time.Since(start); waited > 2*time.Minute {
			t.Errorf("the healthy sink waited %s", waited)
		}
		rows := int64(0)
		for _, f := range seal(t, wb) {
			rows += f.Rows
		}
		if rows != 40000 {
			t.Errorf("got %d rows, want 40000", rows)
		}
		stop()
		if err := <-blocked; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the blocked Write to end with its context", err)
		}
		if err := wa.Abort(context.Background()); err != nil {
			t.Error(err)
		}
		if budget.Used() != 0 {
			t.Errorf("%d bytes are still counted", budget.Used())
		}
	})
}

// A full disk surfaces as such, from Write or Seal, and Abort drops what there is, so that the lane can go on later.
func TestDiskFull(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{}
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: sink.NewPool(budget, nil)})
	w := s.Begin(txn("0", 1))
	write(t, w, many(10, 0))
	write(t, w, many(10, 1))
	up.failWrite = fmt.Errorf("write: %w", stream.ErrFull)
	if _, err := w.Seal(t.Context(), nil); !errors.Is(err, stream.ErrFull) {
		t.Fatalf("got %v, want ErrFull", err)
	}
	if err := w.Write(t.Context(), many(1, 0)); !errors.Is(err, stream.ErrFull) {
		t.Errorf("got %v from Write, want ErrFull", err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	if len(up.sealed) != 0 || budget.Used() != 0 {
		t.Errorf("%d files and %d bytes are left", len(up.sealed), budget.Used())
	}
	up.failWrite = nil
	w = s.Begin(txn("0", 2))
	write(t, w, many(10, 0))
	if files := seal(t, w); len(files) != 1 {
		t.Errorf("got %d files when there is room again, want 1", len(files))
	}
}

// A failed upload of a file that was closed early is told by the next call.
func TestBackgroundErrorSurfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newUploads()
		up.hang = func(context.Context) error { return fmt.Errorf("put: %w", stream.ErrUnavailable) }
		c := config()
		c.RollSize = 1
		w := newSink(t, c, sink.Deps{Uploads: up}).Begin(txn("0", 1))
		write(t, w, many(10, 0))
		synctest.Wait()
		if err := w.Write(t.Context(), many(1, 0)); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("got %v from Write, want ErrUnavailable", err)
		}
		if _, err := w.Seal(t.Context(), nil); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("got %v from Seal, want ErrUnavailable", err)
		}
		if err := w.Abort(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestVerifyFails(t *testing.T) {
	up := newUploads()
	up.failVerify = fmt.Errorf("checksum: %w", stream.ErrLost)
	w := newSink(t, config(), sink.Deps{Uploads: up}).Begin(txn("0", 1))
	write(t, w, many(10, 0))
	if _, err := w.Seal(t.Context(), nil); !errors.Is(err, stream.ErrLost) {
		t.Errorf("got %v, want ErrLost", err)
	}
	if err := w.Abort(t.Context()); err != nil || len(up.sealed) != 0 {
		t.Errorf("got %v and %d files", err, len(up.sealed))
	}
}

// Seal ends with its context though the store hangs, and Abort still works.
func TestSealIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newUploads()
		up.hang = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		w := newSink(t, config(), sink.Deps{Uploads: up}).Begin(txn("0", 1))
		for d := range int32(50) {
			write(t, w, many(1, d))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.Seal(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if err := w.Abort(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Files that Seal has uploaded can still be dropped as long as no commit was sent.
func TestAbortAfterSeal(t *testing.T) {
	up := newUploads()
	w := newSink(t, config(), sink.Deps{Uploads: up}).Begin(txn("0", 1))
	write(t, w, many(10, 0))
	files := seal(t, w)
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(up.dropped, []string{files[0].Key}) {
		t.Errorf("got %v dropped", up.dropped)
	}
}
