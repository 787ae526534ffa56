//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/real"
)

// demoTable is what DuckDB finds in the lake of a demo.
type demoTable struct {
	Rows, Distinct int64
	Sum            string
	Next           []int64 // behind the highest offset, by partition
}

func readDemo(t testing.TB, dir string) demoTable {
	t.Helper()
	out := real.RunPython(t, `
import duckdb, json, sys
t = f"read_parquet('{sys.argv[1]}/lake/orders/*/*.parquet', hive_partitioning=true)"
r, d, s = duckdb.sql(f"SELECT count(*), count(DISTINCT (_partition, _offset)), sum(amount)::VARCHAR FROM {t}").fetchall()[0]
n = [x[0] for x in duckdb.sql(f"SELECT max(_offset) + 1 FROM {t} GROUP BY _partition ORDER BY _partition").fetchall()]
print(json.dumps({"Rows": r, "Distinct": d, "Sum": s, "Next": n}))
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
	// What the killed generators had made and what reached the broker's disk is the broker's to say; the table must hold each of
	// its offsets exactly once, and everything up to the end.
	table := readDemo(t, dir)
	var total int64
	for _, n := range table.Next {
		total += n
	}
	if table.Rows != table.Distinct || len(table.Next) != 4 {
		t.Errorf("got %+v", table)
	}
	t.Log(fmt.Sprintf("%d rows of about %d records", table.Rows, total))
}
