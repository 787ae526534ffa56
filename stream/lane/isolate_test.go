package lane_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store/storetest"
)

// touchy is a decoder that does something when it meets a value.
type touchy struct {
	stream.Decoder
	at func(value []byte)
}

func (d touchy) Decode(raw *stream.RawBatch, from int, into *stream.Batch) (int, error) {
	for _, r := range raw.Records[from:] {
		d.at(r.Value)
	}
	return d.Decoder.Decode(raw, from, into)
}

// panicking is a step that panics at a row.
type panicking struct{ passing }

func (p *panicking) Apply(b *stream.Batch, emit stream.Emit) error {
	for _, i := range b.Sel {
		if id := b.Cols[0].I64[i]; id%700 == 13 {
			panic(fmt.Sprintf("row %d is too much", id))
		}
	}
	return p.passing.Apply(b, emit)
}

// brittle is a sink that panics when its files are closed over a row.
type brittle struct{ stream.Sink }

type brittleWriter struct {
	stream.TableWriter
	seen bool
}

func (s brittle) Begin(id stream.TxnID) stream.TableWriter {
	return &brittleWriter{TableWriter: s.Sink.Begin(id)}
}

func (w *brittleWriter) Write(ctx context.Context, b *stream.Batch) error {
	for _, i := range b.Sel {
		w.seen = w.seen || b.Cols[0].I64[i] == 77
	}
	return w.TableWriter.Write(ctx, b)
}

func (w *brittleWriter) Seal(ctx context.Context, footer map[string]string) ([]stream.File, error) {
	if w.seen {
		panic("row 77 cannot be written")
	}
	return w.TableWriter.Seal(ctx, footer)
}

func TestRecordsThatPanicAreDeadLetters(t *testing.T) {
	step := []lane.Step{{Name: "fragile", New: func() (stream.Step, error) { return &panicking{}, nil }}}
	for _, tc := range []struct {
		name string
		set  func(*world)
		bad  []int64
	}{
		{"in the decoder", func(w *world) {
			w.decoder = func(d stream.Decoder) stream.Decoder {
				return touchy{d, func(v []byte) {
					if bytes.Contains(v, []byte(`"id":501,`)) {
						panic("501 again")
					}
				}}
			}
		}, []int64{501}},
		{"in a step", func(w *world) { w.steps = step }, []int64{13, 713, 1413}},
		{"in a step behind a sink", func(w *world) { w.steps, w.second = step, 1 }, []int64{13, 713, 1413}},
		{"when files are closed", func(w *world) { w.wrap = func(s stream.Sink) stream.Sink { return brittle{s} } }, []int64{77}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, 2, 1500)
			tc.set(w)
			w.through(1)
			ids := w.ids()
			if len(ids) != 1500-len(tc.bad) || w.dead() != len(tc.bad) {
				t.Errorf("got %d rows and %d dead letters, want %d and %d", len(ids), w.dead(), 1500-len(tc.bad), len(tc.bad))
			}
			for _, b := range tc.bad {
				for _, id := range ids {
					if id == b {
						t.Errorf("row %d is in the table", b)
					}
				}
			}
			for _, code := range w.deadCodes() {
				if code != "panic" {
					t.Errorf("got code %q, want panic", code)
				}
			}
			if w.second > 0 && len(w.idsOf("other")) != 1500-len(tc.bad) {
				t.Errorf("the other table has %d rows, want %d", len(w.idsOf("other")), 1500-len(tc.bad))
			}
		})
	}
}

