package streamtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/stream"
)

func testJoin(t ledgerTest) {
	l := t.worker("a")
	joint := t.join(l)
	s := joint.State()
	if s.State != "ready" || s.Lanes != 2 || s.Plan.Epoch != 1 || s.Incarnation == "" {
		t.Fatalf("State: %+v", s)
	}
	if got := s.Tables["silver"].Ref.Location; got != "/lake/silver/" {
		t.Fatalf("table silver is at %q", got)
	}
	heads, err := l.Heads(t.Context(), []stream.LaneID{"0", "1"})
	if err != nil {
		t.Fatalf("Heads: %v", err)
	}
	if got := lanes(heads); !slices.Equal(got, []stream.LaneID{"0", "1"}) {
		t.Fatalf("Heads: %v", got)
	}
	if n0, n1 := len(heads[0].Partitions), len(heads[1].Partitions); n0 != 2 || n1 != 1 {
		t.Fatalf("%d and %d partitions, want 2 and 1", n0, n1)
	}
	if b := heads[1].Partitions["kafka/orders/1"]; b.Position != "100" || b.TopicID != "t" {
		t.Fatalf("partition 1 begins at %+v", b)
	}

	// Starts count at creation alone, and so does the number of lanes.
	other := t.worker("b")
	p, starts := ledgerPlan()
	p.Lanes = 7
	starts[1].Position = "999"
	again, err := other.Join(t.Context(), p, starts)
	if err != nil {
		t.Fatalf("second Join: %v", err)
	}
	if got := again.State(); got.Incarnation != s.Incarnation || got.Lanes != 2 || got.Plan.Epoch != 1 {
		t.Fatalf("second Join: %+v", got)
	}
	if b := t.head(other, "1").Partitions["kafka/orders/1"]; b.Position != "100" {
		t.Fatalf("partition 1 moved to %s", b.Position)
	}
}

func testPlans(t ledgerTest) {
	join := func(session, hash string) (stream.Ledger, uint64) {
		l := t.worker(session)
		p, starts := ledgerPlan()
		p.Hash = hash
		joint, err := l.Join(t.Context(), p, starts)
		if err != nil {
			t.Fatalf("Join: %v", err)
		}
		return l, joint.State().Plan.Epoch
	}
	old, first := join("a", "h1")
	_, same := join("b", "h1")
	next, second := join("c", "h2")
	t.acquire(next, "0")
	_, err := old.Acquire(t.Context(), "0", stream.Hint{})
	t.is("Acquire with an older plan", err, stream.ErrPermanent)
	_, back := join("d", "h1")
	if first != 1 || same != 1 || second != 2 || back != 3 {
		t.Fatalf("plans %d %d %d %d, want 1 1 2 3", first, same, second, back)
	}
	if stream.Next(err) == "" {
		t.Fatalf("no advice in %v", err)
	}
}

func testForeignPlans(t ledgerTest) {
	t.join(t.worker("a"))
	for _, c := range []struct {
		name string
		f    func(*stream.Plan)
		want error
	}{
		{"another pipeline", func(p *stream.Plan) { p.Pipeline = "returns" }, stream.ErrForeign},
		{"another source", func(p *stream.Plan) { p.Source = "kafka c2" }, stream.ErrPermanent},
		{"other table partitions", func(p *stream.Plan) {
			p.Tables[0].Partitions = []stream.PartitionColumn{{Name: "day", Type: "date"}}
		}, stream.ErrPermanent},
	} {
		p, starts := ledgerPlan()
		c.f(&p)
		_, err := t.worker("b").Join(t.Context(), p, starts)
		t.is(c.name, err, c.want)
		if stream.Next(err) == "" {
			t.Fatalf("%s: no advice in %v", c.name, err)
		}
	}
}

func testJoinRace(t ledgerTest) {
	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		l := t.worker(fmt.Sprint("w", i))
		wg.Go(func() {
			p, starts := ledgerPlan()
			joint, err := l.Join(t.Context(), p, starts)
			if err != nil {
				t.Errorf("Join: %v", err)
				return
			}
			got[i] = joint.State().Incarnation
		})
	}
	wg.Wait()
	slices.Sort(got)
	if len(slices.Compact(got)) != 1 {
		t.Fatalf("incarnations %v, want one", got)
	}
}

