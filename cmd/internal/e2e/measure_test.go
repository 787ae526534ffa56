//go:build integration && measure

package e2e

import (
	"encoding/json"
	"flag"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/real"
)

//nolint:gochecknoglobals // flags of the test binary
var measureRecords = flag.Int64("records", 2_000_000, "orders to produce")

// TestMeasure takes generated orders from a real broker to S3 with Glue and prints what it cost. The content is compared by
// counts and sums; the other tests compare values.
func TestMeasure(t *testing.T) {
	n := *measureRecords
	p := onS3(t, "measure")
	p.every = time.Minute
	cl := client(t, p.broker, kgo.ProducerLinger(5*time.Millisecond), kgo.RequiredAcks(kgo.AllISRAcks()))
	createTopic(t, cl, p.name, 4)
	gen := generate.Orders(generate.Options{Seed: 7, Span: 7 * 24 * time.Hour, Broken: 0.0001, Missing: 0.0001, Wrong: 0.0001, Test: 0.01, Free: 0.001})
	var bytes int64
	for seq := range n {
		_, key, value := gen.Append(nil, seq)
		bytes += int64(len(value))
		cl.Produce(t.Context(), &kgo.Record{Topic: p.name, Key: key, Value: value, Partition: int32(seq % 4)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	conf := p.pipeline(t)
	begin := time.Now()
	d := start(t, nil, "run", "--once", conf)
	if code := d.wait(10 * time.Minute); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 4000))
	}
	wall := time.Since(begin)
	use := d.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := time.Duration(use.Utime.Nano() + use.Stime.Nano())
	totals := gen.Totals(0, n)
	out := real.RunPython(t, `
import duckdb, json, sys
files = sys.argv[1]
q = f"SELECT count(*), count(DISTINCT (_partition, _offset)), sum(amount)::VARCHAR FROM read_parquet('{files}/measure/*/*.parquet')"
print(json.dumps(duckdb.sql(q).fetchall()[0]))
`, real.BucketFolder(t, p.lake))
	var got []any
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if int64(got[0].(float64)) != totals.Rows || int64(got[1].(float64)) != totals.Rows || got[2].(string) != money(totals.Cents) {
		t.Errorf("the table has rows, distinct offsets, sum %v, want %d, %d, %s", got, totals.Rows, totals.Rows, money(totals.Cents))
	}
	t.Logf("\n%d records, %d MB of JSON: %.1f s wall, %.1f CPU-s (user %.1f, system %.1f)\n%.0f records/s, %.0f records per CPU-second, %.0f MB/s per CPU-second, peak %d MiB\n%s",
		n, bytes>>20, wall.Seconds(), cpu.Seconds(), time.Duration(use.Utime.Nano()).Seconds(), time.Duration(use.Stime.Nano()).Seconds(),
		float64(n)/wall.Seconds(), float64(n)/cpu.Seconds(), float64(bytes)/1e6/cpu.Seconds(), use.Maxrss>>10, tail(d.stderr(), 300))
}
