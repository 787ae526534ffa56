package lane_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store/storetest"
)

const drain = 5 * time.Second

// through runs lives until one ends by itself with everything taken.
func (w *world) through(most int) {
	w.t.Helper()
	var err error
	for i := range most {
		ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
		var l *life
		if l, err = w.begin(ctx, fmt.Sprintf("s%d", i)); err == nil {
			err = l.worker.Run(ctx, drain)
		}
		over := ctx.Err() != nil
		cancel()
		if err == nil && !over {
			return
		}
		w.ledgerFaults, w.tableFaults = nil, nil
	}
	w.t.Fatalf("after %d lives: %v", most, err)
}

func TestEverythingReadBecomesARowOnce(t *testing.T) {
	w := newWorld(t, 3, 1000)
	w.through(1)
	w.want(1000)
	if got := w.src.acked[w.src.id(0)]; got != "334" {
		t.Errorf("lag tools were told %q, want 334", got)
	}
	w.through(1) // nothing is left
	w.want(1000)
}

func TestASecondRunGoesOnWhereTheFirstStopped(t *testing.T) {
	w := newWorld(t, 2, 500)
	w.through(1)
	w.src.records = 900
	w.through(1)
	w.want(900)
}

// TestAnyCallMayFail lets every k-th call to a store fail, before or after it landed, and once kills the process there. What a
// reader sees in the end is the same as ever.
func TestAnyCallMayFail(t *testing.T) {
	for n, kind := range []struct {
		name  string
		fault storetest.Fault
	}{
		{"refused", storetest.Fault{}},
		{"reply lost", storetest.Fault{After: true}},
		{"precondition failed after landing", storetest.Fault{After: true, Err: storetest.Status(412)}},
		{"500", storetest.Fault{Err: storetest.Status(500)}},
		{"killed before", storetest.Fault{Crash: true}},
		{"killed after", storetest.Fault{Crash: true, After: true}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			for _, where := range []string{"ledger", "table"} {
				for k := 1 + n%every; ; k += every {
					w := newWorld(t, 2, 200)
					f := kind.fault
					f.Nth = k
					hit := false
					f.Do = func() { hit = true }
					if where == "ledger" {
						w.ledgerFaults = []storetest.Fault{f}
					} else {
						w.tableFaults = []storetest.Fault{f}
					}
					w.crashing(f.Crash)
					w.want(200)
					if !hit {
						if k < 8 {
							t.Fatalf("%s was called %d times only: the fault hits nothing", where, k-1)
						}
						break
					}
				}
			}
		})
	}
}

// crashing runs a life that may be killed by its store, and then lives without faults.
func (w *world) crashing(crash bool) {
	w.t.Helper()
	if crash {
		ctx, cancel := context.WithCancel(w.t.Context())
		l := w.stores()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := w.join(ctx, l, "victim"); err == nil {
				_ = l.worker.Run(ctx, time.Millisecond)
			}
		}()
		for alive := true; alive; {
			select {
			case <-done:
				alive = false
			case <-time.After(time.Millisecond):
				if l.ledger.Crashed() || l.table.Crashed() {
					cancel()
					<-done
					alive = false
				}
			}
		}
		cancel()
		w.ledgerFaults, w.tableFaults = nil, nil
	}
	w.through(3)
}

func TestBadRecordsBecomeDeadLettersAndStopNobody(t *testing.T) {
	w := newWorld(t, 2, 300)
	w.src.bad[10] = `{"id":"x"`
	w.src.bad[11] = ``
	w.src.bad[200] = `{"day":"d1"}`
	w.through(1)
	ids := w.ids()
	if len(ids) != 297 {
		t.Errorf("got %d rows, want 297", len(ids))
	}
	var dead int
	for _, f := range glob(t, filepath.Join(w.dir, "dead", "*.parquet")) {
		dead += rowsOf(t, f)
	}
	if dead != 3 {
		t.Errorf("got %d dead letters, want 3", dead)
	}
}

func TestFailOnErrorHaltsWithThePlaceAndTheNextStep(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes, w.onError = 1, lane.Fail
	w.src.bad[50] = `{"id":`
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	err = l.worker.Run(t.Context(), drain)
	if err == nil || !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), "offset 50") || stream.Next(err) == "" {
		t.Errorf("got %v (next: %s), want a permanent error that names offset 50 and a next step", err, stream.Next(err))
	}
	s := l.worker.Status()
	if s.Totals.Commits != 0 {
		t.Errorf("got %d commits, want 0", s.Totals.Commits)
	}
}