func testCommit(t ledgerTest) {
	l := t.worker("a")
	t.join(l)
	lane := t.acquire(l, "0")
	if h := lane.Head(); h.Epoch != 1 || h.Owner != "a" || h.N != 0 {
		t.Fatalf("Head: %+v", h)
	}
	id := next(lane)
	m := t.commit(lane, withFile(advance(lane.Head(), orders0, 5), id))
	if m.ID() != id || m.PrevN["silver"] != 0 || m.Files[0].Upload.Meta.Txn != id {
		t.Fatalf("manifest %+v, want of %s", m, id)
	}
	t.commit(lane, stream.Txn{}) // nothing read, nothing written
	m = t.commit(lane, withFile(advance(lane.Head(), orders0, 5), next(lane)))
	if m.PrevN["silver"] != 1 || m.PrevSHA256 == "" {
		t.Fatalf("manifest: prev_n %v, prev_sha256 %q", m.PrevN, m.PrevSHA256)
	}

	// A partition that was not there at creation begins where the transaction says; the others stay.
	grown := stream.Txn{
		Ranges:    []stream.Range{{Partition: "kafka/orders/4", From: "0", To: "7", Records: 7}},
		Bookmarks: []stream.Bookmark{{Partition: "kafka/orders/4", Position: "7", TopicID: "t", LeaderEpoch: 2}},
		Watermark: 50,
	}
	t.commit(lane, grown)
	h := t.head(l, "0")
	if h.N != 4 || h.Tables["silver"] != 3 || len(h.Partitions) != 3 || h.Watermark != 50 || h.Retired != 0 {
		t.Fatalf("head %+v", h)
	}
	if b := h.Partitions["kafka/orders/2"]; b.Position != "200" {
		t.Fatalf("partition 2 moved to %s", b.Position)
	}
	// Watermarks never go back.
	t.commit(lane, stream.Txn{Watermark: 20})
	if got := lane.Head().Watermark; got != 50 {
		t.Fatalf("watermark %d, want 50", got)
	}
	if all := t.history(l, "0"); len(all) != 5 || all[3].Ranges[0].To != "7" {
		t.Fatalf("history %+v", all)
	}
	var some []uint64
	for m, err := range l.History(t.Context(), "0", 4) {
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		some = append(some, m.N)
	}
	if !slices.Equal(some, []uint64{4, 5}) {
		t.Fatalf("History from 4: %v", some)
	}
}

func testBroken(t ledgerTest) {
	l := t.worker("a")
	t.join(l)
	lane := t.acquire(l, "0")
	good := advance(lane.Head(), orders0, 5)
	for _, c := range []struct {
		name string
		f    func(*stream.Txn)
	}{
		{"starts elsewhere", func(x *stream.Txn) { x.Ranges[0].From = "3" }},
		{"another generation", func(x *stream.Txn) { x.Ranges[0].Generation = 4 }},
		{"bookmark elsewhere", func(x *stream.Txn) { x.Bookmarks[0].Position = "6" }},
		{"no bookmark", func(x *stream.Txn) { x.Bookmarks = nil }},
		{"moved without reading", func(x *stream.Txn) { x.Ranges = nil }},
		{"a hole", func(x *stream.Txn) {
			x.Ranges = append(x.Ranges, stream.Range{Partition: orders0, From: "6", To: "8"})
			x.Bookmarks[0].Position = "8"
		}},
		{"another topic", func(x *stream.Txn) { x.Bookmarks[0].TopicID = "u" }},
		{"unknown table", func(x *stream.Txn) { x.Files = []stream.File{{Table: "gold", Key: "k"}} }},
		{"retires itself", func(x *stream.Txn) { x.Retired = 1 }},
	} {
		x := good
		x.Ranges = slices.Clone(good.Ranges)
		x.Bookmarks = slices.Clone(good.Bookmarks)
		c.f(&x)
		_, err := lane.Commit(t.Context(), x)
		t.is(c.name, err, stream.ErrPermanent)
	}
	t.is("Mark beyond the head", lane.Mark(t.Context(), stream.Mark{Retired: 1}), stream.ErrPermanent)
	if h := t.head(l, "0"); h.N != 0 {
		t.Fatalf("n is %d", h.N)
	}
	t.commit(lane, good)
	t.history(l, "0")
}

