package lane_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store/storetest"
)

// slowLedger lets acquiring wait.
type slowLedger struct {
	stream.Ledger
	wait func(ctx context.Context) error
}

func (s slowLedger) Acquire(ctx context.Context, id stream.LaneID, h stream.Hint) (stream.Lane, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	return s.Ledger.Acquire(ctx, id, h)
}

// driven is a life whose assignment the test makes.
func (w *world) driven() (l *life, stop func() error) {
	w.src.bounded = false
	w.src.turns = make(chan stream.Change)
	return w.start("s")
}

// TestALaneThatIsBeingAcquiredIsGivenUpAtOnce: nothing is held, so there is nothing to wait for.
func TestALaneThatIsBeingAcquiredIsGivenUpAtOnce(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes = 1
	asked := make(chan struct{}, 1)
	w.wrapLedger = func(l stream.Ledger) stream.Ledger {
		return slowLedger{l, func(ctx context.Context) error {
			asked <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}}
	}
	_, stop := w.driven()
	w.src.turns <- stream.Change{Granted: w.src.grants(1)}
	<-asked
	begin := time.Now()
	w.src.turns <- stream.Change{Revoked: []stream.LaneID{"0"}}
	w.src.turns <- stream.Change{}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the revocation took %s", took)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestALostLaneHoldsNobodyUp: its runner may take a while to end, and the lane may even come back meanwhile.
func TestALostLaneHoldsNobodyUp(t *testing.T) {
	w := newWorld(t, 2, 600)
	stuck := make(chan struct{})
	var once sync.Once
	reached := make(chan struct{})
	w.hooks = &stream.Hooks{At: func(p stream.Point, id stream.LaneID) {
		if p == stream.W3 && id == "0" {
			once.Do(func() { close(reached); <-stuck }) // a call that does not return
		}
	}}
	l, stop := w.driven()
	g := w.src.grants(2)
	w.src.turns <- stream.Change{Granted: g}
	<-reached
	begin := time.Now()
	w.src.turns <- stream.Change{Lost: []stream.LaneID{"0"}}
	w.src.turns <- stream.Change{Granted: g[:1]}
	w.src.turns <- stream.Change{}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("losing a lane and getting it again took %s", took)
	}
	if n := len(l.worker.Status().Lanes); n != 2 {
		t.Errorf("%d lanes, want 2", n)
	}
	close(stuck)
	waitFor(t, func() bool { return len(w.ids()) == 600 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.want(600)
}

// TestARevocationThatTakesTooLongLetsGo: the group waits for half its timeout and not longer.
func TestARevocationThatTakesTooLongLetsGo(t *testing.T) {
	w := newWorld(t, 1, 300)
	w.lanes = 1
	w.tableFaults = []storetest.Fault{{Op: "part", Delay: time.Hour}}
	w.src.flush = 50 * time.Millisecond
	l, stop := w.driven()
	w.src.turns <- stream.Change{Granted: w.src.grants(1)}
	waitFor(t, func() bool { return l.table.Count("part") > 0 })
	begin := time.Now()
	w.src.turns <- stream.Change{Revoked: []stream.LaneID{"0"}}
	w.src.turns <- stream.Change{}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the revocation took %s", took)
	}
	l.table.Heal()
	w.src.turns <- stream.Change{Granted: w.src.grants(1)}
	waitFor(t, func() bool { return len(w.ids()) == 300 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.want(300)
}

func TestNewPartitionsOfALaneThatIsBeingAcquired(t *testing.T) {
	w := newWorld(t, 2, 200)
	w.lanes = 1
	gate, asked := make(chan struct{}), make(chan struct{}, 1)
	w.wrapLedger = func(l stream.Ledger) stream.Ledger {
		return slowLedger{l, func(ctx context.Context) error {
			asked <- struct{}{}
			select {
			case <-gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
	}
	w.src.partitions = 1 // when the pipeline is created
	w.src.records = 100
	_, stop := w.driven()
	w.src.turns <- stream.Change{Granted: w.src.grants(1)}
	<-asked
	w.src.partitions, w.src.records = 2, 200
	w.src.turns <- stream.Change{Added: []stream.Grant{{Lane: "0", Partitions: w.src.grants(1)[0].Partitions[1:]}}}
	close(gate)
	waitFor(t, func() bool { return len(w.ids()) == 200 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAReaderWithFaultsDoesNotCostTheTransaction: one broker that is away must not keep the lane from committing what others
// deliver, nor cost an epoch each time.
func TestAReaderWithFaultsDoesNotCostTheTransaction(t *testing.T) {
	w := newWorld(t, 1, 1000)
	w.lanes, w.src.bounded, w.commitEvery = 1, false, 20*time.Millisecond
	var n atomic.Int64
	w.src.trouble = func() error {
		if n.Add(1)%2 == 0 {
			return fmt.Errorf("broker 3 is away: %w", stream.ErrUnavailable)
		}
		return nil
	}
	l, stop := w.start("s")
	waitFor(t, func() bool {
		s := l.worker.Status().Lanes
		return len(s) == 1 && s[0].State == "waiting" && strings.Contains(s[0].Reason, "broker 3")
	})
	waitFor(t, func() bool { return len(w.ids()) == 1000 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	w.want(1000)
	if w.src.opened != 1 {
		t.Errorf("the reader was opened %d times, want once", w.src.opened)
	}
}

// TestAPartitionThatHaltedFailsABoundedRun: it was not read to its end.
func TestAPartitionThatHaltedFailsABoundedRun(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes = 1
	n := 0
	w.src.trouble = func() error {
		if n++; n == 2 {
			return &stream.PartitionError{Partition: w.src.id(0), Code: "truncated", Err: fmt.Errorf("the log ends before: %w", stream.ErrPermanent)}
		}
		return nil
	}
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Run(t.Context(), drain); err == nil || !strings.Contains(err.Error(), "the log ends before") {
		t.Errorf("got %v, want the partition's fault", err)
	}
}

// TestABoundedRunWaitsForLanesThatNobodyHas: their partitions' leaders may be away when the others are granted.
func TestABoundedRunWaitsForLanesThatNobodyHas(t *testing.T) {
	w := newWorld(t, 2, 100)
	w.expected = []stream.LaneID{"0", "1"}
	w.src.turns = make(chan stream.Change)
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.worker.Run(t.Context(), drain) }()
	g := w.src.grants(2)
	w.src.turns <- stream.Change{Granted: g[:1]}
	waitFor(t, func() bool { s := l.worker.Status().Lanes; return len(s) == 1 && s[0].State == "ended" })
	select {
	case err := <-done:
		t.Fatalf("it ended without lane 1: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.src.turns <- stream.Change{Granted: g[1:]}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	w.want(100)
}

func TestAFullStorePausesAndGoesOn(t *testing.T) {
	for _, op := range []string{"create", "part"} {
		w := newWorld(t, 1, 500)
		w.lanes, w.src.bounded = 1, false
		w.tableFaults = []storetest.Fault{{Op: op, Err: fmt.Errorf("disk: %w", stream.ErrFull)}}
		l, stop := w.start("s")
		waitFor(t, func() bool {
			s := l.worker.Status().Lanes
			return len(s) == 1 && s[0].State == "waiting" && strings.Contains(s[0].Reason, "no space left")
		})
		l.table.Heal()
		waitFor(t, func() bool { return len(w.ids()) == 500 })
		if s := l.worker.Status().Lanes[0]; s.State != "running" || s.Reason != "" {
			t.Errorf("got %+v after there was room", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.want(500)
	}
}

// vanishing has uploads that are gone when they are verified.
type vanishing struct {
	stream.Sink
	times *atomic.Int64
}

type vanishingWriter struct {
	stream.TableWriter
	times *atomic.Int64
}

func (v vanishing) Begin(id stream.TxnID) stream.TableWriter {
	return vanishingWriter{v.Sink.Begin(id), v.times}
}

func (v vanishingWriter) Seal(ctx context.Context, footer map[string]string) ([]stream.File, error) {
	if v.times.Add(-1) >= 0 {
		return nil, fmt.Errorf("verify: %w", stream.ErrNoUpload)
	}
	return v.TableWriter.Seal(ctx, footer)
}

func TestUploadsThatAreGoneBeforeTheCommitAreReadAgain(t *testing.T) {
	w := newWorld(t, 1, 300)
	w.lanes = 1
	var times atomic.Int64
	times.Store(2)
	w.wrap = func(s stream.Sink) stream.Sink { return vanishing{s, &times} }
	w.through(1)
	w.want(300)
}

// TestALaneThatAPersonMendedGoesOnByItself: a permission is granted; nobody restarts anything.
func TestALaneThatAPersonMendedGoesOnByItself(t *testing.T) {
	w := newWorld(t, 1, 200)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.lanes, w.src.bounded = 1, false
		w.tableFaults = []storetest.Fault{{Op: "create", Err: storetest.Status(403)}}
		l, stop := w.start("s")
		time.Sleep(10 * time.Second)
		if s := l.worker.Status().Lanes[0]; s.State != "halted" || !strings.Contains(s.Reason, "permission denied") {
			t.Errorf("got %+v, want it halted for a permission", s)
		}
		l.table.Heal()
		time.Sleep(time.Minute)
		if s := l.worker.Status().Lanes[0]; s.State != "running" {
			t.Errorf("got %+v a minute after the permission was granted", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	w.t = t
	w.want(200)
}

// TestPublishingThatFailsForHoursCostsNothing: it is tried at a bounded pace, and the lane rests.
func TestPublishingThatFailsForHoursCostsNothing(t *testing.T) {
	w := newWorld(t, 1, 5000)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.lanes, w.maxPending, w.src.bounded, w.commitEvery = 1, 3, false, time.Second
		w.retry = lane.Retry{Initial: 500 * time.Millisecond, Max: 30 * time.Second}
		w.src.pace = 300 * time.Millisecond
		w.tableFaults = []storetest.Fault{{Op: "complete"}}
		l, stop := w.start("s")
		time.Sleep(5 * time.Hour)
		if s := l.worker.Status().Lanes[0]; s.Pending != 3 || s.State != "waiting" {
			t.Errorf("got %+v, want 3 pending and waiting", s)
		}
		if n := l.table.Count("complete"); n < 500 || n > 5*130*9 {
			t.Errorf("publishing was tried %d times in 5 hours", n)
		}
		reads := w.src.reads.Load()
		time.Sleep(time.Hour)
		if n := w.src.reads.Load() - reads; n > 1 {
			t.Errorf("a lane that waits has read %d times", n)
		}
		l.table.Heal()
		time.Sleep(2 * time.Minute)
		if n := len(w.ids()); n < 1000 {
			t.Errorf("two minutes after the store was back the table has %d rows", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestTooManyDeadLettersHaltEveryLane: above the ratio the pipeline halts, not only the lane that saw it.
func TestTooManyDeadLettersHaltEveryLane(t *testing.T) {
	w := newWorld(t, 2, 4000)
	w.src.bounded, w.maxRatio, w.src.chunk = false, 0.05, 500
	for i := 0; i < 2000; i += 2 { // all of them in lane 0
		w.src.bad[i] = "nonsense"
	}
	l, stop := w.start("s")
	waitFor(t, func() bool { return len(l.worker.Status().Lanes) == 2 && l.worker.Status().Lanes[0].State == "halted" })
	w.src.grow(5000)
	waitFor(t, func() bool {
		s := l.worker.Status().Lanes[1]
		return s.State == "halted" && strings.Contains(s.Reason, "max_ratio") && s.Next != ""
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestNothingIsLeftBehind counts goroutines after lives that ended in all kinds of ways.
func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 12 {
		w := newWorld(t, 2, 400)
		w.src.bounded = i%2 == 0
		if i%3 == 0 {
			w.tableFaults = []storetest.Fault{{Nth: i}, {Op: "complete", Nth: i + 1}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		l, err := w.begin(ctx, "s")
		if err == nil {
			done := make(chan error, 1)
			go func() { done <- l.worker.Run(ctx, time.Second) }()
			time.Sleep(time.Duration(i) * 3 * time.Millisecond)
			cancel()
			<-done
		}
		cancel()
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			var b bytes.Buffer
			buf := make([]byte, 1<<20)
			b.Write(buf[:runtime.Stack(buf, true)])
			t.Fatalf("%d goroutines before and %d after:\n%s", before, runtime.NumGoroutine(), b.String())
		}
	}
}

// TestFooterOfAnOpenTransaction: a file that is closed early tells what was read so far.
func TestFooterOfAnOpenTransaction(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes, w.src.chunk, w.commitEvery = 1, 100, time.Hour
	var l *life
	var got map[string]string
	w.wrap = func(s stream.Sink) stream.Sink { return asking{s, func(id stream.TxnID) { got = l.worker.Footer(id) }} }
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Run(t.Context(), drain); err != nil {
		t.Fatal(err)
	}
	if got["millrace.pipeline"] != "p" || !strings.Contains(got["millrace.ranges"], `"to":"100"`) || !strings.HasSuffix(got["millrace.transaction"], "-0-1-1") {
		t.Errorf("got %v", got)
	}
	if f := l.worker.Footer(stream.TxnID{Lane: "0", N: 1}); f != nil {
		t.Errorf("got %v for a transaction that is not open", f)
	}
}

type asking struct {
	stream.Sink
	ask func(stream.TxnID)
}

type askingWriter struct {
	stream.TableWriter
	ask func()
}

func (a asking) Begin(id stream.TxnID) stream.TableWriter {
	return askingWriter{a.Sink.Begin(id), func() { a.ask(id) }}
}

func (a askingWriter) Write(ctx context.Context, b *stream.Batch) error {
	a.ask()
	return a.TableWriter.Write(ctx, b)
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, 2, 500)
	reg := prometheus.NewPedanticRegistry()
	w.metrics = lane.NewMetrics(reg)
	w.src.bad[3] = "nonsense"
	w.steps = []lane.Step{{Name: "pass", New: func() (stream.Step, error) { return &passing{}, nil }}}
	w.through(1)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, name := range []string{
		"millrace_source_skipped_records_total", "millrace_dead_letter_records_total", "millrace_step_records_total",
		"millrace_step_duration_seconds", "millrace_step_busy_seconds_total", "millrace_commits_total", "millrace_commit_duration_seconds",
		"millrace_last_commit_timestamp_seconds", "millrace_end_to_end_latency_seconds", "millrace_conservation_imbalance_records",
	} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n == 0 {
			t.Errorf("%s: %d series, %v", name, n, err)
		}
	}
	if n := testutil.ToFloat64(w.metrics.StepRecords.WithLabelValues("pass", "in")); n != 499 {
		t.Errorf("%v rows went into the step, want 499", n)
	}
}

// TestALaneWhoseLedgerHangsSaysSo: such calls are repeated without an end, and without an error.
func TestALaneWhoseLedgerHangsSaysSo(t *testing.T) {
	w := newWorld(t, 1, 200)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.lanes, w.src.bounded, w.src.pace = 1, false, time.Second
		l, stop := w.start("s")
		time.Sleep(10 * time.Second)
		l.ledger.Add(storetest.Fault{Op: "put", Err: fmt.Errorf("disk: %w", stream.ErrFull)})
		w.src.grow(400)
		time.Sleep(time.Minute)
		if s := l.worker.Status().Lanes[0]; s.State != "waiting" || !strings.Contains(s.Reason, "a commit has been under way") || s.Next == "" {
			t.Errorf("got %+v", s)
		}
		l.ledger.Heal()
		time.Sleep(time.Minute)
		if s := l.worker.Status().Lanes[0]; s.State != "running" || s.Reason != "" {
			t.Errorf("got %+v after the ledger was back", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	w.t = t
	w.want(400)
}

// TestWhatIsPublishedIsRetiredInTheHead: with the next commit, or alone when there is none for a while.
func TestWhatIsPublishedIsRetiredInTheHead(t *testing.T) {
	w := newWorld(t, 1, 100)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.lanes, w.src.bounded, w.src.chunk, w.commitEvery = 1, false, 100, time.Second
		var mu sync.Mutex
		n := 0
		w.hooks = &stream.Hooks{At: func(p stream.Point, _ stream.LaneID) {
			if p == stream.W9 {
				mu.Lock()
				n++
				mu.Unlock()
			}
		}}
		reached := func() int {
			mu.Lock()
			defer mu.Unlock()
			return n
		}
		_, stop := w.start("s")
		time.Sleep(4 * time.Second)
		if got := reached(); got != 0 {
			t.Errorf("W9 was reached %d times before it was quiet", got)
		}
		time.Sleep(4 * time.Second)
		if got := reached(); got != 1 {
			t.Errorf("W9 was reached %d times when it was quiet, want once", got)
		}
		w.src.grow(200)
		time.Sleep(1500 * time.Millisecond)
		w.src.grow(300)
		time.Sleep(1500 * time.Millisecond)
		if got := reached(); got != 2 {
			t.Errorf("W9 was reached %d times, want it to ride in the second commit", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	w.t = t
	w.want(300)
}

// TestGiantRecordsLeaveNoMemoryBehind: the buffers of a batch grow with its records, in every part of the chain.
func TestGiantRecordsLeaveNoMemoryBehind(t *testing.T) {
	w := newWorld(t, 1, 60)
	w.lanes, w.src.chunk = 1, 20
	for i := range 20 { // no folder can have such a name, so that they are dead letters
		w.src.bad[i] = fmt.Sprintf(`{"id":%d,"day":%q}`, i, strings.Repeat("x", 1<<20))
	}
	seen := map[*stream.Batch]bool{}
	w.decoder = func(d stream.Decoder) stream.Decoder {
		return watching{d, func(b *stream.Batch) { seen[b] = true }}
	}
	w.through(1)
	if n := len(w.ids()); n != 40 || w.dead() != 20 {
		t.Errorf("got %d rows and %d dead letters, want 40 and 20", n, w.dead())
	}
	if len(seen) != 2 {
		t.Errorf("the lane had %d batches, want a new one after the giant one", len(seen))
	}
}

// watching is a decoder that tells of the batches that it fills.
type watching struct {
	stream.Decoder
	at func(*stream.Batch)
}

func (d watching) Decode(raw *stream.RawBatch, from int, into *stream.Batch) (int, error) {
	d.at(into)
	return d.Decoder.Decode(raw, from, into)
}
