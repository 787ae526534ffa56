package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
)

const lanes = 4

// worker is a member of a group; f may be replaced.
type worker struct {
	s     *kafka.Source
	stop  context.CancelFunc
	done  chan struct{}
	err   error
	turns chan stream.Change

	mu    sync.Mutex
	lanes []stream.LaneID
	flush func(context.Context)
}

func (g *rig) join(t *testing.T, topic, session, incarnation string, change ...func(*kafka.Config, *kafka.Deps)) *worker {
	t.Helper()
	c, d := g.config(topic), g.deps()
	d.Pipeline, d.Session, d.Log = topic, session, logger(t)
	for _, f := range change {
		f(&c, &d)
	}
	w := &worker{s: g.source(c, d), done: make(chan struct{}), turns: make(chan stream.Change, 100)}
	var ctx context.Context
	ctx, w.stop = context.WithCancel(t.Context())
	go func() {
		defer close(w.done)
		w.err = w.s.Assign(ctx, stream.Member{Session: session, Incarnation: incarnation, Plan: 1, Lanes: lanes}, w.turn)
	}()
	t.Cleanup(func() {
		w.stop()
		<-w.done
	})
	return w
}

func (w *worker) turn(ctx context.Context, c stream.Change) error {
	if len(c.Revoked) > 0 && w.flush != nil {
		w.flush(ctx)
	}
	w.mu.Lock()
	for _, g := range c.Granted {
		w.lanes = append(w.lanes, g.Lane)
	}
	for _, l := range append(slices.Clone(c.Revoked), c.Lost...) {
		w.lanes = slices.DeleteFunc(w.lanes, func(x stream.LaneID) bool { return x == l })
	}
	w.mu.Unlock()
	w.turns <- c
	return nil
}

func (w *worker) has() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lanes)
}

// ends waits for Assign to return.
func (w *worker) ends(t *testing.T) error {
	t.Helper()
	select {
	case <-w.done:
		return w.err
	case <-time.After(30 * time.Second):
		t.Fatal("Assign does not return")
		return nil
	}
}

// settle waits until the workers have these numbers of lanes.
func settle(t *testing.T, within time.Duration, ws []*worker, want ...int) time.Duration {
	t.Helper()
	start := time.Now()
	for time.Since(start) < within {
		ok := true
		for i, w := range ws {
			ok = ok && w.has() == want[i]
		}
		if ok {
			return time.Since(start)
		}
		time.Sleep(10 * time.Millisecond)
	}
	var got []int
	for _, w := range ws {
		got = append(got, w.has())
	}
	t.Fatalf("got %v lanes after %s, want %v", got, within, want)
	return 0
}

// groups runs on both brokers.
func groups(t *testing.T, fresh func(*testing.T) *rig) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *rig, string)
	}{
		{"three share and one leaves", threeShare},
		{"flush before it goes", flushFirst},
		{"another ledger", anotherLedger},
		{"another application", anotherApplication},
		{"new topic", newTopic},
		{"acknowledged", acknowledged},
		{"member that vanishes", vanishes},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, fresh(t), unique(t))
		})
	}
}

func threeShare(t *testing.T, g *rig, topic string) {
	g.create(topic, 8)
	a := g.join(t, topic, "a", "i1")
	settle(t, 20*time.Second, []*worker{a}, 4)
	b, c := g.join(t, topic, "b", "i1"), g.join(t, topic, "c", "i1")
	start := time.Now()
	for a.has() > 2 || b.has()+c.has()+a.has() != 4 || b.has() == 0 || c.has() == 0 {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("got %d, %d, %d lanes, want 2, 1, 1", a.has(), b.has(), c.has())
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.stop()
	if err := b.ends(t); err != nil || b.has() != 0 {
		t.Errorf("b: got %v with %d lanes left, want nil and none", err, b.has())
	}
	settle(t, 20*time.Second, []*worker{a, c}, 2, 2)
}

func flushFirst(t *testing.T, g *rig, topic string) {
	g.create(topic, 4)
	a := g.join(t, topic, "a", "i1")
	settle(t, 20*time.Second, []*worker{a}, 4)
	begun, release := make(chan time.Duration, 1), make(chan struct{})
	a.flush = func(ctx context.Context) {
		d, _ := ctx.Deadline()
		select {
		case begun <- time.Until(d):
		default:
		}
		<-release
	}
	b := g.join(t, topic, "b", "i1")
	if left := <-begun; left > 4*time.Second || left < 3*time.Second {
		t.Errorf("got %s for the flush, want half the rebalance timeout of 8 s", left)
	}
	time.Sleep(500 * time.Millisecond)
	if b.has() != 0 {
		t.Errorf("b has %d lanes while a flushes them", b.has())
	}
	close(release)
	settle(t, 20*time.Second, []*worker{a, b}, 2, 2)
	a.stop()
	if err := a.ends(t); err != nil {
		t.Error(err)
	}
}

func anotherLedger(t *testing.T, g *rig, topic string) {
	g.create(topic, 4)
	a := g.join(t, topic, "a", "i1")
	settle(t, 20*time.Second, []*worker{a}, 4)
	err := g.join(t, topic, "stray", "i2").ends(t)
	if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), "another ledger") || stream.Next(err) == "" {
		t.Errorf("got %v, want a permanent error that names the other ledger, with advice", err)
	}
	if a.has() != 4 {
		t.Errorf("the healthy member has %d lanes left, want 4", a.has())
	}
}

