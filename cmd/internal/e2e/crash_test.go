//go:build integration

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream"
)

// job is one comparison for checkAll.
type job struct {
	table    string
	cols     []column
	expected string
}

// checkAll is check for many tables by one interpreter, which takes longer to start than to compare.
func checkAll(t testing.TB, jobs []job) {
	t.Helper()
	var args [][3]string
	for _, j := range jobs {
		args = append(args, [3]string{j.table, j.expected, schemaOf(j.cols)})
	}
	list, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	out := real.RunPython(t, `
import json, sys
program, jobs = sys.argv[1], json.loads(sys.argv[2])
for job in jobs:
    sys.argv = ["check.py", *job]
    exec(compile(program, "check.py", "exec"), {})
`, checkProgram, string(list))
	reports := json.NewDecoder(strings.NewReader(out))
	for _, j := range jobs {
		var r report
		if err := reports.Decode(&r); err != nil {
			t.Fatalf("%s: %v", j.table, err)
		}
		r.judge(t, j.table, j.cols)
	}
}

// points are those that a run of a pipeline without operators passes. Two have tests of their own: evict needs more records than
// memory, garbage needs a former life.
func points() []stream.Point {
	var ps []stream.Point
	for _, p := range stream.Points {
		if p != stream.W4 && p != stream.Evict && p != stream.Garbage {
			ps = append(ps, p)
		}
	}
	return ps
}

// killedBySignal tells whether the process died by SIGKILL.
func (d *daemon) killedBySignal(limit time.Duration) bool {
	d.t.Helper()
	select {
	case <-d.done:
	case <-time.After(limit):
		return false
	}
	var ee *exec.ExitError
	if !errors.As(d.err, &ee) {
		return false
	}
	ws, ok := ee.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// TestCrashPoints kills the process at every point of the way, the first and the second time that it passes it, and looks at what
// the next one makes of it.
func TestCrashPoints(t *testing.T) {
	t.Parallel()
	topic := onS3(t, "crash")
	o := newOrders(t, topic, 2)
	o.produce(3000)
	var mu sync.Mutex
	var jobs []job
	dir := t.TempDir() // shared, and gone only after all tables were compared
	t.Run("points", func(t *testing.T) {
		for _, where := range []string{"s3", "disk"} {
			for _, point := range points() {
				for n := 1; n <= 2; n++ {
					t.Run(fmt.Sprintf("%s/%s:%d", where, point, n), func(t *testing.T) {
						t.Parallel()
						p := topic
						p.name = strings.ToLower(fmt.Sprintf("crash_%s_%s_%d", where, point, n))
						p.lanes = 2
						if where == "disk" {
							p.lake, p.s3, p.glue = dir, "", ""
						}
						crashAt(t, p, o, fmt.Sprintf("%s:%d", point, n))
						rows, dead := o.expectedIn(dir, p.name)
						mu.Lock()
						defer mu.Unlock()
						jobs = append(jobs, job{p.table(), orderColumns(), rows}, job{p.dead(), deadColumns(), dead})
					})
				}
			}
		}
	})
	checkAll(t, jobs)
}

// crashAt runs a pipeline until it dies at a point, and then once more to its end.
func crashAt(t *testing.T, p place, o *orders, at string) {
	conf := with(t, p.pipeline(t), "topics: ["+p.name+"]", "topics: ["+o.topic+"]")
	stopLister := watch(t, p)
	l := p.open(t)
	d := start(t, []string{"MILLRACE_CRASH_AT=" + at}, "run", "--once", "--session-timeout", "2s", conf)
	if !d.killedBySignal(time.Minute) {
		t.Fatalf("did not die at %s: %v\n%s", at, d.err, tail(d.stderr(), 3000))
	}
	d = start(t, nil, "run", "--once", "--session-timeout", "2s", conf)
	if code := d.wait(time.Minute); code != 0 {
		t.Fatalf("exit %d after a crash at %s, want 0:\n%s", code, at, tail(d.stderr(), 3000))
	}
	stopLister()
	if !l.caughtUp(p, o) {
		t.Errorf("after a crash at %s and a run to the end: %v", at, l.heads(p))
	}
}

// TestCrashInGarbageCollection leaves uploads and a manifest that nobody committed, and dies while they are collected.
func TestCrashInGarbageCollection(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"s3", "disk"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			p := onS3(t, "garbage_"+where)
			if where == "disk" {
				p = onDisk(t, "garbage_"+where)
			}
			p.lanes = 2
			o := newOrders(t, p, 2)
			o.produce(2000)
			conf, l := p.pipeline(t), p.open(t)
			stopLister := watch(t, p)
			die := func(at, verb string) {
				t.Helper()
				if d := start(t, []string{"MILLRACE_CRASH_AT=" + at}, "run", verb, "--session-timeout", "2s", conf); !d.killedBySignal(time.Minute) {
					t.Fatalf("did not die at %s:\n%s", at, tail(d.stderr(), 3000))
				}
			}
			die("W5:1", "--once")
			if len(l.openUploads()) == 0 {
				t.Error("a crash at W5 left no open upload: the test looks at nothing")
			}
			die("garbage:1", "--drain-timeout=30s")
			die("garbage:2", "--drain-timeout=30s")
			d := start(t, nil, "run", "--session-timeout", "2s", conf)
			until(t, time.Minute, "everything is committed and published", func() bool { return l.caughtUp(p, o) })
			var left []string
			until(t, 30*time.Second, "what the killed ones left is collected", func() bool { left = l.openUploads(); return len(left) == 0 })
			d.signal(syscall.SIGTERM)
			if code := d.wait(time.Minute); code != 143 {
				t.Errorf("exit %d after SIGTERM, want 143", code)
			}
			stopLister()
			// Manifests in the ledger are those of committed transactions, and no others.
			keys, err := l.list(p.ledger() + "txn/")
			if err != nil {
				t.Fatal(err)
			}
			heads := l.heads(p)
			for _, k := range keys {
				var lane string
				var n, e uint64
				if _, err := fmt.Sscanf(strings.NewReplacer("/", " ", ".", " ").Replace(strings.TrimPrefix(k, p.ledger()+"txn/")), "%s %d %d", &lane, &n, &e); err != nil {
					t.Errorf("%s: %v", k, err)
				} else if !heads[lane].committed(e, n) {
					t.Errorf("%s is still there, and was never committed", k)
				}
			}
			o.settled(conf)
			o.verify(p)
		})
	}
}

