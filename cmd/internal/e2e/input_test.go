//go:build integration

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestNewPartitionsAndTopicsArePickedUp adds both to a running pipeline, with records in them before it can know of them.
func TestNewPartitionsAndTopicsArePickedUp(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "grow")
	first := newOrders(t, p, 2)
	first.produce(500)
	conf := with(t, p.pipeline(t), "topics: [grow]", `topic_pattern: "grow(_.*)?"`)
	conf = with(t, conf, "topic_pattern:", "start_at: latest, topic_pattern:") // for what exists at the creation only
	l := p.open(t)
	d := start(t, nil, append([]string{"run", conf}, groupFlags()...)...)
	d.ready(time.Minute)
	before := first.placed
	first.placed = nil // latest: not these
	first.produce(300)
	until(t, time.Minute, "what came after the creation is committed", func() bool { return l.caughtUp(p, first) })

	if _, err := kadm.NewClient(first.client).CreatePartitions(t.Context(), 3, "grow"); err != nil {
		t.Fatal(err)
	}
	first.parts = 5
	first.client = client(t, p.broker) // one that knows the new partitions
	first.produce(1000)
	q := p
	q.name = "grow_more"
	second := newOrders(t, q, 3)
	second.produce(700)
	createTopic(t, first.client, "other", 1) // not in the pattern
	stranger := &kgo.Record{Topic: "other", Value: []byte("{}")}
	if err := first.client.ProduceSync(t.Context(), stranger).FirstErr(); err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, "new partitions and the new topic are committed", func() bool {
		return l.caughtUp(p, first) && l.caughtUp(p, second)
	})
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	t.Logf("%d records lay before the creation and are not read", len(before))
	verifyBoth(t, p, first, second)
}

// verifyBoth compares a table that has two topics in it.
func verifyBoth(t *testing.T, p place, os ...*orders) {
	t.Helper()
	var rows, dead strings.Builder
	for _, o := range os {
		r, d := o.expected(p.name)
		for _, x := range []struct {
			to   *strings.Builder
			path string
		}{{&rows, r}, {&dead, d}} {
			x.to.Write(fileBytes(t, x.path))
		}
	}
	r := check(t, p.table(), orderColumns(), write(t, "rows.jsonl", rows.String()))
	check(t, p.dead(), deadColumns(), write(t, "dead.jsonl", dead.String()))
	if r.DuckDB.Rows == 0 {
		t.Error("no rows: the test looks at nothing")
	}
}

// TestTransactionsOfProducers: what was aborted never appears, what is open holds reading back, and markers count as read.
func TestTransactionsOfProducers(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "txn")
	p.lanes = 1
	o := newOrders(t, p, 1)
	l, conf := p.open(t), p.pipeline(t)
	adm := kadm.NewClient(o.client)
	producer := func(id string) *orders {
		cl := client(t, p.broker, kgo.TransactionalID(id))
		return &orders{t: t, topic: p.name, parts: 1, gen: o.gen, client: cl}
	}
	// send makes a transaction of n records; how it ends is the caller's.
	send := func(q *orders, n int64) {
		t.Helper()
		if err := q.client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		q.next = o.next
		o.next += n
		q.produce(n)
	}
	end := func(q *orders, commit kgo.TransactionEndTry) {
		t.Helper()
		if err := q.client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		if commit {
			o.placed = append(o.placed, q.placed...)
		}
		q.placed = nil
	}
	position := func() string { return l.heads(p)["0"].Partitions["kafka/txn/0"].Position }
	logEnd := func() string {
		ends, err := adm.ListEndOffsets(t.Context(), p.name)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := ends.Lookup(p.name, 0)
		return fmt.Sprint(e.Offset)
	}
	a, b := producer("a"), producer("b")
	send(a, 400)
	end(a, kgo.TryCommit)
	send(a, 300)
	end(a, kgo.TryAbort)
	o.produce(100)

	d := start(t, nil, append([]string{"run", conf}, groupFlags()...)...)
	until(t, time.Minute, "the bookmark is at the end of the log, behind the marker", func() bool { return position() == logEnd() })

	send(b, 50) // stays open
	stall := logEnd()
	o.produce(200)
	send(a, 60)
	end(a, kgo.TryCommit)
	stable, err := adm.ListCommittedOffsets(t.Context(), p.name)
	if err != nil {
		t.Fatal(err)
	}
	lso, _ := stable.Lookup(p.name, 0)
	until(t, time.Minute, "the bookmark is at the last stable offset", func() bool { return position() == fmt.Sprint(lso.Offset) })
	if position() == stall {
		t.Errorf("the bookmark is at %s, behind an open transaction", position())
	}
	code, _ := run(t, time.Minute, nil, "commits", conf)
	if code != 0 {
		t.Errorf("commits: exit %d", code)
	}
	end(b, kgo.TryAbort)
	until(t, time.Minute, "the bookmark is at the end of the log once the transaction has ended", func() bool { return position() == logEnd() })

	send(a, 70) // the last thing in the log is a marker behind nothing but aborted records
	end(a, kgo.TryAbort)
	until(t, 90*time.Second, "the bookmark is behind a transaction that was aborted whole", func() bool { return position() == logEnd() })
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	for _, m := range bookmarks(t, conf) {
		if m.Position != logEnd() || m.Pending != 0 {
			t.Errorf("bookmark %v, want %s and nothing pending", m, logEnd())
		}
	}
	o.verify(p)
}

// TestOnceEndsAtTheLastStableOffset: an open transaction is no reason to wait.
func TestOnceEndsAtTheLastStableOffset(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "stable")
	o := newOrders(t, p, 1)
	o.produce(500)
	cl := client(t, p.broker, kgo.TransactionalID("open"))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: p.name, Value: []byte("{}")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	conf := p.pipeline(t)
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, d.stderr())
	}
	o.settled(conf)
	if err := cl.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	o.verify(p)
}

// TestLatestIsResolvedOnce, when the pipeline is created: what comes after that is read, even if nothing had been committed.
func TestLatestIsResolvedOnce(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "latest")
	o := newOrders(t, p, 2)
	o.produce(400)
	o.placed = nil // these lie before
	conf := with(t, p.pipeline(t), "topics:", "start_at: latest, topics:")
	if d := start(t, []string{"MILLRACE_CRASH_AT=acquire:1"}, "run", "--once", "--session-timeout", "2s", conf); !d.killedBySignal(time.Minute) {
		t.Fatalf("did not die:\n%s", tail(d.stderr(), 2000))
	}
	o.produce(600)
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 2000))
	}
	o.settled(conf)
	o.verify(p)
}
