package streamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
)

// Input is what a source reads, as a test makes it.
type Input interface {
	// Source opens the input as another worker would. The test closes it.
	Source(t *testing.T) stream.Source
	// Append adds records with these values to partition n.
	Append(t *testing.T, n int, values ...string)
	// Grow adds partitions, so that there are n.
	Grow(t *testing.T, n int)
}

// sourceWait is how long the suite waits for what must come.
const sourceWait = 30 * time.Second

// TestSource checks a source against its contract. fresh makes an input of its own, with empty partitions 0 to n-1; it is called
// from tests that run at the same time.
func TestSource(t *testing.T, fresh func(t *testing.T, partitions int) Input) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, sourceTest)
	}{
		{"discover", testDiscover},
		{"read", testRead},
		{"resume", testResume},
		{"seek", testSeek},
		{"pause", testPause},
		{"cancel", testCancel},
		{"one worker", testOneWorker},
		{"two workers", testTwoWorkers},
		{"new partitions", testNewPartitions},
		{"turn fails", testTurnFails},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, sourceTest{t, fresh})
		})
	}
}

type sourceTest struct {
	*testing.T
	fresh func(*testing.T, int) Input
}

func (t sourceTest) open(in Input) stream.Source {
	t.Helper()
	s := in.Source(t.T)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func (t sourceTest) starts(s stream.Source) []stream.Start {
	t.Helper()
	starts, err := s.Discover(t.Context())
	if err != nil {
		t.Fatalf("Discover: %v", err)
	}
	slices.SortFunc(starts, func(a, b stream.Start) int { return int(int64(a.Slot) - int64(b.Slot)) })
	return starts
}

func (t sourceTest) reader(s stream.Source, at ...stream.Bookmark) stream.Reader {
	t.Helper()
	r, err := s.Open(t.Context(), "0", at)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Reader.Close: %v", err)
		}
	})
	return r
}

func bookmarks(starts []stream.Start) []stream.Bookmark {
	var bs []stream.Bookmark
	for _, s := range starts {
		b := s.Bookmark
		b.Partition = s.ID
		bs = append(bs, b)
	}
	return bs
}

// reading checks what a reader hands out: batches tile, and their records lie in them.
type reading struct {
	sourceTest
	at     map[stream.PartitionID]stream.Bookmark
	values map[stream.PartitionID][]string
	atEnd  map[stream.PartitionID]bool
}

func newReading(t sourceTest, at []stream.Bookmark) *reading {
	rd := &reading{t, map[stream.PartitionID]stream.Bookmark{}, map[stream.PartitionID][]string{}, map[stream.PartitionID]bool{}}
	for _, b := range at {
		rd.at[b.Partition] = b
	}
	return rd
}

func (rd *reading) next(ctx context.Context, r stream.Reader) error {
	rd.Helper()
	b, err := r.Next(ctx)
	if err != nil {
		return err
	}
	defer b.Release()
	at, ok := rd.at[b.Partition]
	if !ok {
		rd.Fatalf("Next: got a batch of %s, which was not opened", b.Partition)
	}
	if b.From != at.Position {
		rd.Fatalf("Next: got %s from %s, want from %s", b.Partition, b.From, at.Position)
	}
	if b.Topic == "" {
		rd.Fatalf("Next: got a batch of %s without a topic", b.Partition)
	}
	for i := range b.Records {
		if i > 0 && b.Records[i].Offset <= b.Records[i-1].Offset {
			rd.Fatalf("Next: got record %d of %s behind record %d", b.Records[i].Offset, b.Partition, b.Records[i-1].Offset)
		}
		rd.values[b.Partition] = append(rd.values[b.Partition], string(b.Records[i].Value))
	}
	at.Position, at.LeaderEpoch = b.To, b.LeaderEpoch
	rd.at[b.Partition] = at
	rd.atEnd[b.Partition] = b.AtEnd
	return nil
}