// TestCrashWhileMemoryIsFull dies when a file was closed for memory, before its barrier.
func TestCrashWhileMemoryIsFull(t *testing.T) {
	t.Parallel()
	p := onS3(t, "evict")
	w := newWide(t, p, 2)
	w.produce(24_000, 40)
	for i, where := range []string{"s3", "disk"} {
		t.Run(where, func(t *testing.T) {
			q := p
			if where == "disk" {
				q = onDisk(t, p.name)
			}
			q.every = 20 * time.Second // one transaction: only memory closes files before
			conf, l := w.pipeline(t, q), q.open(t)
			stopLister := watch(t, q)
			at := fmt.Sprintf("evict:%d", i+1)
			d := start(t, []string{"MILLRACE_CRASH_AT=" + at}, "run", "--once", "--memory-limit", "32MiB", "--session-timeout", "2s", conf)
			if !d.killedBySignal(time.Minute) {
				t.Fatalf("did not die at %s:\n%s", at, tail(d.stderr(), 3000))
			}
			if code, d := run(t, time.Minute, nil, "run", "--once", "--memory-limit", "32MiB", "--session-timeout", "2s", conf); code != 0 {
				t.Fatalf("exit %d, want 0:\n%s", code, tail(d.stderr(), 3000))
			}
			stopLister()
			for lane, h := range l.heads(q) {
				if h.Retired != h.N {
					t.Errorf("lane %s: %d transactions are pending", lane, h.N-h.Retired)
				}
			}
			w.verify(t, q)
		})
	}
}

// wide produces records of a kilobyte that does not compress, spread over any number of days.
type wide struct {
	t     testing.TB
	p     place
	parts int32
	cl    *kgo.Client
	rows  []map[string]any
}

func newWide(t testing.TB, p place, parts int32) *wide {
	t.Helper()
	w := &wide{t: t, p: p, parts: parts, cl: client(t, p.broker)}
	createTopic(t, w.cl, p.name, parts)
	return w
}

// produce spreads n records over days.
func (w *wide) produce(n, days int) {
	w.t.Helper()
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	state := uint64(42)
	var mu sync.Mutex
	for i := range n {
		var body strings.Builder
		for body.Len() < 1024 {
			state = state*6364136223846793005 + 1442695040888963407
			fmt.Fprintf(&body, "%016x", state)
		}
		day := first.AddDate(0, 0, i%days).Format(time.DateOnly)
		value := fmt.Appendf(nil, `{"id":%d,"day":%q,"body":%q}`, i, day, body.String())
		row := map[string]any{"id": fmt.Sprint(i), "day": day, "body": body.String()}
		w.cl.Produce(w.t.Context(), &kgo.Record{Topic: w.p.name, Value: value, Partition: int32(i) % w.parts}, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				w.t.Errorf("produce: %v", err)
				return
			}
			row["_partition"], row["_offset"] = fmt.Sprint(r.Partition), fmt.Sprint(r.Offset)
			w.rows = append(w.rows, row)
		})
	}
	if err := w.cl.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wide) pipeline(t testing.TB, p place) string {
	t.Helper()
	stores := ""
	if p.s3 != "" {
		stores = fmt.Sprintf("store: {s3: {endpoint: %q, path_style: true, region: us-east-1}}\n", p.s3)
	}
	return write(t, p.name+".yaml", fmt.Sprintf(`version: 1
name: %[1]s
source:
  kafka: {brokers: %[2]q, topics: [%[3]s]}
  decode: json
  metadata: {partition: _partition, offset: _offset}
  schema: {id: int64!, day: date!, body: string!}
sinks:
  - parquet: {location: %[4]q, partition_by: {folder: day}}
delivery: {commit_every: %[5]s, lanes: %[6]d, ledger: %[7]q}
dead_letter: {parquet: {location: %[8]q}}
retry: {initial: 100ms, max: 1s}
%[9]s`, p.name, p.broker, w.p.name, p.table(), p.every, p.lanes, p.lake+"/ledger/"+p.name+"/", p.dead(), stores))
}

func (w *wide) verify(t testing.TB, p place) report {
	t.Helper()
	path := write(t, "wide.jsonl", "")
	f := create(t, path)
	for _, r := range w.rows {
		f.line(r)
	}
	f.close()
	return check(t, p.table(), []column{
		{"id", "BIGINT", "int64"}, {"day", "DATE", "date32[day]"}, {"body", "VARCHAR", "string"},
		{"_partition", "INTEGER", "int32"}, {"_offset", "BIGINT", "int64"},
	}, path)
}
