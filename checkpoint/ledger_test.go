package checkpoint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

// TestHooks: the points are reached in their order, each after what it is named for.
func TestHooks(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	var got []string
	o := s.p.options(s.p.c, "a")
	o.Tables = &uploads{}
	o.Hooks = &stream.Hooks{At: func(p stream.Point, lane stream.LaneID) {
		n := 0
		if keys := s.keys("lanes/"); len(keys) > 0 && bytes.Contains(s.read(head0), []byte(`"n": 1`)) {
			n = 1
		}
		got = append(got, fmt.Sprintf("%s/%s n=%d m=%d", p, lane, n, len(s.keys("txn/"))))
	}}
	l := checkpoint.New(o)
	s.join(l)
	lane := s.acquire(l)
	if _, err := lane.Put(t.Context(), "x", nil); err != nil {
		t.Fatal(err)
	}
	s.commit(lane, 0)
	if err := lane.Mark(t.Context(), stream.Mark{Retired: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Collect(t.Context(), lane); err != nil {
		t.Fatal(err)
	}
	if err := lane.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"acquire/0 n=0 m=0", "W4/0 n=0 m=0", "W5/0 n=0 m=1", "W6/0 n=1 m=1", "W9/0 n=1 m=1", "garbage/0 n=1 m=1", "release/0 n=1 m=1",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// TestNameTaken: other bytes under the name of my manifest are another's, and nothing of mine is committed.
func TestNameTaken(t *testing.T) {
	s := newScene(t)
	lane := s.acquire(s.l)
	s.write("txn/0/00000000000000000003.00000000000000000002.json", []byte("{}"))
	_, err := lane.Commit(t.Context(), s.txn(lane))
	if !errors.Is(err, stream.ErrFenced) {
		t.Fatalf("got %v", err)
	}
	heads, err := s.l.Heads(t.Context(), []stream.LaneID{"0"})
	if err != nil || heads[0].N != 2 {
		t.Fatalf("heads %+v, %v", heads, err)
	}
}

// TestProofKept: a store is asked once; a table that is new is asked when it comes.
func TestProofKept(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	asked := 0
	var verdict error
	o := s.p.options(s.p.c, "a")
	o.Probe = func(_ context.Context, c store.Client, tables ...store.Client) (store.ProbeResult, error) {
		asked += 1 + len(tables)
		return store.ProbeResult{Format: 1, Location: c.Location()}, verdict
	}
	join := func() error {
		p, starts := s.plan()
		_, err := checkpoint.New(o).Join(t.Context(), p, starts)
		return err
	}
	verdict = stream.ErrPermanent
	if err := join(); !errors.Is(err, verdict) {
		t.Fatalf("a store that lies: %v", err)
	}
	if keys := s.keys(""); len(keys) != 0 {
		t.Fatalf("a store that lies holds %v", keys)
	}
	verdict = nil
	for _, want := range []int{4, 4} {
		if err := join(); err != nil || asked != want {
			t.Fatalf("asked %d times, want %d; %v", asked, want, err)
		}
	}
	s.ref.Location = "/lake/other/"
	if err := join(); err != nil || asked != 6 {
		t.Fatalf("asked %d times, want 6; %v", asked, err)
	}
}

// TestReadable: what is stored is for people, too, and the same every time.
func TestReadable(t *testing.T) {
	s := newScene(t)
	for _, key := range []string{"pipeline.json", head0, first} {
		b := string(s.read(key))
		if !strings.HasPrefix(b, "{\n \"format\": 1,\n") || !strings.HasSuffix(b, "}\n") {
			t.Errorf("%s begins %.40q", key, b)
		}
	}
}

// TestRetriesAreCounted: what was sent again shows, by operation.
func TestRetriesAreCounted(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	f := storetest.Faulty(s.p.c)
	o := s.p.options(f, "a")
	r := prometheus.NewRegistry()
	o.Metrics = r
	l := checkpoint.New(o)
	checkpoint.New(o) // a second one shares the counter
	s.join(l)
	lane := s.acquire(l)
	f.Add(storetest.Fault{Op: "put", Key: "lanes/", Nth: 1})
	s.commit(lane, 0)
	want := `
# HELP millrace_retries_total Outside calls that were sent again, by component and operation.
# TYPE millrace_retries_total counter
millrace_retries_total{component="ledger",operation="swap_head"} 1
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(r); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}
