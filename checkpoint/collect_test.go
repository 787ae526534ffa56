package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// uploads is a table's store in memory: open uploads only.
type uploads struct {
	rest
	open map[string]bool
}

// rest is what garbage collection does not ask of a table.
type rest interface {
	Stage(ctx context.Context, key string, m stream.UploadMeta) (stream.Staged, error)
	Verify(ctx context.Context, r stream.StagedRef) error
	Publish(ctx context.Context, r stream.StagedRef) error
}

func (u *uploads) Uploads(context.Context, stream.TableRef) (stream.Uploads, error) { return u, nil }

func (u *uploads) Table(context.Context, stream.TableRef) (stream.Table, error) {
	return nil, errors.New("not asked")
}

func (u *uploads) Pending(context.Context, string) iter.Seq2[stream.StagedRef, error] {
	return func(yield func(stream.StagedRef, error) bool) {
		for k := range u.open {
			if !yield(stream.StagedRef{Key: k, UploadID: "u"}, nil) {
				return
			}
		}
	}
}

func (u *uploads) Discard(_ context.Context, r stream.StagedRef) error {
	if !u.open[r.Key] {
		return fmt.Errorf("%s: %w", r.Key, stream.ErrNoUpload)
	}
	delete(u.open, r.Key)
	return nil
}

func (s scene) collector(u *uploads, session string, history time.Duration) *checkpoint.Ledger {
	o := s.p.options(s.p.c, session)
	o.Tables, o.History = u, history
	return checkpoint.New(o)
}

