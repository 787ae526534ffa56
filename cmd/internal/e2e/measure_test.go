//go:build integration && measure

package e2e

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/real"
)

//nolint:gochecknoglobals // flags of the test binary
var (
	measureRecords = flag.Int64("records", 2_000_000, "orders to produce")
	measureKills   = flag.Int("measure-kills", 20, "how often TestMeasureKills kills the process")
)

// many produces generated orders to 4 partitions: number seq is at offset seq/4 of partition seq%4.
func many(t *testing.T, p place, n int64) (gen *generate.Generator, bytes int64) {
	t.Helper()
	cl := client(t, p.broker, kgo.ProducerLinger(5*time.Millisecond), kgo.RequiredAcks(kgo.AllISRAcks()))
	createTopic(t, cl, p.name, 4)
	gen = generate.Orders(generate.Options{Seed: 7, Span: 7 * 24 * time.Hour, Broken: 0.0001, Missing: 0.0001, Wrong: 0.0001, Test: 0.01, Free: 0.001})
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
	return gen, bytes
}

// exact compares the table with what was produced: by (partition, offset), and by the sum of the amounts.
func exact(t *testing.T, p place, gen *generate.Generator, n int64) {
	t.Helper()
	want := filepath.Join(t.TempDir(), "want.csv")
	f, err := os.Create(want)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "p,o")
	for seq := range n {
		if gen.Expect(seq).Fate == generate.Row {
			fmt.Fprintf(w, "%d,%d\n", seq%4, seq/4)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	out := real.RunPython(t, `
import duckdb, json, sys
con = duckdb.connect()
con.execute(f"CREATE TABLE want AS SELECT * FROM read_csv('{sys.argv[2]}')")
con.execute(f"CREATE TABLE got AS SELECT _partition p, _offset o, amount FROM read_parquet('{sys.argv[1]}/*/*.parquet')")
one = lambda q: con.execute(q).fetchall()[0][0]
print(json.dumps({
  "rows": one("SELECT count(*) FROM got"),
  "missing": one("SELECT count(*) FROM (SELECT p, o FROM want EXCEPT SELECT p, o FROM got)"),
  "doubled": one("SELECT count(*) - count(DISTINCT (p, o)) FROM got"),
  "foreign": one("SELECT count(*) FROM (SELECT p, o FROM got EXCEPT SELECT p, o FROM want)"),
  "sum": one("SELECT sum(amount)::VARCHAR FROM got")}))
`, filepath.Join(real.BucketFolder(t, p.lake), p.name), want)
	var got struct {
		Rows, Missing, Doubled, Foreign int64
		Sum                             string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	totals := gen.Totals(0, n)
	if got.Rows != totals.Rows || got.Missing+got.Doubled+got.Foreign != 0 || got.Sum != money(totals.Cents) {
		t.Errorf("got %+v, want %d rows with sum %s", got, totals.Rows, money(totals.Cents))
	}
	t.Logf("rows %d, missing %d, doubled %d, foreign %d, sum of amounts %s (produced %s)", got.Rows, got.Missing, got.Doubled, got.Foreign, got.Sum, money(totals.Cents))
}

// TestMeasure takes generated orders from a real broker to S3 with Glue and prints what it cost.
func TestMeasure(t *testing.T) {
	n := *measureRecords
	p := onS3(t, "measure")
	p.every = time.Minute
	gen, bytes := many(t, p, n)
	begin := time.Now()
	d := start(t, nil, "run", "--once", p.pipeline(t))
	if code := d.wait(10 * time.Minute); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 4000))
	}
	wall := time.Since(begin)
	use := d.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	cpu := time.Duration(use.Utime.Nano() + use.Stime.Nano())
	exact(t, p, gen, n)
	t.Logf("\n%d records, %d MB of JSON: %.1f s wall, %.1f CPU-s (user %.1f, system %.1f)\n%.0f records/s, %.0f records per CPU-second, %.0f MB/s per CPU-second, peak %d MiB\n%s",
		n, bytes>>20, wall.Seconds(), cpu.Seconds(), time.Duration(use.Utime.Nano()).Seconds(), time.Duration(use.Stime.Nano()).Seconds(),
		float64(n)/wall.Seconds(), float64(n)/cpu.Seconds(), float64(bytes)/1e6/cpu.Seconds(), use.Maxrss>>10, tail(d.stderr(), 300))
}

// TestMeasureKills does the same under kill -9 at random moments.
func TestMeasureKills(t *testing.T) {
	n := *measureRecords
	p := onS3(t, "measure_kills")
	p.every = 500 * time.Millisecond
	gen, _ := many(t, p, n)
	conf := p.pipeline(t)
	r := rand.New(rand.NewPCG(*seed, 20))
	t.Logf("seed %d", *seed)
	var moments []time.Duration
	for range *measureKills {
		d := start(t, nil, append([]string{"run", conf}, groupFlags()...)...)
		// Most of a life is joining and the wait for the dead member's session; so that the kills fall into the work, they
		// wait for its first sign and then for a while.
		until(t, time.Minute, "reading", func() bool { return d.metric("millrace_source_records_total") > 0 || !d.alive() })
		wait := time.Duration(r.Int64N(int64(1500 * time.Millisecond)))
		time.Sleep(wait)
		moments = append(moments, wait.Round(time.Millisecond))
		d.signal(syscall.SIGKILL)
		<-d.done
	}
	begin := time.Now()
	if code, d := run(t, 10*time.Minute, nil, append([]string{"run", "--once", conf}, groupFlags()...)...); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 4000))
	}
	t.Logf("%d kills, so long after the first record of each life: %v; the rest took %.1f s", len(moments), moments, time.Since(begin).Seconds())
	exact(t, p, gen, n)
}
