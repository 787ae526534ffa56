package checkpoint_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// scene is a ledger with two commits in lane 0, the second one pending, and the means to spoil it.
type scene struct {
	*testing.T
	p   place
	l   *checkpoint.Ledger
	ref stream.TableRef
}

func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	s.l = s.worker("a")
	s.join(s.l)
	lane := s.acquire(s.l)
	s.commit(lane, 0)
	s.commit(lane, 1)
	return s
}

func (s scene) worker(session string) *checkpoint.Ledger {
	return checkpoint.New(s.p.options(s.p.c, session))
}

func (s scene) plan() (stream.Plan, []stream.Start) {
	p := stream.Plan{Pipeline: "orders", Hash: "h", Lanes: 1, Source: "kafka c", Tables: []stream.TableRef{s.ref}}
	return p, []stream.Start{{ID: "p", Bookmark: stream.Bookmark{Position: "0"}}}
}

func (s scene) join(l *checkpoint.Ledger) {
	s.Helper()
	p, starts := s.plan()
	if _, err := l.Join(s.Context(), p, starts); err != nil {
		s.Fatal(err)
	}
}

func (s scene) acquire(l *checkpoint.Ledger) stream.Lane {
	s.Helper()
	lane, err := l.Acquire(s.Context(), "0", stream.Hint{})
	if err != nil {
		s.Fatal(err)
	}
	return lane
}

// txn is the next transaction of a lane: from position x to y, with one file.
func (s scene) txn(lane stream.Lane) stream.Txn {
	h := lane.Head()
	id := h.Next()
	from := h.Partitions["p"].Position
	to := from + "0"
	key := "day=1/" + id.String() + "-0.parquet"
	return stream.Txn{
		Ranges:    []stream.Range{{Partition: "p", From: from, To: to}},
		Bookmarks: []stream.Bookmark{{Partition: "p", Position: to}},
		Tables:    map[string]stream.TableRef{"silver": s.ref},
		Files:     []stream.File{{Table: "silver", Key: key}},
	}
}

func (s scene) commit(lane stream.Lane, retired uint64) stream.Manifest {
	s.Helper()
	x := s.txn(lane)
	x.Retired = retired
	m, err := lane.Commit(s.Context(), x)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

func (s scene) read(key string) []byte {
	s.Helper()
	r, _, err := s.p.c.Get(s.Context(), key, 0, -1)
	if err != nil {
		s.Fatal(err)
	}
	defer r.Close() // a test's read
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		s.Fatal(err)
	}
	return b.Bytes()
}

func (s scene) write(key string, b []byte) {
	s.Helper()
	if _, err := s.p.c.Put(s.Context(), key, b, store.Cond{}); err != nil {
		s.Fatal(err)
	}
}

func (s scene) replace(key, old, with string) {
	s.Helper()
	b := s.read(key)
	if !bytes.Contains(b, []byte(old)) {
		s.Fatalf("%s does not contain %q:\n%s", key, old, b)
	}
	s.write(key, bytes.ReplaceAll(b, []byte(old), []byte(with)))
}

func (s scene) remove(key string) {
	s.Helper()
	if err := s.p.c.Delete(s.Context(), key); err != nil {
		s.Fatal(err)
	}
}