// until reads until a partition has n values.
func (rd *reading) until(r stream.Reader, id stream.PartitionID, n int) {
	rd.Helper()
	ctx, cancel := context.WithTimeout(rd.Context(), sourceWait)
	defer cancel()
	for len(rd.values[id]) < n {
		if err := rd.next(ctx, r); err != nil {
			rd.Fatalf("Next: %v, with %d of %d records of %s read", err, len(rd.values[id]), n, id)
		}
	}
}

func (rd *reading) want(id stream.PartitionID, want []string) {
	rd.Helper()
	if !slices.Equal(rd.values[id], want) {
		rd.Fatalf("got %d records of %s, want %d:\ngot  %v\nwant %v", len(rd.values[id]), id, len(want), rd.values[id], want)
	}
}

func values(from, n int) []string {
	var v []string
	for i := range n {
		v = append(v, fmt.Sprintf("v%d", from+i))
	}
	return v
}

func testDiscover(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 3)
	s := t.open(in)
	first := t.starts(s)
	if len(first) != 3 {
		t.Fatalf("got %d partitions, want 3: %v", len(first), first)
	}
	for i, st := range first {
		if st.ID == "" || st.Position == "" {
			t.Errorf("partition %d: got id %q and position %q, want both", i, st.ID, st.Position)
		}
		if i > 0 && first[i].ID == first[i-1].ID {
			t.Errorf("%s is listed twice", st.ID)
		}
	}
	if again := t.starts(t.open(in)); !slices.Equal(first, again) {
		t.Errorf("a second worker discovers something else:\n%v\n%v", first, again)
	}
}

func testRead(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 2)
	s := t.open(in)
	starts := t.starts(s)
	a, b := starts[0].ID, starts[1].ID
	in.Append(t.T, 0, values(0, 50)...)
	in.Append(t.T, 1, values(100, 30)...)
	bs := bookmarks(starts)
	rd, r := newReading(t, bs), t.reader(s, bs...)
	rd.until(r, a, 30)
	rd.until(r, b, 30)
	if len(rd.values[a]) == 30 { // which of them partition 0 is, only the source knows
		rd.until(r, b, 50)
	} else {
		rd.until(r, a, 50)
	}
	got := [][]string{rd.values[a], rd.values[b]}
	want := [][]string{values(0, 50), values(100, 30)}
	if len(got[0]) == 30 {
		slices.Reverse(got)
	}
	for i := range got {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
	in.Append(t.T, 0, "late")
	in.Append(t.T, 1, "late")
	rd.until(r, a, len(rd.values[a])+1)
	for len(rd.values[a])+len(rd.values[b]) < 82 {
		rd.until(r, b, len(rd.values[b])+1)
	}
	if err := r.Ack(t.Context(), []stream.Bookmark{rd.at[a], rd.at[b]}); err != nil {
		t.Errorf("Ack: %v", err)
	}
}

func testResume(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 1)
	s := t.open(in)
	bs := bookmarks(t.starts(s))
	id := bs[0].Partition
	in.Append(t.T, 0, values(0, 10)...)
	rd := newReading(t, bs)
	rd.until(t.reader(s, bs...), id, 10)
	in.Append(t.T, 0, values(10, 10)...)
	rd.until(t.reader(t.open(in), rd.at[id]), id, 20)
	rd.want(id, values(0, 20))
	if !rd.atEnd[id] {
		t.Errorf("the last batch of %s does not say that it reaches the end", id)
	}
}

func testSeek(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 2)
	s := t.open(in)
	bs := bookmarks(t.starts(s))
	a, b := bs[0], bs[1]
	in.Append(t.T, 0, values(0, 10)...)
	in.Append(t.T, 1, values(0, 10)...)
	rd, r := newReading(t, bs[:1]), t.reader(s, a)
	rd.until(r, a.Partition, 10)
	rd.at[b.Partition] = b
	if err := r.Seek(t.Context(), []stream.Bookmark{b}); err != nil {
		t.Fatalf("Seek: %v", err)
	}
	rd.until(r, b.Partition, 10)
	rd.at[a.Partition] = a
	if err := r.Seek(t.Context(), []stream.Bookmark{a}); err != nil {
		t.Fatalf("Seek: %v", err)
	}
	rd.until(r, a.Partition, 20)
	rd.want(a.Partition, append(values(0, 10), values(0, 10)...))
	rd.want(b.Partition, values(0, 10))
}

