//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// once runs a pipeline to the present end of its input.
func once(t testing.TB, conf string, flags ...string) (int, *daemon) {
	t.Helper()
	return run(t, 90*time.Second, nil, append([]string{"run", "--once", "--session-timeout", "2s", conf}, flags...)...)
}

// refused runs a pipeline that must not do anything, and checks what it says and that no object changed.
func refused(t testing.TB, p place, conf string, want ...string) {
	t.Helper()
	l := p.open(t)
	// Signs of life come and go with every start; that a store was probed is not the pipeline's state.
	steady := func() map[string]string {
		all := l.all("")
		for k := range all {
			if strings.Contains(k, "/live/") || strings.Contains(k, "/probe/") {
				delete(all, k)
			}
		}
		return all
	}
	before := steady()
	code, d := once(t, conf)
	if code == 0 || code == 69 {
		t.Errorf("exit %d, want a refusal", code)
	}
	said := d.stderr()
	for _, w := range append(want, "  next: ") {
		if !strings.Contains(said, w) {
			t.Errorf("want %q in:\n%s", w, tail(said, 3000))
		}
	}
	sameObjects(t, "a refused start", before, steady())
}

func TestForeignThingsAreRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "mine")
	p.lanes = 2
	o := newOrders(t, p, 2)
	o.produce(500)
	conf := p.pipeline(t)
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, d.stderr())
	}
	o.produce(500) // so that whoever is not refused would have something to do

	t.Run("ledger of another pipeline", func(t *testing.T) {
		refused(t, p, with(t, conf, "name: mine\n", "name: other\n"), `"mine"`, `"other"`, "ledger")
	})
	t.Run("table of another ledger", func(t *testing.T) {
		refusedTable(t, p, with(t, conf, p.ledger(), "ledger/new/"), "belongs to", "mine")
	})
	t.Run("table that another program wrote", func(t *testing.T) {
		q := onDisk(t, "mine")
		q.open(t).put("mine/order_date=2026-01-01/part-0.parquet", []byte("PAR1 of a stranger PAR1"))
		refusedTable(t, q, q.pipeline(t), "part-0.parquet")
	})
	t.Run("ledger inside the table", func(t *testing.T) {
		q := onDisk(t, "mine")
		code, d := once(t, with(t, q.pipeline(t), q.lake+"/ledger/mine/", q.table()+"ledger/"))
		if code != 78 && code != 1 {
			t.Errorf("exit %d, want a refusal", code)
		}
		if said := d.stderr(); !strings.Contains(said, "ledger") || !strings.Contains(said, "inside") {
			t.Errorf("got:\n%s", said)
		}
	})
	l := p.open(t)
	pipeline, lane := p.ledger()+"pipeline.json", p.ledger()+"lanes/1.json"
	for _, c := range []struct {
		name, key string
		change    func([]byte) []byte
		want      []string
	}{
		{"newer format of the pipeline", pipeline, newerFormat, []string{"pipeline.json", "format"}},
		{"newer format of a head", lane, newerFormat, []string{"lanes/1.json", "format"}},
		{"truncated pipeline", pipeline, func(b []byte) []byte { return b[:len(b)/2] }, []string{"pipeline.json"}},
		{"truncated head", lane, func(b []byte) []byte { return b[:len(b)/2] }, []string{"lanes/1.json"}},
		{"empty head", lane, func([]byte) []byte { return nil }, []string{"lanes/1.json"}},
		{"head of another lane", lane, func([]byte) []byte { return l.read(p.ledger() + "lanes/0.json") }, []string{"lanes/1.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := l.read(c.key)
			l.put(c.key, c.change(good))
			refusedLane(t, p, conf, c.key, c.want...)
			l.put(c.key, good)
		})
	}
	t.Run("missing head", func(t *testing.T) {
		good := l.read(lane)
		l.remove(lane)
		refusedLane(t, p, conf, lane, "lanes/1.json", "missing")
		l.put(lane, good)
	})
	t.Run("missing pipeline", func(t *testing.T) {
		good := l.read(pipeline)
		l.remove(pipeline)
		refusedLane(t, p, conf, pipeline, "pipeline.json", "missing")
		l.put(pipeline, good)
	})
	// With everything as it was, it goes on where it stopped.
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, d.stderr())
	}
	o.settled(conf)
	o.verify(p)
}

