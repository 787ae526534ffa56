package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
)

// broker is a cluster with a topic of n records.
func broker(t *testing.T, n int) (address string) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DisableClientMetrics())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range n {
		r := &kgo.Record{Topic: "t", Partition: int32(i % 2), Value: fmt.Appendf(nil, `{"id":%d}`, i)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return c.ListenAddrs()[0]
}

func pipeline(t *testing.T, dir, name, address string) *config.Pipeline {
	t.Helper()
	text := fmt.Sprintf(`version: 1
name: %s
source:
  kafka: {brokers: %s, topics: [t]}
  decode: json
  schema: {id: int64!}
steps:
  - set: {twice: id * 2}
sinks:
  - name: out
    parquet: {location: %s/}
delivery: {commit_every: 1s, ledger: %s/}
retry: {initial: 100ms, max: 200ms}
`, name, address, filepath.Join(dir, name, "table"), filepath.Join(dir, name, "ledger"))
	c, faults := config.LoadText(name+".yaml", []byte(text), daemon.Components(), config.Options{Dir: dir})
	if faults.Errors() > 0 || c == nil {
		t.Fatal(faults)
	}
	return c
}

// claimed makes a pipeline's table another ledger's.
func claimed(t *testing.T, dir, name string) (free func()) {
	t.Helper()
	table := filepath.Join(dir, name, "table")
	if err := os.MkdirAll(table, 0o750); err != nil {
		t.Fatal(err)
	}
	claim := filepath.Join(table, "_millrace.json")
	if err := os.WriteFile(claim, []byte(`{"format":1,"pipeline":"other","incarnation":"ffff","ledger":"elsewhere"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(claim); err != nil {
			t.Error(err)
		}
	}
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// TestOnePipelineThatFailsDoesNotDisturbTheOthers: it is told of, tried again and again, and runs as soon as it can.
func TestOnePipelineThatFailsDoesNotDisturbTheOthers(t *testing.T) {
	dir, address := t.TempDir(), broker(t, 200)
	free := claimed(t, dir, "bad")
	reg := prometheus.NewPedanticRegistry()
	d := daemon.New(daemon.Settings{Session: "s", Drain: 10 * time.Second, Memory: 256 << 20}, reg,
		[]*config.Pipeline{pipeline(t, dir, "bad", address), pipeline(t, dir, "good", address)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	until(t, func() bool { s := d.Status(); return s[1].Totals.Rows == 200 && s[0].Err != nil })
	bad := d.Status()[0]
	if state, reason, _ := bad.Say(false); state != status.Halted || !strings.Contains(reason, "_millrace.json") && !strings.Contains(reason, "somebody else") {
		t.Errorf("got %s: %s", state, reason)
	}
	for range 3 { // a few tries more: each registers its metrics anew
		since := d.Status()[0].Since
		until(t, func() bool { return d.Status()[0].Since.After(since) })
	}
	free()
	until(t, func() bool { return d.Status()[0].Totals.Rows == 200 })
	if _, err := testutil.GatherAndLint(reg); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWhyNoPipelineCouldStart names all of them, and has the class of what to look at first.
func TestWhyNoPipelineCouldStart(t *testing.T) {
	dir := t.TempDir()
	claimed(t, dir, "claimed")
	d := daemon.New(daemon.Settings{Session: "s", Drain: time.Second, Memory: 256 << 20}, prometheus.NewRegistry(),
		[]*config.Pipeline{pipeline(t, dir, "away", "127.0.0.1:1"), pipeline(t, dir, "claimed", broker(t, 1))})
	err := d.Run(t.Context())
	if !errors.Is(err, stream.ErrForeign) || !strings.Contains(err.Error(), "away: ") || !strings.Contains(err.Error(), "claimed: ") {
		t.Errorf("got %v", err)
	}
	d = daemon.New(daemon.Settings{Session: "s", Drain: time.Second, Memory: 256 << 20}, prometheus.NewRegistry(),
		[]*config.Pipeline{pipeline(t, dir, "away", "127.0.0.1:1")})
	if err := d.Run(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v, want it unavailable", err)
	}
}

func TestOnceEndsWhenAllIsTaken(t *testing.T) {
	dir, address := t.TempDir(), broker(t, 300)
	var rows int64
	for range 2 {
		d := daemon.New(daemon.Settings{Session: "s", Once: true, Drain: 10 * time.Second, Memory: 256 << 20}, prometheus.NewRegistry(),
			[]*config.Pipeline{pipeline(t, dir, "a", address), pipeline(t, dir, "b", address)})
		if err := d.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, s := range d.Status() {
			rows += s.Totals.Rows
		}
	}
	if rows != 600 {
		t.Errorf("got %d rows, want 300 of each", rows)
	}
}
