//go:build integration

package e2e

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/real"
)

// demoTable is what DuckDB finds in the lake of a demo.
type demoTable struct {
	Rows, Distinct int64
	Sum            string
	At             [][2]int64 // partition and offset
}

func readDemo(t testing.TB, dir string) demoTable {
	t.Helper()
	out := real.RunPython(t, `
import duckdb, json, sys
t = f"read_parquet('{sys.argv[1]}/lake/orders/*/*.parquet', hive_partitioning=true)"
r, d, s = duckdb.sql(f"SELECT count(*), count(DISTINCT (_partition, _offset)), sum(amount)::VARCHAR FROM {t}").fetchall()[0]
print(json.dumps({"Rows": r, "Distinct": d, "Sum": s, "At": duckdb.sql(f"SELECT _partition, _offset FROM {t}").fetchall()}))
`, dir)
	var d demoTable
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return d
}

// exact compares the table with what the generator has made: records 0 to n, whatever life made them.
func (d demoTable) exact(t testing.TB, n int64) {
	t.Helper()
	want := generate.Orders(generate.Demo()).Totals(0, n)
	if d.Rows != want.Rows || d.Distinct != want.Rows || d.Sum != money(want.Cents) {
		t.Errorf("the table has %d rows, %d distinct, sum %s; want %d, %s", d.Rows, d.Distinct, d.Sum, want.Rows, money(want.Cents))
	}
}

func TestTheDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"demo", "--dir", dir, "--port", "0", "--records", "60000"}
	for i := int64(1); i <= 2; i++ { // the second goes on where the first has stopped
		code, d := run(t, 2*time.Minute, nil, args...)
		if code != 0 {
			t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 3000))
		}
		for _, want := range []string{"order_date=", "/metrics"} {
			if !strings.Contains(d.stdout()+d.stderr(), want) {
				t.Errorf("run %d says nothing of %q:\n%s%s", i, want, d.stdout(), d.stderr())
			}
		}
		readDemo(t, dir).exact(t, i*60_000)
	}
}

// TestTheDemoIsKilled: kill -9, and again, as it tells people to try.
func TestTheDemoIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"demo", "--dir", dir, "--port", "0", "--rate", "20000"}
	for range 2 {
		d := start(t, nil, args...)
		until(t, time.Minute, "two commits", func() bool { return d.metric("millrace_commits_total", `result="committed"`) >= 2 })
		d.signal(syscall.SIGKILL)
		<-d.done
	}
	code, d := run(t, 2*time.Minute, nil, append(args, "--records", "20000")...)
	if code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 3000))
	}
	want, got := rowsInBroker(t, dir), readDemo(t, dir)
	if got.Rows != int64(len(want)) || got.Distinct != got.Rows {
		t.Errorf("the table has %d rows, %d distinct; the broker holds %d that belong there", got.Rows, got.Distinct, len(want))
	}
	missing := maps.Clone(want)
	for _, at := range got.At {
		if !want[at] {
			t.Errorf("a row of partition and offset %v, which does not belong there", at)
		}
		delete(missing, at)
	}
	if len(missing) > 0 {
		t.Errorf("%d rows are missing", len(missing))
	}
	t.Logf("%d rows", got.Rows)
}

// rowsInBroker reads everything that a demo's broker has on disk: partition and offset of each record that belongs in the table.
// What the generators had made when they were killed, and what of it arrived, only the broker knows.
func rowsInBroker(t testing.TB, dir string) map[[2]int64]bool {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID("millrace-demo"), kfake.DataDir(filepath.Join(dir, "broker")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cl := client(t, c.ListenAddrs()[0], kgo.ConsumeTopics("orders"))
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	gen, rows := generate.Orders(generate.Demo()), map[[2]int64]bool{}
	for left > 0 {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			left--
			const mark = `"ord-`
			at := strings.Index(string(r.Value), mark)
			if at < 0 {
				return // no order_id: a dead letter
			}
			seq, err := strconv.ParseInt(string(r.Value[at+len(mark):][:12]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if gen.Expect(seq).Fate == generate.Row {
				rows[[2]int64{int64(r.Partition), r.Offset}] = true
			}
		})
	}
	return rows
}
