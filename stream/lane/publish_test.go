package lane_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store/storetest"
)

// catalogOf answers instead of the tables' catalogs while it has an error.
type catalogOf struct {
	stream.Tables
	err atomic.Pointer[error]
}

func (c *catalogOf) Table(ctx context.Context, ref stream.TableRef) (stream.Table, error) {
	if err := c.err.Load(); err != nil {
		return nil, *err
	}
	return c.Tables.Table(ctx, ref)
}

func (c *catalogOf) fail(err error) { c.err.Store(&err) }

func (c *catalogOf) of(t stream.Tables) stream.Tables {
	c.Tables = t
	return c
}

// start runs a life until its test ends it.
func (w *world) start(session string) (l *life, stop func() error) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	l, err := w.begin(ctx, session)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.worker.Run(ctx, drain) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	w.t.Cleanup(func() { _ = stop() })
	return l, stop
}

// TestUploadsAreCompletedWhileTheCatalogIsAway: an upload that waits for a catalog might be aborted by its store's lifecycle
// rules, and would be lost.
func TestUploadsAreCompletedWhileTheCatalogIsAway(t *testing.T) {
	w := newWorld(t, 1, 1200)
	w.lanes, w.src.bounded, w.maxPending = 1, false, 64
	c := &catalogOf{}
	c.fail(fmt.Errorf("the catalog is away: %w", stream.ErrUnavailable))
	w.wrapTables = c.of
	l, stop := w.start("s")
	waitFor(t, func() bool { return len(w.ids()) == 1200 })
	s := l.worker.Status().Lanes[0]
	if s.Pending == 0 || s.State != "waiting" || !strings.Contains(s.Reason, "the catalog is away") {
		t.Errorf("got %+v, want it waiting for the catalog", s)
	}
	c.err.Store(nil)
	waitFor(t, func() bool { return l.worker.Status().Lanes[0].Pending == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.want(1200)
}

// TestABoundedRunThatCannotPublishFails: exit code 0 would say that the table has everything.
func TestABoundedRunThatCannotPublishFails(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes = 1
	c := &catalogOf{}
	c.fail(fmt.Errorf("no such table: %w", stream.ErrPermanent))
	w.wrapTables = c.of
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Run(t.Context(), 50*time.Millisecond); !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), "no such table") {
		t.Errorf("got %v, want the catalog's fault", err)
	}
	c.err.Store(nil)
	w.through(1)
	w.want(100)
}

// TestEveryPointIsPassedOnce: tests count on the n-th time that a point is reached.
func TestEveryPointIsPassedOnce(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes, w.commitEvery = 1, time.Hour
	var mu sync.Mutex
	got := map[stream.Point]int{}
	w.hooks = &stream.Hooks{At: func(p stream.Point, _ stream.LaneID) {
		mu.Lock()
		got[p]++
		mu.Unlock()
	}}
	w.src.chunk = 100
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Run(t.Context(), drain); err != nil {
		t.Fatal(err)
	}
	want := map[stream.Point]int{
		stream.Acquire: 1, stream.W0: 1, stream.W1: 1, stream.W2: 1, stream.W3: 1, stream.W5: 1, stream.W6: 1,
		stream.W7: 3, stream.W8: 1, stream.W9: 1, stream.W10: 1, stream.Release: 1,
	}
	for p, n := range want {
		if got[p] != n {
			t.Errorf("%s was reached %d times, want %d", p, got[p], n)
		}
	}
}

// TestAHaltedLanePublishesWhatItCommitted: the fault is with what comes next, not with what is committed.
func TestAHaltedLanePublishesWhatItCommitted(t *testing.T) {
	w := newWorld(t, 1, 200)
	w.lanes, w.onError, w.src.bounded, w.src.chunk = 1, "fail", false, 50
	w.src.bad[180] = "nonsense"
	c := &catalogOf{}
	c.fail(fmt.Errorf("the catalog is away: %w", stream.ErrUnavailable))
	w.wrapTables = c.of
	w.tableFaults = []storetest.Fault{{Op: "complete"}}
	ready := make(chan struct{})
	var once sync.Once
	w.hooks = &stream.Hooks{At: func(p stream.Point, _ stream.LaneID) {
		if p == stream.W6 {
			once.Do(func() { close(ready) })
		}
	}}
	n := 0
	w.src.trouble = func() error { // the bad record does not come before something is committed
		switch n++; n {
		case 2:
			time.Sleep(5 * time.Millisecond) // the first transaction is due then
		case 3:
			select {
			case <-ready:
			case <-time.After(10 * time.Second):
			}
		}
		return nil
	}
	w.commitEvery = time.Millisecond
	l, _ := w.start("s")
	waitFor(t, func() bool {
		s := l.worker.Status().Lanes
		return len(s) == 1 && s[0].State == "halted" && strings.Contains(s[0].Reason, "offset 180")
	})
	if len(l.commits) == 0 {
		t.Fatal("nothing was committed, so that this shows nothing")
	}
	l.table.Heal()
	c.err.Store(nil)
	waitFor(t, func() bool { return len(w.ids()) > 0 })
	waitFor(t, func() bool { return l.worker.Status().Lanes[0].Pending == 0 })
}