func testPause(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 1)
	s := t.open(in)
	bs := bookmarks(t.starts(s))
	id := bs[0].Partition
	in.Append(t.T, 0, values(0, 10)...)
	rd, r := newReading(t, bs), t.reader(s, bs...)
	rd.until(r, id, 10)
	r.Pause(true)
	in.Append(t.T, 0, values(10, 1)...)
	drain(rd, r) // what was on its way
	in.Append(t.T, 0, values(11, 9)...)
	had := len(rd.values[id])
	drain(rd, r)
	if got := len(rd.values[id]); got > had {
		t.Errorf("a paused reader went on from %d to %d records", had, got)
	}
	r.Pause(false)
	rd.until(r, id, 20)
	rd.want(id, values(0, 20))
}

// drain reads until nothing has come for a second.
func drain(rd *reading, r stream.Reader) {
	rd.Helper()
	for {
		ctx, cancel := context.WithTimeout(rd.Context(), time.Second)
		err := rd.next(ctx, r)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return
		}
		if err != nil {
			rd.Fatalf("Next: %v", err)
		}
	}
}

func testCancel(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 1)
	s := t.open(in)
	bs := bookmarks(t.starts(s))
	id := bs[0].Partition
	rd, r := newReading(t, bs), t.reader(s, bs...)
	drain(rd, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rd.next(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("Next with a cancelled context: got %v, want context.Canceled", err)
	}
	in.Append(t.T, 0, values(0, 5)...)
	rd.until(r, id, 5)
	rd.want(id, values(0, 5))
}

// worker is one member of a group, as the suite plays it.
type worker struct {
	t    sourceTest
	name string
	all  *workers
	stop context.CancelFunc
	done chan error

	mu    sync.Mutex
	lanes map[stream.LaneID]map[stream.PartitionID]stream.Start
	calls int
}

// workers knows who has which lane, and complains when two do.
type workers struct {
	mu    sync.Mutex
	owner map[stream.LaneID]*worker
	turn  chan struct{}
}

const suiteLanes = 4

func (t sourceTest) join(all *workers, in Input, name string) *worker {
	ctx, cancel := context.WithCancel(t.Context())
	w := &worker{t: t, name: name, all: all, stop: cancel, done: make(chan error, 1), lanes: map[stream.LaneID]map[stream.PartitionID]stream.Start{}}
	s := in.Source(t.T)
	go func() {
		err := s.Assign(ctx, stream.Member{Session: name, Incarnation: "i1", Plan: 1, Lanes: suiteLanes}, w.change)
		w.done <- errors.Join(err, s.Close())
	}()
	t.Cleanup(func() { w.leave() })
	return w
}

func (w *worker) change(_ context.Context, c stream.Change) error {
	w.mu.Lock()
	w.calls++
	if w.calls > 1 {
		w.t.Errorf("%s: two turns at once", w.name)
	}
	w.mu.Unlock()
	w.all.mu.Lock()
	for _, l := range append(slices.Clone(c.Revoked), c.Lost...) {
		if w.all.owner[l] == w {
			delete(w.all.owner, l)
		} else if slices.Contains(c.Revoked, l) {
			w.t.Errorf("%s: lane %s is revoked and was not granted", w.name, l)
		}
		delete(w.lanes, l)
	}
	for _, g := range c.Granted {
		if o := w.all.owner[g.Lane]; o != nil {
			w.t.Errorf("lane %s is granted to %s while %s has it", g.Lane, w.name, o.name)
		}
		w.all.owner[g.Lane] = w
		w.lanes[g.Lane] = map[stream.PartitionID]stream.Start{}
	}
	for _, g := range append(slices.Clone(c.Granted), c.Added...) {
		if w.lanes[g.Lane] == nil {
			w.t.Errorf("%s: partitions are added to lane %s, which it does not have", w.name, g.Lane)
			continue
		}
		for _, p := range g.Partitions {
			if want := stream.LaneID(fmt.Sprint(p.Slot % suiteLanes)); want != g.Lane {
				w.t.Errorf("%s: %s came with lane %s, want %s", w.name, p.ID, g.Lane, want)
			}
			if _, twice := w.lanes[g.Lane][p.ID]; twice {
				w.t.Errorf("%s: %s was given twice", w.name, p.ID)
			}
			w.lanes[g.Lane][p.ID] = p
		}
	}
	w.all.mu.Unlock()
	w.mu.Lock()
	w.calls--
	w.mu.Unlock()
	select {
	case w.all.turn <- struct{}{}:
	default:
	}
	return nil
}