func testFenced(t ledgerTest) {
	a, b := t.worker("a"), t.worker("b")
	t.join(a)
	t.join(b)
	first := t.acquire(a, "0")
	t.commit(first, advance(first.Head(), orders0, 5))
	second := t.acquire(b, "0")
	if h := second.Head(); h.Epoch != 2 || h.N != 1 || h.Owner != "b" {
		t.Fatalf("Head of the second owner: %+v", h)
	}
	_, err := first.Commit(t.Context(), advance(first.Head(), orders0, 7))
	t.is("Commit of the first owner", err, stream.ErrFenced)
	t.is("Mark of the first owner", first.Mark(t.Context(), stream.Mark{Retired: 1}), stream.ErrFenced)
	t.is("Release of the first owner", first.Release(t.Context()), stream.ErrFenced)
	t.commit(second, advance(second.Head(), orders0, 9))
	if h := t.head(a, "0"); h.N != 2 || h.Partitions[orders0].Position != "14" {
		t.Fatalf("head %+v", h)
	}
	t.history(a, "0")
}

// testZombie: another worker takes the lane between the manifest and the head of a commit.
func testZombie(t ledgerTest) {
	a, faults := t.place.Worker(t.T, "a")
	b := t.worker("b")
	t.join(a)
	t.join(b)
	zombie := t.acquire(a, "0")
	faults.Heal()
	faults.Before(1, func() {
		heir := t.acquire(b, "0")
		t.commit(heir, advance(heir.Head(), orders0, 3))
	})
	_, err := zombie.Commit(t.Context(), advance(zombie.Head(), orders0, 100))
	t.is("Commit of the zombie", err, stream.ErrFenced)
	if all := t.history(b, "0"); len(all) != 1 || all[0].Epoch != 2 {
		t.Fatalf("history %+v", all)
	}
}

func testMarks(t ledgerTest) {
	l := t.worker("a")
	t.join(l)
	lane := t.acquire(l, "0")
	t.commit(lane, advance(lane.Head(), orders0, 5))
	try := &stream.Attempt{Positions: map[stream.PartitionID]stream.Position{orders0: "5"}, Count: 2}
	if err := lane.Mark(t.Context(), stream.Mark{Retired: 1, Attempt: try}); err != nil {
		t.Fatalf("Mark: %v", err)
	}
	if h := t.head(l, "0"); h.Retired != 1 || h.Attempt == nil || h.Attempt.Count != 2 || h.Attempt.Positions[orders0] != "5" {
		t.Fatalf("head %+v", h)
	}
	if err := lane.Mark(t.Context(), stream.Mark{Attempt: &stream.Attempt{}}); err != nil {
		t.Fatalf("Mark: %v", err)
	}
	if h := t.head(l, "0"); h.Retired != 1 || h.Attempt != nil {
		t.Fatalf("head %+v", h)
	}
	if err := lane.Mark(t.Context(), stream.Mark{Attempt: try}); err != nil {
		t.Fatalf("Mark: %v", err)
	}
	t.commit(lane, advance(lane.Head(), orders0, 5)) // a commit clears the attempt
	x := advance(lane.Head(), orders0, 5)
	x.Retired = 2
	t.commit(lane, x)
	if h := t.head(l, "0"); h.Retired != 2 || h.Attempt != nil || h.N != 3 {
		t.Fatalf("head %+v", h)
	}
}

func testRelease(t ledgerTest) {
	a, b := t.worker("a"), t.worker("b")
	t.join(a)
	t.join(b)
	first := t.acquire(a, "0")
	t.commit(first, advance(first.Head(), orders0, 5))
	if err := first.Release(t.Context()); err != nil {
		t.Fatalf("Release: %v", err)
	}
	if h := t.head(b, "0"); h.Owner != "" || h.Epoch != 1 {
		t.Fatalf("head %+v", h)
	}
	_, err := first.Commit(t.Context(), advance(first.Head(), orders0, 5))
	t.is("Commit after Release", err, stream.ErrFenced)
	if h := t.acquire(b, "0").Head(); h.Epoch != 2 || h.Owner != "b" {
		t.Fatalf("head %+v", h)
	}
}