func TestTooManyDeadLettersHalt(t *testing.T) {
	w := newWorld(t, 1, 3000)
	w.lanes, w.maxRatio, w.src.chunk = 1, 0.05, 3000
	for i := range 400 {
		w.src.bad[i] = `nonsense`
	}
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	err = l.worker.Run(t.Context(), drain)
	if err == nil || !strings.Contains(err.Error(), "max_ratio") {
		t.Errorf("got %v, want an error that names max_ratio", err)
	}
	if n := len(w.ids()); n != 0 {
		t.Errorf("the table has %d rows, want none", n)
	}
}

func TestARevokedLaneIsFlushedAndReleased(t *testing.T) {
	w := newWorld(t, 2, 400)
	w.src.bounded = false
	w.src.turns = make(chan stream.Change)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := w.begin(ctx, "s1")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.worker.Run(ctx, drain) }()
	g := w.src.grants(2)
	w.src.turns <- stream.Change{Generation: 1, Granted: g}
	w.src.turns <- stream.Change{Generation: 2, Revoked: []stream.LaneID{"0"}}
	w.src.turns <- stream.Change{Generation: 2} // taken only when the revocation has returned
	if lanes := l.worker.Status().Lanes; len(lanes) != 1 || lanes[0].Lane != "1" {
		t.Errorf("got lanes %v, want lane 1 only", lanes)
	}
	other, err := w.begin(ctx, "s2")
	if err != nil {
		t.Fatal(err)
	}
	done2 := make(chan error, 1)
	go func() { done2 <- other.worker.Run(ctx, drain) }()
	w.src.turns <- stream.Change{Generation: 3, Granted: g[:1]}
	waitFor(t, func() bool { return len(w.ids()) == 400 })
	cancel()
	for _, c := range []chan error{done, done2} {
		if err := <-c; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	w.want(400)
}

// TestAZombieCannotCommit takes a lane away behind a worker's back.
func TestAZombieCannotCommit(t *testing.T) {
	w := newWorld(t, 1, 2000)
	w.lanes = 1
	w.src.bounded = false
	reached := make(chan struct{}, 1)
	let := make(chan struct{})
	first := true
	w.hooks = &stream.Hooks{At: func(p stream.Point, _ stream.LaneID) {
		if p == stream.W3 && first {
			first = false
			reached <- struct{}{}
			<-let
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	zombie, err := w.begin(ctx, "zombie")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- zombie.worker.Run(ctx, drain) }()
	<-reached // it has uploaded and is about to commit
	w.hooks = nil
	w.src.bounded = true
	heir, err := w.begin(ctx, "heir")
	if err != nil {
		t.Fatal(err)
	}
	if err := heir.worker.Run(ctx, drain); err != nil {
		t.Fatal(err)
	}
	w.want(2000)
	close(let)
	waitFor(t, func() bool {
		s := zombie.worker.Status()
		return len(s.Lanes) == 1 && strings.Contains(s.Lanes[0].Reason, "fenced")
	})
	w.want(2000)
	cancel()
	<-done
	w.want(2000)
}

func TestPublishingThatFailsPausesTheLaneAndLosesNothing(t *testing.T) {
	w := newWorld(t, 1, 1500)
	w.lanes, w.maxPending = 1, 2
	w.tableFaults = []storetest.Fault{{Op: "complete"}}
	w.src.bounded = false
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l, err := w.begin(ctx, "s")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.worker.Run(ctx, drain) }()
	waitFor(t, func() bool {
		s := l.worker.Status()
		return len(s.Lanes) == 1 && s.Lanes[0].Pending >= 1 && s.Lanes[0].State == "waiting" && s.Lanes[0].Reason != ""
	})
	if n := len(w.ids()); n != 0 {
		t.Errorf("readers see %d rows of what is not published", n)
	}
	l.table.Heal()
	waitFor(t, func() bool { return len(w.ids()) == 1500 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.want(1500)
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func rowsOf(t *testing.T, path string) int {
	t.Helper()
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	return int(r.NumRows())
}
