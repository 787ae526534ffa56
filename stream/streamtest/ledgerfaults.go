package streamtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/stream"
)

// calls is how many outside calls the story takes when nothing goes wrong.
func (t ledgerTest) calls() int {
	t.Helper()
	x := t.anew()
	l, faults := x.place.Worker(t.T, "a")
	if err := story(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	x.told(x.worker("z"))
	return faults.Calls()
}

// everywhere runs a case for every outside call of the story, before and after the store has done it.
func (t ledgerTest) everywhere(run func(t ledgerTest, k int, after bool)) {
	for k := range t.calls() {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, done %v", k+1, after), func(sub *testing.T) {
				sub.Parallel()
				run(ledgerTest{sub, t.fresh(sub), t.fresh}, k+1, after)
			})
		}
	}
}

// testLost: whichever answer is lost, the worker comes to the same end by itself.
func testLost(t ledgerTest) {
	t.everywhere(func(t ledgerTest, k int, after bool) {
		l, faults := t.place.Worker(t.T, "a")
		faults.Lose(k, after)
		if err := story(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		t.told(t.worker("z"))
	})
}

// testCrash: wherever a worker dies, another one ends the story.
func testCrash(t ledgerTest) {
	t.everywhere(func(t ledgerTest, k int, after bool) {
		l, faults := t.place.Worker(t.T, "a")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		faults.Crash(k, after, cancel)
		if err := story(ctx, l); err == nil {
			t.Fatalf("nothing fails although the worker is dead")
		}
		heir := t.worker("b")
		if err := story(t.Context(), heir); err != nil {
			t.Fatal(err)
		}
		t.told(heir)
	})
}

// testRace: goroutines of two ledgers take one lane from each other and commit; every commit counts once.
func testRace(t ledgerTest) {
	const each, rounds = 4, 5
	var wg sync.WaitGroup
	var committed atomic.Int64
	for _, session := range []string{"a", "b"} {
		l := t.worker(session)
		t.join(l)
		for range each {
			wg.Go(func() {
				for range rounds {
					n, err := contend(t.T, l)
					committed.Add(n)
					if err != nil && !errors.Is(err, stream.ErrFenced) {
						t.Errorf("%s: %v", session, err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	l := t.worker("z")
	t.join(l)
	for committed.Load() < 3 { // where each always came too late, at least this one does not
		n, err := contend(t.T, l)
		if err != nil {
			t.Fatalf("alone: %v", err)
		}
		committed.Add(n)
	}
	all := t.history(l, "0")
	if int64(len(all)) != committed.Load() {
		t.Fatalf("%d manifests in the chain, and %d commits were reported", len(all), committed.Load())
	}
	if got := t.head(l, "0").Partitions[orders0].Position; got != stream.Position(fmt.Sprint(len(all))) {
		t.Fatalf("position %s after %d commits of one record", got, len(all))
	}
}

// contend takes lane 0 and commits up to three times, until it is fenced.
func contend(t *testing.T, l stream.Ledger) (n int64, err error) {
	lane, err := l.Acquire(t.Context(), "0", stream.Hint{})
	if err != nil {
		return 0, err
	}
	for range 3 {
		if _, err := lane.Commit(t.Context(), advance(lane.Head(), orders0, 1)); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