func anotherApplication(t *testing.T, g *rig, topic string) {
	g.create(topic, 4)
	cl, err := kgo.NewClient(kgo.SeedBrokers(g.addrs...), kgo.ConsumerGroup("millrace."+topic), kgo.ConsumeTopics(topic),
		kgo.DisableClientMetrics(), kgo.ClientID("reports"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		d, err := g.adm.DescribeGroups(t.Context(), "millrace."+topic)
		if err == nil && d["millrace."+topic].State == "Stable" {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("the application does not join: %v, %v", d, err)
		}
	}
	err = g.join(t, topic, "a", "i1").ends(t)
	if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), "reports") {
		t.Errorf("got %v, want a permanent error that names the client reports", err)
	}
}

func newTopic(t *testing.T, g *rig, topic string) {
	g.create(topic+"-a", 2)
	g.create("x"+topic+"-a", 2) // does not match as a whole
	w := g.join(t, topic, "a", "i1", func(c *kafka.Config, _ *kafka.Deps) {
		c.Topics, c.TopicPattern = nil, topic+"-[a-z]"
	})
	parts := map[stream.PartitionID]stream.Start{}
	take := func(n int) {
		t.Helper()
		for len(parts) < n {
			select {
			case c := <-w.turns:
				for _, gr := range append(c.Granted, c.Added...) {
					for _, p := range gr.Partitions {
						parts[p.ID] = p
					}
				}
				if len(c.Revoked) > 0 {
					t.Errorf("got %v revoked", c.Revoked)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("got %d partitions, want %d: %v", len(parts), n, parts)
			}
		}
	}
	take(2)
	id := g.create(topic+"-b", 3)
	take(5)
	for n := range 3 {
		pid := stream.PartitionID(fmt.Sprintf("kafka/%s-b/%d", topic, n))
		if p := parts[pid]; p.TopicID != id || p.Position != "0" {
			t.Errorf("%s: got %+v, want it from its beginning", pid, p)
		}
	}
}

func acknowledged(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 10)
	w := g.join(t, topic, "a", "i1")
	settle(t, 20*time.Second, []*worker{w}, 1)
	r := open(t, w.s, bookmark(topic, 0, 0, id))
	read(t, r, toEnd("10"))
	if err := r.Ack(t.Context(), []stream.Bookmark{bookmark(topic, 0, 7, id)}); err != nil {
		t.Fatal(err)
	}
	o, err := g.adm.FetchOffsets(t.Context(), "millrace."+topic)
	if got, ok := o.Lookup(topic, 0); err != nil || !ok || got.At != 7 {
		t.Errorf("got %+v, %v; want 7 in the group", got, err)
	}
	// Whoever resets it has no effect: it is not read back.
	w.stop()
	if err := w.ends(t); err != nil {
		t.Fatal(err)
	}
	if err := g.adm.CommitAllOffsets(t.Context(), "millrace."+topic, kadm.Offsets{topic: {0: {Topic: topic, At: 3}}}); err != nil {
		t.Fatal(err)
	}
	w = g.join(t, topic, "b", "i1")
	c := <-w.turns
	if p := c.Granted[0].Partitions[0].Position; p != "0" {
		t.Errorf("got the partition granted at %s, want its beginning", p)
	}
	// Without a member there is no group to tell: no error either.
	s := g.source(g.config(topic), g.deps())
	if err := open(t, s, bookmark(topic, 0, 0, id)).Ack(t.Context(), []stream.Bookmark{bookmark(topic, 0, 7, id)}); err != nil {
		t.Error(err)
	}
}

// vanishes: a member whose connections are cut, as by kill -9, loses its lanes after the session timeout.
func vanishes(t *testing.T, g *rig, topic string) {
	g.create(topic, 4)
	cut := &cutter{}
	a := g.join(t, topic, "a", "i1", func(_ *kafka.Config, d *kafka.Deps) {
		d.Options = append(d.Options, kgo.Dialer(cut.dial))
	})
	b := g.join(t, topic, "b", "i1")
	settle(t, 30*time.Second, []*worker{a, b}, 2, 2)
	cut.cut()
	took := settle(t, 30*time.Second, []*worker{b}, 4)
	t.Logf("the lanes moved after %s, session timeout 6 s", took)
	if took > 16*time.Second {
		t.Errorf("got the lanes after %s, want within the session timeout plus 10 s", took)
	}
	a.stop() // a client that cannot reach anybody still ends
	if err := a.ends(t); err != nil {
		t.Error(err)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	groups(t, func(t *testing.T) *rig { return newRig(t, addrs) })
}

// TestMemberThatIsThrownOut: a flush that takes too long costs the membership, and the worker comes back.
func TestMemberThatIsThrownOut(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t, kfake.GroupMinSessionTimeout(100*time.Millisecond))
	g := newRig(t, addrs)
	g.create("t", 4)
	quick := func(_ *kafka.Config, d *kafka.Deps) { d.SessionTimeout, d.RebalanceTimeout = time.Second, time.Second }
	a := g.join(t, "t", "a", "i1", quick)
	settle(t, 20*time.Second, []*worker{a}, 4)
	var once sync.Once
	a.flush = func(ctx context.Context) {
		once.Do(func() {
			<-ctx.Done()                // half the rebalance timeout
			time.Sleep(2 * time.Second) // and then it does not let go
		})
	}
	b := g.join(t, "t", "b", "i1", quick)
	settle(t, 20*time.Second, []*worker{a, b}, 2, 2)
	a.stop()
	b.stop()
	if err := errors.Join(a.ends(t), b.ends(t)); err != nil {
		t.Error(err)
	}
}