func newerFormat(b []byte) []byte {
	return []byte(strings.Replace(strings.Replace(string(b), `"format": 1`, `"format": 2`, 1), `"format":1`, `"format":2`, 1))
}

// refusedTable is refused for a table: the ledger may have been created before the table was looked at.
func refusedTable(t testing.TB, p place, conf string, want ...string) {
	t.Helper()
	l := p.open(t)
	before := l.all(p.name + "/")
	code, d := once(t, conf)
	said := d.stderr()
	for _, w := range append(want, "  next: ") {
		if !strings.Contains(said, w) {
			t.Errorf("want %q in:\n%s", w, tail(said, 3000))
		}
	}
	if code == 0 || code == 69 {
		t.Errorf("exit %d, want a refusal", code)
	}
	sameObjects(t, "a refused start", before, l.all(p.name+"/"))
}

// refusedLane is refused for one object of the ledger: other lanes may work, that object stays as it is.
func refusedLane(t testing.TB, p place, conf, key string, want ...string) {
	t.Helper()
	l := p.open(t)
	before, _ := l.get(key)
	code, d := once(t, conf)
	said := d.stderr()
	for _, w := range append(want, "  next: ") {
		if !strings.Contains(said, w) {
			t.Errorf("want %q in:\n%s", w, tail(said, 3000))
		}
	}
	if code == 0 || code == 69 {
		t.Errorf("exit %d, want a refusal:\n%s", code, tail(said, 3000))
	}
	if after, _ := l.get(key); string(after) != string(before) {
		t.Errorf("%s was changed", key)
	}
}

// TestAForeignObjectAtOurKeyIsNeverOverwritten dies right after a commit; before its file is published, a stranger takes its name.
func TestAForeignObjectAtOurKeyIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"s3", "disk"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			p := onS3(t, "foreign_"+where)
			if where == "disk" {
				p = onDisk(t, "foreign_"+where)
			}
			p.lanes = 1
			o := newOrders(t, p, 1)
			o.produce(300)
			conf, l := p.pipeline(t), p.open(t)
			if d := start(t, []string{"MILLRACE_CRASH_AT=W6:1"}, "run", "--once", "--session-timeout", "2s", conf); !d.killedBySignal(time.Minute) {
				t.Fatalf("did not die:\n%s", d.stderr())
			}
			key := p.name + "/" + firstFile(t, l, p)
			l.put(key, []byte("not ours"))
			if code, d := once(t, conf, "--drain-timeout", "5s"); code == 0 || !strings.Contains(d.stderr(), "written by somebody else") {
				t.Errorf("exit %d, want another than 0, and the object named:\n%s", code, tail(d.stderr(), 3000))
			}
			d := start(t, nil, "run", "--session-timeout", "2s", conf)
			d.notReady(time.Minute, p.name, "halted", key, "written by somebody else", "next: ")
			if d.metric("millrace_errors_total", `reason="foreign"`) == 0 {
				t.Error("millrace_errors_total does not tell")
			}
			if got := string(l.read(key)); got != "not ours" {
				t.Errorf("%s now holds %d other bytes", key, len(got))
			}
			o.produce(300) // reading goes on meanwhile
			until(t, 30*time.Second, "more is committed", func() bool { return l.heads(p)["0"].N >= 2 })
			l.remove(key)
			until(t, time.Minute, "everything is published once the stranger is gone", func() bool { return l.caughtUp(p, o) })
			d.ready(time.Minute)
			d.signal(syscall.SIGTERM)
			if code := d.wait(time.Minute); code != 143 {
				t.Errorf("exit %d after SIGTERM, want 143", code)
			}
			o.verify(p)
		})
	}
}

