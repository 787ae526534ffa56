package lane_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
)

// passing is a step that hands on what it gets.
type passing struct{}

func (p *passing) Ports() []stream.Port { return []stream.Port{{Schema: schema()}} }

func (p *passing) Apply(b *stream.Batch, emit stream.Emit) error {
	out := *b
	out.Sel = slices.Clone(b.Sel)
	return emit(0, &out)
}

// TestWhatOneSinkRejectsTheOthersKeep: the table has a partition whose folder cannot be named; the other table and the steps
// behind it take the row nonetheless, and there is one dead letter of it.
func TestWhatOneSinkRejectsTheOthersKeep(t *testing.T) {
	for _, second := range []int{1, 2} { // before the table's sink, at the same place as it
		w := newWorld(t, 1, 100)
		w.lanes, w.second = 1, second
		w.steps = []lane.Step{{Name: "pass", New: func() (stream.Step, error) { return &passing{}, nil }}}
		w.src.bad[7] = fmt.Sprintf(`{"id":7,"day":%q}`, strings.Repeat("x", 3000))
		w.through(1)
		if n := len(w.ids()); n != 99 {
			t.Errorf("the table has %d rows, want 99", n)
		}
		if n := len(w.idsOf("other")); n != 100 {
			t.Errorf("the other table has %d rows, want 100", n)
		}
		if n := w.dead(); n != 1 {
			t.Errorf("got %d dead letters, want 1", n)
		}
	}
}

// rejecting is a sink that rejects one row of each batch.
type rejecting struct{ stream.Sink }

type rejectingWriter struct{ stream.TableWriter }

func (r rejecting) Begin(id stream.TxnID) stream.TableWriter {
	return rejectingWriter{r.Sink.Begin(id)}
}

func (r rejectingWriter) Write(ctx context.Context, b *stream.Batch) error {
	b.Reject(b.Sel[0], "sink", "", "test", "for the test")
	b.Sel = slices.Clone(b.Sel[1:])
	return r.TableWriter.Write(ctx, b)
}

// TestARecordThatTwoSinksRejectIsOneDeadLetter also has a step behind the sinks, which must see every row.
func TestARecordThatTwoSinksRejectIsOneDeadLetter(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes, w.src.chunk = 1, 100
	w.sinksOf = func(out, other stream.Sink) []lane.Sink {
		return []lane.Sink{{Sink: rejecting{out}}, {Sink: rejecting{other}}, {Sink: renamed{other}, After: 1}}
	}
	w.steps = []lane.Step{{Name: "pass", New: func() (stream.Step, error) { return &passing{}, nil }}}
	w.through(1)
	if n := w.dead(); n != 1 {
		t.Errorf("got %d dead letters, want 1", n)
	}
	if a, b := len(w.ids()), len(w.idsOf("other")); a != 99 || b != 199 {
		t.Errorf("got %d and %d rows, want 99 and 99 + 100", a, b)
	}
}

// renamed is the same table under another name, so that its files have other names.
type renamed struct{ stream.Sink }

func (r renamed) Begin(id stream.TxnID) stream.TableWriter {
	id.Incarnation += "x"
	return r.Sink.Begin(id)
}

// losing is a sink that loses a row.
type losing struct{ stream.Sink }

type losingWriter struct{ stream.TableWriter }

func (l losing) Begin(id stream.TxnID) stream.TableWriter { return losingWriter{l.Sink.Begin(id)} }

func (l losingWriter) Write(ctx context.Context, b *stream.Batch) error {
	out := *b
	out.Sel = slices.Clone(b.Sel[1:])
	return l.TableWriter.Write(ctx, &out)
}

func TestARowThatASinkLosesIsNoticedAndNotCommitted(t *testing.T) {
	w := newWorld(t, 1, 100)
	w.lanes, w.src.chunk = 1, 100
	w.wrap = func(s stream.Sink) stream.Sink { return losing{s} }
	reg := prometheus.NewRegistry()
	w.metrics = lane.NewMetrics(reg)
	l, err := w.begin(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.worker.Run(t.Context(), drain); !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" {
		t.Errorf("got %v, want a permanent error with advice", err)
	}
	if n := testutil.ToFloat64(w.metrics.Imbalance); n != 1 {
		t.Errorf("the imbalance is %v records, want 1", n)
	}
	if len(l.commits) != 0 || len(w.ids()) != 0 {
		t.Error("a transaction that does not balance was committed")
	}
}

// dead counts the dead letters that a reader sees.
func (w *world) dead() (n int) {
	w.t.Helper()
	for _, f := range glob(w.t, filepath.Join(w.dir, "dead", "*.parquet")) {
		n += rowsOf(w.t, f)
	}
	return n
}