// keys lists the folder.
func (s scene) keys(prefix string) []string {
	s.Helper()
	var keys []string
	for o, err := range s.p.c.List(s.Context(), prefix, "") {
		if err != nil {
			s.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

const (
	head0  = "lanes/0.json"
	first  = "txn/0/00000000000000000001.00000000000000000001.json"
	second = "txn/0/00000000000000000002.00000000000000000001.json"
)

// TestRefused: a ledger that is not what it should be is refused, in words that say what to do, and nothing is changed.
func TestRefused(t *testing.T) {
	join := func(s scene) error {
		p, starts := s.plan()
		_, err := s.worker("b").Join(s.Context(), p, starts)
		return err
	}
	acquire := func(s scene) error {
		_, err := s.l.Acquire(s.Context(), "0", stream.Hint{})
		return err
	}
	history := func(s scene) error {
		for _, err := range s.l.History(s.Context(), "0", 1) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	heads := func(s scene) error {
		_, err := s.l.Heads(s.Context(), []stream.LaneID{"0"})
		return err
	}
	for _, c := range []struct {
		name  string
		spoil func(scene)
		do    func(scene) error
		class error
		says  []string
	}{
		{"pipeline of a newer format", func(s scene) { s.replace("pipeline.json", `"format": 1`, `"format": 2`) }, join,
			stream.ErrPermanent, []string{"pipeline.json", "format 2", "newer millrace"}},
		{"pipeline cut off", func(s scene) { b := s.read("pipeline.json"); s.write("pipeline.json", b[:len(b)/2]) }, join,
			stream.ErrPermanent, []string{"pipeline.json", "not a whole record", "versions or a backup"}},
		{"pipeline with an unknown field", func(s scene) { s.replace("pipeline.json", `"lanes": 1`, `"lanes": 1, "surprise": 2`) }, join,
			stream.ErrPermanent, []string{"surprise"}},
		{"pipeline gone", func(s scene) { s.remove("pipeline.json") }, join,
			stream.ErrLost, []string{"pipeline.json is missing", "not empty"}},
		{"pipeline gone while running", func(s scene) { s.remove("pipeline.json") }, acquire,
			stream.ErrLost, []string{"pipeline.json is missing"}},
		{"pipeline made anew while running", func(s scene) { s.replace("pipeline.json", `"incarnation": "`, `"incarnation": "f`) }, acquire,
			stream.ErrForeign, []string{"incarnation f", "made anew"}},
		{"head gone", func(s scene) { s.remove(head0) }, acquire,
			stream.ErrLost, []string{head0 + " is missing", "nobody knows"}},
		{"head gone, read", func(s scene) { s.remove(head0) }, heads,
			stream.ErrLost, []string{head0 + " is missing"}},
		{"head empty", func(s scene) { s.write(head0, nil) }, acquire,
			stream.ErrPermanent, []string{head0, "not a whole record", "never an empty one"}},
		{"head cut off", func(s scene) { b := s.read(head0); s.write(head0, b[:len(b)-9]) }, acquire,
			stream.ErrPermanent, []string{head0, "not a whole record"}},
		{"head of two records", func(s scene) { b := s.read(head0); s.write(head0, append(b, b...)) }, acquire,
			stream.ErrPermanent, []string{head0, "not a whole record"}},
		{"head whose numbers disagree", func(s scene) { s.replace(head0, `"n": 2`, `"n": 3`) }, acquire,
			stream.ErrPermanent, []string{head0, "do not agree"}},
		{"head whose epochs go back", func(s scene) { s.replace(head0, `   0,`, `   7,`) }, acquire,
			stream.ErrPermanent, []string{head0, "do not agree"}},
		{"head of a newer format", func(s scene) { s.replace(head0, `"format": 1`, `"format": 9`) }, acquire,
			stream.ErrPermanent, []string{head0, "format 9", "newer millrace"}},
		{"head of another ledger", func(s scene) { s.replace(head0, `"incarnation": "`, `"incarnation": "f`) }, acquire,
			stream.ErrForeign, []string{head0, "incarnation f", "ledger of its own"}},
		{"manifest changed", func(s scene) { s.replace(second, `"to": "000"`, `"to": "001"`) }, history,
			stream.ErrLost, []string{second, "not the hash", head0}},
		{"earlier manifest changed", func(s scene) { s.replace(first, `"to": "00"`, `"to": "01"`) }, history,
			stream.ErrLost, []string{first, "not the hash"}},
		{"pending manifest gone", func(s scene) { s.remove(second) }, history,
			stream.ErrLost, []string{second + " is missing"}},
		{"manifest of another transaction", func(s scene) { s.write(second, s.read(first)) }, history,
			stream.ErrForeign, []string{second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			c.spoil(s)
			before := s.keys("")
			err := c.do(s)
			if !errors.Is(err, c.class) {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			text := err.Error() + "; " + stream.Next(err)
			for _, w := range c.says {
				if !strings.Contains(text, w) {
					t.Errorf("%q does not say %q", text, w)
				}
			}
			if stream.Next(err) == "" {
				t.Errorf("no advice: %v", err)
			}
			if after := s.keys(""); strings.Join(before, " ") != strings.Join(after, " ") {
				t.Errorf("keys changed from %v to %v", before, after)
			}
		})
	}
}

// TestPlanTakenBack: a worker that restarts with the old configuration during a change does not lock out those that have
// the new one, once that is brought in again; and it keeps out of lanes that run the new one.
func TestPlanTakenBack(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	join := func(session, hash string) *checkpoint.Ledger {
		l := s.worker(session)
		p, starts := s.plan()
		p.Hash = hash
		if _, err := l.Join(t.Context(), p, starts); err != nil {
			t.Fatal(err)
		}
		return l
	}
	join("a", "old")
	b := join("b", "new")     // plan 2
	a := join("a2", "old")    // plan 3
	again := join("c", "new") // plan 4
	if h := s.acquire(again).Head(); h.Plan != 4 {
		t.Fatalf("plan %d, want 4", h.Plan)
	}
	if h := s.acquire(b).Head(); h.Plan != 4 {
		t.Fatalf("plan %d, want 4", h.Plan)
	}
	if _, err := a.Acquire(t.Context(), "0", stream.Hint{}); !errors.Is(err, stream.ErrPermanent) {
		t.Fatalf("the old configuration: %v", err)
	}
}

// TestLaneName: a lane whose files could be taken for another's is never held.
func TestLaneName(t *testing.T) {
	s := newScene(t)
	before := s.read(head0)
	s.write("lanes/0-1.json", bytes.ReplaceAll(before, []byte(`"lane": "0"`), []byte(`"lane": "0-1"`)))
	if _, err := s.l.Acquire(t.Context(), "0-1", stream.Hint{}); !errors.Is(err, stream.ErrPermanent) {
		t.Fatalf("got %v", err)
	}
}

// TestOlderThanData: a head that was put back to an earlier version is not gone on from when its lost commits are visible.
func TestOlderThanData(t *testing.T) {
	s := newScene(t)
	lane := s.acquire(s.l)
	old := s.read(head0)
	m := s.commit(lane, 2)
	s.write(head0, old)
	b := s.worker("b")
	s.join(b)
	if _, err := b.Acquire(t.Context(), "0", stream.Hint{}); err != nil {
		t.Fatalf("nothing of transaction 3 is visible, and yet: %v", err)
	}
	s.write(m.Files[0].Key, []byte("PAR1")) // published
	_, err := b.Acquire(t.Context(), "0", stream.Hint{})
	if !errors.Is(err, stream.ErrLost) || !strings.Contains(stream.Next(err), "older than its data") {
		t.Fatalf("got %v (%s)", err, stream.Next(err))
	}
	if !strings.Contains(err.Error(), "committed up to 2") || !strings.Contains(err.Error(), "transaction 3 (epoch 2)") {
		t.Fatalf("got %v", err)
	}
}

// TestIntruder: somebody else writes a head in its owner's own epoch.
func TestIntruder(t *testing.T) {
	s := newScene(t)
	lane := s.acquire(s.l)
	s.replace(head0, `"nonce": "`, `"nonce": "f`)
	_, err := lane.Commit(t.Context(), s.txn(lane))
	if !errors.Is(err, stream.ErrForeign) || stream.Next(err) == "" {
		t.Fatalf("got %v", err)
	}
	if err2 := lane.Mark(t.Context(), stream.Mark{Retired: 2}); !errors.Is(err2, stream.ErrForeign) {
		t.Fatalf("the next call: %v", err2)
	}
}

// TestStoreAway: one clear line when nothing was sent, whose class says what it is.
func TestStoreAway(t *testing.T) {
	for _, class := range []error{stream.ErrUnavailable, stream.ErrDenied, stream.ErrFull} {
		s := scene{T: t, p: folder(t)}
		o := s.p.options(away{s.p.c, class}, "a")
		o.Retry.Tries = 3
		p, starts := s.plan()
		_, err := checkpoint.New(o).Join(t.Context(), p, starts)
		if !errors.Is(err, class) || stream.Kind(err) != stream.Kind(class) || stream.Next(err) == "" {
			t.Errorf("got %v (%s), want %v", err, stream.Kind(err), class)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	}
	_, err := checkpoint.New(folder(t).options(folder(t).c, "a")).Inspect(t.Context())
	if !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" {
		t.Errorf("Inspect of nothing: %v", err)
	}
}

// away is a store that cannot be read.
type away struct {
	store.Client
	class error
}

func (a away) Get(context.Context, string, int64, int64) (io.ReadCloser, store.Object, error) {
	return nil, store.Object{}, a.class
}