// firstFile is the key of the first file of the first transaction of lane 0, below its table.
func firstFile(t testing.TB, l *lake, p place) string {
	t.Helper()
	keys, err := l.list(p.ledger() + "txn/0/")
	if err != nil || len(keys) != 1 {
		t.Fatalf("manifests %v, %v, want one", keys, err)
	}
	var m struct{ Files []struct{ Table, Key string } }
	if err := json.Unmarshal(l.read(keys[0]), &m); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		if strings.Contains(f.Key, "order_date=") {
			return f.Key
		}
	}
	t.Fatalf("no file of the table in %v", m)
	return ""
}

// TestPositionsThatNoLongerHoldHalt looks at a topic that was changed behind the pipeline's back.
func TestPositionsThatNoLongerHoldHalt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(t *testing.T, adm *kadm.Client, p place, o *orders)
		conf   func(t *testing.T, conf, topic string) string
		want   []string
	}{
		{"recreated", func(t *testing.T, adm *kadm.Client, p place, o *orders) {
			recreate(t, adm, p.name, 2)
			(&orders{t: t, topic: p.name, parts: 2, gen: o.gen, client: client(t, p.broker), next: 5000}).produce(2000)
		}, nil, []string{"created anew"}},
		{"deleted", func(t *testing.T, adm *kadm.Client, p place, o *orders) {
			o.produce(1000)
			ends, err := adm.ListEndOffsets(t.Context(), p.name)
			if err == nil {
				_, err = adm.DeleteRecords(t.Context(), ends.Offsets())
			}
			if err != nil {
				t.Fatal(err)
			}
			o.produce(100)
		}, nil, []string{"deleted"}},
		{"shorter", func(t *testing.T, adm *kadm.Client, p place, o *orders) {
			recreate(t, adm, p.name, 2)
			(&orders{t: t, topic: p.name, parts: 2, gen: o.gen, client: client(t, p.broker), next: 5000}).produce(100)
		}, func(t *testing.T, conf, topic string) string {
			return with(t, conf, "topics: ["+topic+"]", "identity: name, topics: ["+topic+"]")
		}, nil},
		{"fewer", func(t *testing.T, adm *kadm.Client, p place, _ *orders) { recreate(t, adm, p.name, 1) }, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := onDisk(t, "halt_"+c.name)
			p.lanes = 2
			o := newOrders(t, p, 2)
			o.produce(1000)
			conf := p.pipeline(t)
			if c.conf != nil {
				conf = c.conf(t, conf, p.name)
			}
			if code, d := once(t, conf); code != 0 {
				t.Fatalf("exit %d:\n%s", code, d.stderr())
			}
			had := append([]placed(nil), o.placed...)
			before := bookmarks(t, conf)
			l := p.open(t)
			files := l.all(p.name + "/")
			c.change(t, kadm.NewClient(o.client), p, o)

			code, d := once(t, conf)
			said := d.stderr()
			t.Logf("exit %d:\n%s", code, tail(said, 1500))
			if code == 0 || code == 69 {
				t.Errorf("exit %d, want another", code)
			}
			for _, w := range append([]string{"kafka/" + p.name + "/", "next"}, c.want...) {
				if !strings.Contains(said, w) {
					t.Errorf("want %q in:\n%s", w, tail(said, 3000))
				}
			}
			daemon := start(t, nil, append([]string{"run", conf}, groupFlags()...)...)
			daemon.notReady(time.Minute, p.name+": halted", "kafka/"+p.name+"/", "next: ")
			daemon.signal(syscall.SIGTERM)
			if code := daemon.wait(time.Minute); code != 143 {
				t.Errorf("exit %d after SIGTERM, want 143", code)
			}
			if after := bookmarks(t, conf); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("bookmarks were %v and are %v", before, after)
			}
			sameObjects(t, "a table that got nothing", files, l.all(p.name+"/"))
			o.placed = had
			o.verify(p)
		})
	}
}

func recreate(t *testing.T, adm *kadm.Client, topic string, partitions int32) {
	t.Helper()
	if _, err := adm.DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	until(t, 30*time.Second, "the topic is gone and there again", func() bool {
		_, err := adm.CreateTopic(t.Context(), partitions, 1, nil, topic)
		return err == nil
	})
}
