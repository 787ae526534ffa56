package streamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
)

// Place is where one ledger lives. Any number of workers open it.
type Place interface {
	// Worker opens the ledger as another worker does, with its own session. The outside calls of that worker alone fail as
	// the faults say. It repeats fast, as the test waits for it.
	Worker(t *testing.T, session string) (stream.Ledger, Faults)
}

// Faults makes outside calls of one worker fail. Calls are counted from 1, from the last Heal on.
type Faults interface {
	// Lose loses call k: with after, the store has done it and only the answer is lost.
	Lose(k int, after bool)
	// Crash makes call k and every later one fail, and calls died. With after, the store has done call k.
	Crash(k int, after bool, died func())
	// Before runs f when the n-th write of a lane's head is about to be sent.
	Before(n int, f func())
	// Unanswered loses every answer about a lane's head, though writes of it are done.
	Unanswered()
	// Calls is the number of calls so far.
	Calls() int
	// Heal ends all faults.
	Heal()
}

// TestLedger checks a ledger against its contract. fresh makes an empty place.
func TestLedger(t *testing.T, fresh func(t *testing.T) Place) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(ledgerTest)
	}{
		{"create and open", testJoin},
		{"plans", testPlans},
		{"foreign", testForeignPlans},
		{"joined by many at once", testJoinRace},
		{"commit", testCommit},
		{"broken transactions", testBroken},
		{"fenced", testFenced},
		{"zombie", testZombie},
		{"marks", testMarks},
		{"release", testRelease},
		{"blobs", testBlobs},
		{"update", testUpdate},
		{"beat", testBeat},
		{"undecided", testUndecided},
		{"answers lost at every call", testLost},
		{"crash at every call", testCrash},
		{"two ledgers race", testRace},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(ledgerTest{t, fresh(t), fresh}) })
	}
}

type ledgerTest struct {
	*testing.T
	place Place
	fresh func(t *testing.T) Place
}

// anew is the same test at another, empty place.
func (t ledgerTest) anew() ledgerTest {
	t.place = t.fresh(t.T)
	return t
}

// ledgerPlan is the plan of all cases: two lanes, three partitions, two of them in lane 0.
func ledgerPlan() (stream.Plan, []stream.Start) {
	p := stream.Plan{
		Pipeline: "orders", Hash: "h1", Lanes: 2, Source: "kafka c1",
		Tables: []stream.TableRef{{Name: "silver", Location: "/lake/silver/"}},
	}
	var starts []stream.Start
	for i := range 3 {
		id := stream.PartitionID("kafka/orders/" + strconv.Itoa(i))
		starts = append(starts, stream.Start{
			ID: id, Slot: uint32(i),
			Bookmark: stream.Bookmark{Partition: id, Position: stream.Position(strconv.Itoa(100 * i)), TopicID: "t", LeaderEpoch: -1},
		})
	}
	return p, starts
}

func (t ledgerTest) worker(session string) stream.Ledger {
	t.Helper()
	l, _ := t.place.Worker(t.T, session)
	return l
}

func (t ledgerTest) join(l stream.Ledger) stream.Pipeline {
	t.Helper()
	p, starts := ledgerPlan()
	joint, err := l.Join(t.Context(), p, starts)
	if err != nil {
		t.Fatalf("Join: %v", err)
	}
	return joint
}

func (t ledgerTest) acquire(l stream.Ledger, id stream.LaneID) stream.Lane {
	t.Helper()
	lane, err := l.Acquire(t.Context(), id, stream.Hint{})
	if err != nil {
		t.Fatalf("Acquire %s: %v", id, err)
	}
	return lane
}

func (t ledgerTest) commit(lane stream.Lane, txn stream.Txn) stream.Manifest {
	t.Helper()
	m, err := lane.Commit(t.Context(), txn)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return m
}

func (t ledgerTest) head(l stream.Ledger, id stream.LaneID) stream.Head {
	t.Helper()
	heads, err := l.Heads(t.Context(), []stream.LaneID{id})
	if err != nil {
		t.Fatalf("Heads: %v", err)
	}
	return heads[0]
}