// TestARecordThatKillsTheProcessIsIsolated: every life ends where it meets the record, until one knows better.
func TestARecordThatKillsTheProcessIsIsolated(t *testing.T) {
	for _, tc := range []struct{ killer, chunk int }{{1234, 400}, {5, 3000}, {2999, 37}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			w := newWorld(t, 2, 3000)
			w.src.chunk = tc.chunk
			value := fmt.Appendf(nil, `"id":%d,`, tc.killer)
			lives := 0
			for over := false; !over; {
				if lives++; lives > 60 {
					t.Fatal("it is not isolated after 60 lives")
				}
				over = w.mortal(fmt.Sprintf("s%d", lives), value)
			}
			t.Logf("%d lives", lives)
			ids := w.ids()
			if len(ids) != 2999 || w.dead() != 1 {
				t.Fatalf("got %d rows and %d dead letters, want 2999 and 1", len(ids), w.dead())
			}
			if codes := w.deadCodes(); codes[0] != "crashed_process" {
				t.Errorf("got code %q", codes[0])
			}
			for i, id := range ids {
				want := int64(i)
				if i >= tc.killer {
					want++
				}
				if id != want {
					t.Fatalf("at place %d there is %d, want %d", i, id, want)
				}
			}
		})
	}
}

// mortal runs a life that ends when value is met: its stores answer nothing any more. It tells whether all was taken.
func (w *world) mortal(session string, value []byte) bool {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	l := w.stores()
	killed, buried := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w.decoder = func(d stream.Decoder) stream.Decoder {
		return touchy{d, func(v []byte) {
			if bytes.Contains(v, value) {
				once.Do(func() { crash(l); close(killed) })
				<-buried
			}
		}}
	}
	if err := w.join(ctx, l, session); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.worker.Run(ctx, 2*time.Second) }() // a life that ends well needs the time to publish
	defer func() {
		cancel()
		close(buried)
	}()
	select {
	case err := <-done:
		if err != nil {
			w.t.Fatal(err)
		}
		return true
	case <-killed:
		w.t.Cleanup(func() { <-done })
		return false
	}
}

// TestUncleanEndsAloneBlameNobody: a lane that is idle whenever its process is killed must not accuse what comes next.
func TestUncleanEndsAloneBlameNobody(t *testing.T) {
	w := newWorld(t, 1, 0)
	w.lanes, w.src.bounded = 1, false
	for i := range 8 {
		ctx, cancel := context.WithCancel(t.Context())
		l, err := w.begin(ctx, fmt.Sprintf("s%d", i))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.worker.Run(ctx, time.Millisecond) }()
		waitFor(t, func() bool { s := l.worker.Status().Lanes; return len(s) == 1 && s[0].State == "running" })
		crash(l)
		cancel()
		<-done
	}
	w.src.records, w.src.bounded = 500, true
	w.through(1)
	w.want(500)
	if n := w.dead(); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
}

// TestAPanicElsewhereIsAnErrorOfTheLane has a panic in the reader.
func TestAPanicElsewhereIsAnErrorOfTheLane(t *testing.T) {
	w := newWorld(t, 1, 300)
	w.lanes = 1
	var mu sync.Mutex
	n := 0
	w.src.trouble = func() error {
		mu.Lock()
		defer mu.Unlock()
		if n++; n == 3 {
			panic("the reader is broken")
		}
		return nil
	}
	var log bytes.Buffer
	w.log = logTo(&log)
	w.through(1)
	w.want(300)
	if !strings.Contains(log.String(), "the reader is broken") || !strings.Contains(log.String(), "goroutine") {
		t.Error("the log has no word of the panic, or no stack")
	}
}

// crash kills a life: nothing it asks is answered any more.
func crash(l *life) {
	for _, c := range []*storetest.FaultyClient{l.ledger, l.table} {
		c.Add(storetest.Fault{Crash: true})
	}
}

func logTo(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// deadCodes reads the codes of the dead letters.
func (w *world) deadCodes() (codes []string) {
	w.t.Helper()
	for _, f := range glob(w.t, filepath.Join(w.dir, "dead", "*.parquet")) {
		codes = append(codes, column(w.t, f, "code")...)
	}
	return codes
}

func column(t *testing.T, path, name string) (out []string) {
	t.Helper()
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Release()
	at := tab.Schema().FieldIndices(name)[0]
	for _, c := range tab.Column(at).Data().Chunks() {
		for i := range c.Len() {
			out = append(out, c.ValueStr(i))
		}
	}
	return out
}
