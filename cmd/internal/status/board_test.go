package status_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
)

func TestSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := status.NewBoard()
		start := time.Now()
		b.Set("orders", status.Waiting, "503 SlowDown", "")
		time.Sleep(time.Minute)
		b.Set("orders", status.Waiting, "connection refused", "look at the store")
		p := b.Pipelines()[0]
		if !p.Since.Equal(start) || p.Reason != "connection refused" || p.Next != "look at the store" {
			t.Errorf("got %+v, want since %s and the newest reason: the state is the same", p, start)
		}
		b.Set("orders", status.Running, "", "")
		if p = b.Pipelines()[0]; !p.Since.Equal(start.Add(time.Minute)) || p.Reason != "" || p.Next != "" {
			t.Errorf("got %+v, want since one minute later, and no reason", p)
		}
	})
}

func TestSetError(t *testing.T) {
	b := status.NewBoard()
	b.SetError("audit", status.Halted, fmt.Errorf("sink: %w", stream.WithNext(stream.ErrForeign, "choose another table")))
	p := b.Pipelines()[0]
	if p.State != status.Halted || !strings.HasPrefix(p.Reason, "sink: ") || p.Next != "choose another table" {
		t.Errorf("got %+v, want halted with the error's text and advice", p)
	}
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := status.NewBoard()
		var total int64
		report := func(n int, every time.Duration, records int64) {
			for range n {
				time.Sleep(every)
				total += records
				b.Report("orders", status.Progress{Records: total, Rows: total / 2})
			}
		}
		want := func(what string, records float64) {
			t.Helper()
			p := b.Pipelines()[0]
			if math.Abs(p.RecordsPerSecond-records) > 0.02*records || math.Abs(p.RowsPerSecond-records/2) > 0.02*records {
				t.Errorf("%s: got %.1f records/s and %.1f rows/s, want %.1f and half", what, p.RecordsPerSecond, p.RowsPerSecond, records)
			}
		}
		b.Set("orders", status.Running, "", "")
		want("before any report", 0)
		report(1, time.Second, 500)
		want("after one report", 0)
		report(30, time.Second, 1000)
		want("steady", 1000)
		report(30, time.Second, 100)
		want("slower", 100)
		report(3000, 10*time.Millisecond, 10)
		want("reported very often", 1000)
		time.Sleep(30 * time.Second)
		want("reports have ceased", 0)
		total = 0
		report(20, time.Second, 200)
		want("started anew, totals from zero", 200)
	})
}

func TestPipelinesAreCopies(t *testing.T) {
	b := status.NewBoard()
	b.Set("b", status.Running, "", "")
	b.Set("a", status.Running, "", "")
	b.Set("c", status.Running, "", "")
	b.Remove("c")
	got := b.Pipelines()
	got[0].Name = "changed"
	if again := b.Pipelines(); len(again) != 2 || again[0].Name != "a" || again[1].Name != "b" {
		t.Errorf("got %+v, want a and b", again)
	}
}

func TestUnready(t *testing.T) {
	b := status.NewBoard()
	want := func(lines ...string) {
		t.Helper()
		if got := b.Unready(); !slices.Equal(got, lines) {
			t.Errorf("got %q, want %q", got, lines)
		}
	}
	want("no pipeline has been started yet")
	b.Set("orders", status.Starting, "", "")
	want("orders: starting")
	b.Set("orders", status.Running, "", "")
	want()
	b.Set("once", status.Stopped, "", "") // has done its work
	want()
	b.Set("once", status.Stopped, "gave up", "")
	b.Set("audit", status.Halted, "kafka/audit/3: records\nwere deleted\x1b[31m", "accept the gap")
	b.Set("billing", status.Backoff, "no such bucket", "")
	b.Set("orders", status.Draining, "", "")
	want("audit: halted: kafka/audit/3: records were deleted [31m; next: accept the gap", "billing: backoff: no such bucket", "once: stopped: gave up", "orders: draining")
}

func TestOddNumbers(t *testing.T) {
	b := status.NewBoard()
	for _, odd := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		b.Report("orders", status.Progress{LagSeconds: odd})
		if _, err := json.Marshal(b.Pipelines()); err != nil || b.Pipelines()[0].LagSeconds != -1 {
			t.Errorf("a lag of %v: got %v, %v; want -1, unknown", odd, b.Pipelines()[0].LagSeconds, err)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	b := status.NewBoard()
	var wg sync.WaitGroup
	for i := range 8 {
		name := fmt.Sprint("p", i%3)
		wg.Go(func() {
			for n := range int64(200) {
				b.Set(name, status.States()[int(n)%len(status.States())], "r", "")
				b.Report(name, status.Progress{Records: n})
				b.Pipelines()
				b.Unready()
				b.Remove(name)
			}
		})
	}
	wg.Wait()
}