// history reads all manifests and checks that the ranges of each partition tile from where the pipeline began.
func (t ledgerTest) history(l stream.Ledger, id stream.LaneID) []stream.Manifest {
	t.Helper()
	_, starts := ledgerPlan()
	at := map[stream.PartitionID]stream.Position{}
	for _, s := range starts {
		at[s.ID] = s.Position
	}
	var all []stream.Manifest
	for m, err := range l.History(t.Context(), id, 1) {
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		if m.N != uint64(len(all)+1) {
			t.Fatalf("History: number %d after %d manifests", m.N, len(all))
		}
		for _, r := range m.Ranges {
			if from, ok := at[r.Partition]; ok && from != r.From {
				t.Fatalf("History: %s of %s starts at %s, want %s", m.ID(), r.Partition, r.From, from)
			}
			at[r.Partition] = r.To
		}
		all = append(all, m)
	}
	for p, b := range t.head(l, id).Partitions {
		if at[p] != b.Position {
			t.Fatalf("the head has %s at %s, and the manifests end at %s", p, b.Position, at[p])
		}
	}
	return all
}

func (t ledgerTest) is(what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want %v", what, err, want)
	}
}

// advance is a transaction that reads by records from a partition, from where the head stands.
func advance(h stream.Head, p stream.PartitionID, by int) stream.Txn {
	b := h.Partitions[p]
	b.Partition = p
	from := b.Position
	at, err := strconv.Atoi(string(from))
	if err != nil {
		panic("streamtest: position " + from)
	}
	b.Position = stream.Position(strconv.Itoa(at + by))
	return stream.Txn{
		Time:      stream.Micros(h.N + 1),
		Ranges:    []stream.Range{{Partition: p, Generation: b.Generation, From: from, To: b.Position, LeaderEpoch: b.LeaderEpoch, Records: int64(by)}},
		Bookmarks: []stream.Bookmark{b},
		Counts:    stream.Counts{Records: int64(by), Rows: map[string]int64{"silver": int64(by)}},
	}
}

// withFile adds a file of table silver, whose key carries the transaction's id.
func withFile(t stream.Txn, id stream.TxnID) stream.Txn {
	p, _ := ledgerPlan()
	key := id.String() + "-0.parquet"
	t.Tables = map[string]stream.TableRef{"silver": p.Tables[0]}
	t.Files = []stream.File{{Table: "silver", Key: key, Bytes: 10, Rows: 5, Upload: stream.StagedRef{Key: key, UploadID: "u", Bytes: 10, Txn: id.String()}}}
	return t
}

const orders0 = stream.PartitionID("kafka/orders/0")

// story is what the fault cases run: join, take lane 0, and bring it to three commits, each of ten records, with a blob and a
// mark on the way. It goes on from wherever the ledger stands.
func story(ctx context.Context, l stream.Ledger) error {
	p, starts := ledgerPlan()
	if _, err := l.Join(ctx, p, starts); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	lane, err := l.Acquire(ctx, "0", stream.Hint{})
	if err != nil {
		return fmt.Errorf("acquire: %w", err)
	}
	for h := lane.Head(); h.N < 3; h = lane.Head() {
		txn := advance(h, orders0, 10)
		ref, err := lane.Put(ctx, "seen.0", []byte(fmt.Sprintf("state of %d", h.N+1)))
		if err != nil {
			return fmt.Errorf("put: %w", err)
		}
		txn.State = map[string]stream.StateRef{"seen": {Base: ref.Name, SHA256: []string{ref.SHA256}}}
		txn.Retired = h.N
		if _, err := lane.Commit(ctx, txn); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	if err := lane.Mark(ctx, stream.Mark{Retired: 3}); err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if err := lane.Release(ctx); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// told checks that the story was told whole, and once.
func (t ledgerTest) told(l stream.Ledger) {
	t.Helper()
	h := t.head(l, "0")
	if h.N != 3 || h.Retired != 3 || h.Owner != "" || h.Partitions[orders0].Position != "30" {
		t.Fatalf("head: n %d, retired %d, owner %q, position %s; want 3, 3, none, 30", h.N, h.Retired, h.Owner, h.Partitions[orders0].Position)
	}
	if all := t.history(l, "0"); len(all) != 3 {
		t.Fatalf("%d manifests, want 3", len(all))
	}
	if got := t.blob(l, h.State["seen"]); got != "state of 3" {
		t.Fatalf("state is %q", got)
	}
}

// short is how long a call may take that cannot succeed.
const short = 200 * time.Millisecond

func next(lane stream.Lane) stream.TxnID {
	h := lane.Head()
	return h.Next()
}

func lanes(heads []stream.Head) []stream.LaneID {
	var ids []stream.LaneID
	for _, h := range heads {
		ids = append(ids, h.Lane)
	}
	slices.Sort(ids)
	return ids
}