func (t ledgerTest) blob(l stream.Ledger, s stream.StateRef) string {
	t.Helper()
	r, err := l.Get(t.Context(), stream.BlobRef{Name: s.Base, SHA256: s.SHA256[0]})
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("Get: %v", err)
	}
	return string(b)
}

func testBlobs(t ledgerTest) {
	l := t.worker("a")
	t.join(l)
	lane := t.acquire(l, "0")
	ref, err := lane.Put(t.Context(), "dedupe.0", []byte("one"))
	if err != nil {
		t.Fatalf("Put: %v", err)
	}
	again, err := lane.Put(t.Context(), "dedupe.0", []byte("one"))
	if err != nil || again != ref {
		t.Fatalf("Put again: %v, %v; want %v", again, err, ref)
	}
	_, err = lane.Put(t.Context(), "dedupe.0", []byte("two"))
	t.is("Put of other bytes", err, stream.ErrFenced)
	if got := t.blob(l, stream.StateRef{Base: ref.Name, SHA256: []string{ref.SHA256}}); got != "one" {
		t.Fatalf("Get: %q", got)
	}
	r, err := l.Get(t.Context(), stream.BlobRef{Name: ref.Name, SHA256: strings.Repeat("0", 64)})
	if err == nil {
		_, err = io.ReadAll(r)
		_ = r.Close()
	}
	t.is("Get with another hash", err, stream.ErrLost)
	_, err = l.Get(t.Context(), stream.BlobRef{Name: ref.Name + "x"})
	t.is("Get of what is not there", err, stream.ErrLost)
}

func testUpdate(t ledgerTest) {
	var wg sync.WaitGroup
	var joints []stream.Pipeline
	for i := range 4 {
		joint := t.join(t.worker(fmt.Sprint("w", i)))
		joints = append(joints, joint)
		wg.Go(func() {
			for k := range 3 {
				name := fmt.Sprintf("s%d.%d", i, k)
				if err := joint.Update(t.Context(), func(s *stream.PipelineState) error {
					x := s.Tables["silver"]
					if !slices.Contains(x.Schemas, name) {
						x.Schemas = append(x.Schemas, name)
					}
					s.Tables["silver"] = x
					return nil
				}); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	refusal := fmt.Errorf("no: %w", stream.ErrPermanent)
	t.is("Update that refuses", joints[0].Update(t.Context(), func(*stream.PipelineState) error { return refusal }), refusal)
	got := joints[0].State().Tables["silver"].Schemas
	slices.Sort(got)
	if len(got) != 12 || len(slices.Compact(got)) != 12 {
		t.Fatalf("schemas %v, want 12", got)
	}
}

func testBeat(t ledgerTest) {
	a, b := t.join(t.worker("a")), t.join(t.worker("b"))
	ids := func(p stream.Pipeline, s stream.Session) string {
		live, err := p.Beat(t.Context(), s)
		if err != nil {
			t.Fatalf("Beat: %v", err)
		}
		var ids []string
		for _, s := range live {
			ids = append(ids, fmt.Sprint(s.ID, s.Sequence))
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	if got := ids(a, stream.Session{ID: "a", Sequence: 1}); got != "a1" {
		t.Fatalf("alone: %s", got)
	}
	if got := ids(b, stream.Session{ID: "b", Sequence: 1, Lanes: []stream.LaneID{"1"}}); got != "a1 b1" {
		t.Fatalf("both: %s", got)
	}
	if got := ids(a, stream.Session{ID: "a", Sequence: 2}); got != "a2 b1" {
		t.Fatalf("both: %s", got)
	}
}

// testUndecided: nobody answers, and the caller cannot wait.
func testUndecided(t ledgerTest) {
	l, faults := t.place.Worker(t.T, "a")
	t.join(l)
	lane := t.acquire(l, "0")
	faults.Unanswered()
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	_, err := lane.Commit(ctx, advance(lane.Head(), orders0, 5))
	t.is("Commit without an answer", err, stream.ErrUnknown)
	faults.Heal()
	_, err = lane.Commit(t.Context(), advance(lane.Head(), orders0, 6))
	t.is("the next Commit", err, stream.ErrUnknown)
	heir := t.acquire(l, "0")
	t.commit(heir, advance(heir.Head(), orders0, 5))
	t.history(l, "0")
}