// leave ends the member and checks that it was told to give up all it had.
func (w *worker) leave() {
	w.stop()
	select {
	case err, ok := <-w.done:
		if !ok {
			return
		}
		close(w.done)
		if err != nil {
			w.t.Errorf("%s: Assign: %v", w.name, err)
		}
	case <-time.After(sourceWait):
		w.t.Errorf("%s: Assign did not return", w.name)
	}
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if len(w.lanes) > 0 {
		w.t.Errorf("%s: Assign returned without revoking %v", w.name, w.lanes)
	}
}

func newWorkers() *workers {
	return &workers{owner: map[stream.LaneID]*worker{}, turn: make(chan struct{}, 1)}
}

// settle waits until each worker has as many partitions as want says, by name; a want below zero: at least one.
func (all *workers) settle(t sourceTest, what string, total int, ws ...*worker) {
	t.Helper()
	deadline := time.After(sourceWait)
	for {
		all.mu.Lock()
		sum, idle := 0, 0
		for _, w := range ws {
			n := 0
			for _, ps := range w.lanes {
				n += len(ps)
			}
			sum += n
			if n == 0 {
				idle++
			}
		}
		all.mu.Unlock()
		if sum == total && idle == 0 {
			return
		}
		select {
		case <-all.turn:
		case <-deadline:
			t.Fatalf("%s: after %s %d of %d partitions are assigned, %d workers have none", what, sourceWait, sum, total, idle)
		}
	}
}

func testOneWorker(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 6)
	want := t.starts(t.open(in))
	all := newWorkers()
	w := t.join(all, in, "a")
	all.settle(t, "one worker", 6, w)
	all.mu.Lock()
	for _, st := range want {
		lane := stream.LaneID(fmt.Sprint(st.Slot % suiteLanes))
		if got, ok := w.lanes[lane][st.ID]; !ok || got != st {
			t.Errorf("%s: got %+v, want %+v as Discover", st.ID, got, st)
		}
	}
	all.mu.Unlock()
	w.leave()
}

func testTwoWorkers(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 6)
	all := newWorkers()
	a := t.join(all, in, "a")
	all.settle(t, "the first", 6, a)
	b := t.join(all, in, "b")
	all.settle(t, "both", 6, a, b)
	all.mu.Lock()
	if len(a.lanes) != 2 || len(b.lanes) != 2 {
		t.Errorf("got %d and %d lanes, want 2 and 2", len(a.lanes), len(b.lanes))
	}
	all.mu.Unlock()
	a.leave()
	all.settle(t, "the second alone", 6, b)
	b.leave()
}

func testNewPartitions(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 2)
	all := newWorkers()
	w := t.join(all, in, "a")
	all.settle(t, "before", 2, w)
	in.Grow(t.T, 6)
	all.settle(t, "after", 6, w)
	w.leave()
}

func testTurnFails(_ *testing.T, t sourceTest) {
	in := t.fresh(t.T, 2)
	s := t.open(in)
	ctx, cancel := context.WithTimeout(t.Context(), sourceWait)
	defer cancel()
	no := errors.New("no")
	err := s.Assign(ctx, stream.Member{Session: "a", Incarnation: "i1", Plan: 1, Lanes: suiteLanes}, func(context.Context, stream.Change) error { return no })
	if !errors.Is(err, no) {
		t.Errorf("Assign: got %v, want the turn's error", err)
	}
}