// TestCollect: what transactions left that were never committed goes; all else stays, history too.
func TestCollect(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	u := &uploads{open: map[string]bool{}}
	l := s.collector(u, "a", time.Hour)
	s.join(l)
	var inc string
	stage := func(epoch, n uint64) string {
		key := fmt.Sprintf("day=1/%s-0-%d-%d-0.parquet", inc, epoch, n)
		u.open[key] = true
		return key
	}
	first := s.acquire(l)
	inc = first.Head().Incarnation
	s.commit(first, 0)
	published := stage(1, 1) // of a committed transaction that will be retired: a second upload of the same file
	s.commit(first, 1)
	pending := stage(1, 2)
	abandoned := stage(1, 3) // its worker dies before the swap
	if _, err := first.Put(t.Context(), "dedupe.0", []byte("x")); err != nil {
		t.Fatal(err)
	}
	b := s.read(second)
	s.write("txn/0/00000000000000000003.00000000000000000001.json", b)

	lane := s.acquire(l)
	own := stage(2, 3)
	later := stage(3, 3) // of an owner that comes after
	foreign := []string{"day=1/ffff-0-1-3-0.parquet", "day=1/" + inc + "-1-1-3-0.parquet", "day=1/part-0.parquet"}
	for _, k := range foreign {
		u.open[k] = true
	}
	mine, err := lane.Put(t.Context(), "dedupe.0", []byte("y"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Collect(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	if want := (checkpoint.Collected{Uploads: 2, Manifests: 1, State: 1}); got != want {
		t.Fatalf("collected %+v, want %+v", got, want)
	}
	for _, k := range append(foreign, pending, own, later) {
		if !u.open[k] {
			t.Errorf("%s was aborted", k)
		}
	}
	for _, k := range []string{published, abandoned} {
		if u.open[k] {
			t.Errorf("%s is still open", k)
		}
	}
	if want := []string{mine.Name}; !slices.Equal(s.keys("state/"), want) {
		t.Errorf("state %v, want %v", s.keys("state/"), want)
	}
	if got := s.keys("txn/"); len(got) != 2 {
		t.Errorf("manifests %v, want two", got)
	}
	if again, err := l.Collect(t.Context(), lane); err != nil || again != (checkpoint.Collected{}) {
		t.Errorf("a second pass: %+v, %v", again, err)
	}
	s.commit(lane, 2)

	// Whoever is fenced collects nothing.
	heir := s.collector(u, "b", time.Hour)
	s.join(heir)
	s.acquire(heir)
	_, err = l.Collect(t.Context(), lane)
	if !errors.Is(err, stream.ErrFenced) || !u.open[own] {
		t.Fatalf("a fenced owner collects: %v", err)
	}
}

// TestCollectAges: retired manifests and superseded state go when they are older than history, and entries of the head's
// list of epochs with them; what is needed stays for ever.
func TestCollectAges(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	u := &uploads{open: map[string]bool{}}
	l := s.collector(u, "a", time.Nanosecond)
	s.join(l)
	var base stream.BlobRef
	for i := range 4 {
		lane := s.acquire(l)
		x := s.txn(lane)
		ref, err := lane.Put(t.Context(), "dedupe.0", []byte{byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			base = ref
		}
		state := stream.StateRef{Base: base.Name, SHA256: []string{base.SHA256}}
		if i > 0 && i < 3 {
			state.Deltas, state.SHA256 = []string{ref.Name}, append(state.SHA256, ref.SHA256)
		}
		x.State = map[string]stream.StateRef{"dedupe": state}
		x.Retired = lane.Head().N
		if _, err := lane.Commit(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	lane := s.acquire(l) // epoch 5, retired 3, n 4
	got, err := l.Collect(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	// Kept: the manifest of 4, which is pending; the base, which the head names; and the state written in 4.
	if want := (checkpoint.Collected{Manifests: 3, State: 2}); got != want {
		t.Fatalf("collected %+v, want %+v; left %v", got, want, s.keys(""))
	}
	if err := lane.Mark(t.Context(), stream.Mark{Retired: 4}); err != nil {
		t.Fatal(err)
	}
	h := lane.Head()
	if want := [][2]uint64{{4, 4}}; !slices.Equal(h.Epochs, want) {
		t.Fatalf("epochs %v, want %v", h.Epochs, want)
	}
	// Below the cut every open upload goes; the chain goes on from what is left.
	key := fmt.Sprintf("%s-0-2-9-0.parquet", h.Incarnation)
	u.open[key] = true
	s.commit(lane, 4)
	if got, err := l.Collect(t.Context(), lane); err != nil || got.Uploads != 1 {
		t.Fatalf("collected %+v, %v", got, err)
	}
	var numbers []uint64
	for m, err := range l.History(t.Context(), "0", 1) {
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, m.N)
	}
	if !slices.Equal(numbers, []uint64{5}) {
		t.Fatalf("history %v", numbers)
	}
	blob, err := l.Get(t.Context(), base)
	if err != nil {
		t.Fatalf("the base that the head names: %v", err)
	}
	_ = blob.Close()
}

// TestHeadStaysSmall: neither head nor manifest grow with the number of commits, nor with the number of owners once they
// are older than history.
func TestHeadStaysSmall(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	l := s.collector(&uploads{open: map[string]bool{}}, "a", time.Nanosecond)
	s.join(l)
	var sizes []int
	for range 3 {
		for range 3 {
			lane := s.acquire(l)
			for range 5 {
				h := lane.Head()
				b := stream.Bookmark{Partition: "p", Position: "7" + h.Partitions["p"].Position[:0]}
				x := stream.Txn{Bookmarks: []stream.Bookmark{b}, Retired: h.N}
				x.Ranges = []stream.Range{{Partition: "p", From: h.Partitions["p"].Position, To: b.Position}}
				if _, err := lane.Commit(t.Context(), x); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := l.Collect(t.Context(), lane); err != nil {
				t.Fatal(err)
			}
			if err := lane.Mark(t.Context(), stream.Mark{Retired: lane.Head().N}); err != nil {
				t.Fatal(err)
			}
		}
		sizes = append(sizes, len(s.read(head0)))
	}
	if sizes[2] > sizes[0]+8 { // digits of numbers
		t.Fatalf("the head grows: %v bytes\n%s", sizes, s.read(head0))
	}
	if n := len(s.keys("txn/")); n > 6 {
		t.Fatalf("%d manifests are left", n)
	}
}

// TestPutOff: a live owner of a newer group generation is not fenced at once; a dead or older one is.
func TestPutOff(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		s := scene{T: t, p: dir, ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
		a, b := s.worker("a"), s.worker("b")
		s.join(a)
		s.join(b)
		take := func(l *checkpoint.Ledger, session string, generation int32, live bool) (time.Duration, stream.Head) {
			start := time.Now()
			lane, err := l.Acquire(t.Context(), "0", stream.Hint{
				Session: session, Generation: generation, Live: func(string) bool { return live },
			})
			if err != nil {
				t.Fatal(err)
			}
			return time.Since(start), lane.Head()
		}
		if d, h := take(a, "a", 5, true); d > time.Second || h.GroupGeneration != 5 {
			t.Fatalf("nobody has it: %v, %+v", d, h)
		}
		if d, h := take(b, "b", 4, true); d < time.Minute || d > 2*time.Minute || h.Owner != "b" {
			t.Fatalf("a live owner of a newer generation: %v, %+v", d, h)
		}
		if d, _ := take(a, "a", 6, true); d > time.Second {
			t.Fatalf("an older generation: %v", d)
		}
		if d, _ := take(b, "b", 5, false); d > time.Second {
			t.Fatalf("a dead owner: %v", d)
		}
	})
}

// TestBeatForgets: who does not change for 45 s by the observer's clock is not alive.
func TestBeatForgets(t *testing.T) {
	dir := folder(t)
	synctest.Test(t, func(t *testing.T) {
		s := scene{T: t, p: dir}
		p, starts := s.plan()
		joint, err := s.worker("a").Join(t.Context(), p, starts)
		if err != nil {
			t.Fatal(err)
		}
		other, err := s.worker("b").Join(t.Context(), p, starts)
		if err != nil {
			t.Fatal(err)
		}
		beat := func(p stream.Pipeline, id string, n uint64) int {
			live, err := p.Beat(t.Context(), stream.Session{ID: id, Sequence: n})
			if err != nil {
				t.Fatal(err)
			}
			return len(live)
		}
		beat(other, "b", 1)
		if got := beat(joint, "a", 1); got != 2 {
			t.Fatalf("%d live, want 2", got)
		}
		time.Sleep(44 * time.Second)
		if got := beat(joint, "a", 2); got != 2 {
			t.Fatalf("%d live after 44 s, want 2", got)
		}
		time.Sleep(2 * time.Second)
		if got := beat(joint, "a", 3); got != 1 {
			t.Fatalf("%d live after 46 s, want 1", got)
		}
		beat(other, "b", 2)
		if got := beat(joint, "a", 4); got != 2 {
			t.Fatalf("%d live after it came back, want 2", got)
		}
	})
}

// TestCollectClockAhead: history is not cut short by a worker whose clock is wrong.
func TestCollectClockAhead(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	o := s.p.options(backThen{s.p.c}, "a")
	o.Tables, o.History = &uploads{open: map[string]bool{}}, time.Hour
	l := checkpoint.New(o)
	s.join(l)
	lane := s.acquire(l)
	for i := range 3 {
		s.commit(lane, uint64(i))
	}
	got, err := l.Collect(t.Context(), lane)
	if err != nil || got != (checkpoint.Collected{}) {
		t.Fatalf("collected %+v, %v", got, err)
	}
}

// TestHistoryBesideCollect: who reads history while garbage collection cuts it is told to read again, and not of a loss.
func TestHistoryBesideCollect(t *testing.T) {
	const third = "txn/0/00000000000000000003.00000000000000000002.json"
	for _, c := range []struct {
		name  string
		gone  []string
		class error
	}{
		{"cut", []string{first, second, third}, stream.ErrUnavailable},
		{"a hole", []string{third}, stream.ErrLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			lane := s.acquire(s.l)
			s.commit(lane, 2)
			s.commit(lane, 3)
			var err error
			n := 0
			for _, err = range s.l.History(t.Context(), "0", 1) {
				if n++; n == 1 { // the second has been read, too: it has the hash of the first
					for _, k := range c.gone {
						s.remove(k)
					}
				}
			}
			if stream.Kind(err) != stream.Kind(c.class) {
				t.Fatalf("after %d: got %v, want %v", n, err, c.class)
			}
		})
	}
}

// backThen is a store whose clock is a year behind that of its workers.
type backThen struct{ store.Client }

func (b backThen) List(ctx context.Context, prefix, after string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for o, err := range b.Client.List(ctx, prefix, after) {
			o.Modified = o.Modified.AddDate(-1, 0, 0)
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestBeatsDoNotPileUp: signs of life of sessions that are gone go after an hour, so that restarts leave no heap of them.
func TestBeatsDoNotPileUp(t *testing.T) {
	s := scene{T: t, p: folder(t)}
	p, starts := s.plan()
	joint, err := s.worker("a").Join(t.Context(), p, starts)
	if err != nil {
		t.Fatal(err)
	}
	for id, age := range map[string]time.Duration{"b": 59 * time.Minute, "c": 61 * time.Minute, "d": 30 * time.Hour} {
		key := "live/" + id + ".json"
		s.write(key, []byte(`{"id":"`+id+`"}`))
		if err := os.Chtimes(s.p.c.Location()+key, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := joint.Beat(t.Context(), stream.Session{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	if got, want := s.keys("live/"), []string{"live/a.json", "live/b.json"}; !slices.Equal(got, want) {
		t.Fatalf("left %v, want %v", got, want)
	}
}
