package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
)

func TestBrokersThatCannotBeReached(t *testing.T) {
	t.Parallel()
	g := &rig{t: t, addrs: []string{"127.0.0.1:1"}}
	s := g.source(g.config("orders"), g.deps())
	start := time.Now()
	_, err := s.Discover(t.Context())
	if took := time.Since(start); took > 12*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(stream.Next(err), "source.kafka.brokers") {
		t.Errorf("got %v, next %q; want unavailable, with the address and the key to look at", err, stream.Next(err))
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got several lines: %v", err)
	}
	t.Log(err, "|", stream.Next(err))
	if _, err := s.ClusterID(t.Context()); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("ClusterID: got %v, want unavailable", err)
	}
}

// TestBrokerGoesAway: told after three seconds, not too often, and reading goes on by itself.
func TestBrokerGoesAway(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	id := g.create("orders", 1)
	g.produce("orders", 0, 0, 5)
	cut := &cutter{}
	d := g.deps()
	d.Options = []kgo.Opt{kgo.Dialer(cut.dial)}
	r := open(t, g.source(g.config("orders"), d), bookmark("orders", 0, 0, id))
	read(t, r, toEnd("5"))
	cut.cut()
	start := time.Now()
	ctx := within(t, 30*time.Second)
	_, err := r.Next(ctx)
	if took := time.Since(start); took < 2*time.Second || took > 5*time.Second {
		t.Errorf("got the first word after %s, want about 3 s", took)
	}
	if !errors.Is(err, stream.ErrUnavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
	t.Log(err)
	again := time.Now()
	if _, err = r.Next(ctx); !errors.Is(err, stream.ErrUnavailable) || time.Since(again) < 2*time.Second {
		t.Errorf("got %v after %s, want the same again after about 3 s", err, time.Since(again))
	}
	g.produce("orders", 0, 5, 5)
	cut.mend()
	for {
		b, err := r.Next(ctx)
		if errors.Is(err, stream.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.From != "5" || b.To != "10" {
			t.Errorf("got [%s,%s), want to go on at 5", b.From, b.To)
		}
		b.Release()
		return
	}
}

func TestLeadersMove(t *testing.T) {
	t.Parallel()
	c, addrs := fake(t, kfake.NumBrokers(3))
	g := newRig(t, addrs)
	id := g.create("orders", 3)
	r := open(t, g.source(g.config("orders"), g.deps()), bookmark("orders", 0, 0, id), bookmark("orders", 1, 0, id), bookmark("orders", 2, 0, id))
	ctx := within(t, 60*time.Second)
	at := map[int32]stream.Position{0: "0", 1: "0", 2: "0"}
	n := 0
	for round := range 10 {
		for p := range int32(3) {
			g.produce("orders", p, round*20, 20)
			if err := c.MoveTopicPartition("orders", p, int32(round+int(p))%3); err != nil {
				t.Fatal(err)
			}
		}
		for n < 60*(round+1) {
			b, err := r.Next(ctx)
			if errors.Is(err, stream.ErrUnavailable) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if b.From != at[b.Number] {
				t.Fatalf("partition %d: got from %s, want %s", b.Number, b.From, at[b.Number])
			}
			at[b.Number] = b.To
			n += len(b.Records)
			b.Release()
		}
	}
	if n != 600 {
		t.Errorf("got %d records, want 600", n)
	}
}

func TestOneBrokerOfThreeGoesAway(t *testing.T) {
	t.Parallel()
	c, addrs := fake(t, kfake.NumBrokers(3))
	g := newRig(t, addrs)
	id := g.create("orders", 3)
	var at []stream.Bookmark
	for p := range int32(3) {
		if err := c.MoveTopicPartition("orders", p, p); err != nil {
			t.Fatal(err)
		}
		at = append(at, bookmark("orders", p, 0, id))
	}
	c.Control(func(kr kmsg.Request) (kmsg.Response, error, bool) { // the shape is kfake's
		c.KeepControl()
		if kr.Key() == 1 && c.CurrentNode() == 2 {
			return nil, errors.New("away"), true
		}
		return nil, nil, false
	})
	r := open(t, g.source(g.config("orders"), g.deps()), at...)
	ctx := within(t, 30*time.Second)
	got := map[int32]int{}
	for round := range 20 {
		g.produce("orders", 0, round*5, 5)
		g.produce("orders", 1, round*5, 5)
	}
	told := false
	for got[0] < 100 || got[1] < 100 || !told {
		b, err := r.Next(ctx)
		if errors.Is(err, stream.ErrUnavailable) {
			told = true
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got[b.Number] += len(b.Records)
		b.Release()
	}
}

func TestOtherCluster(t *testing.T) {
	t.Parallel()
	_, one := fake(t, kfake.ClusterID("one"))
	_, two := fake(t, kfake.ClusterID("two"))
	a, b := newRig(t, one), newRig(t, two)
	id := a.create("orders", 1)
	b.create("orders", 1)
	sw := &switcher{to: one[0]}
	d := a.deps()
	d.Options = []kgo.Opt{kgo.Dialer(sw.dial)}
	s := a.source(a.config("orders"), d)
	if got, err := s.ClusterID(t.Context()); err != nil || got != "one" {
		t.Fatalf("got %q, %v", got, err)
	}
	sw.to = two[0]
	r := open(t, s, bookmark("orders", 0, 0, id))
	halts(t, r, "kafka/orders/0", "other_cluster")
}

type switcher struct{ to string }

func (s *switcher) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, s.to)
}

func TestTopicsThatAreNotThere(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	for _, n := range []string{"orders", "returns", "customers"} {
		g.create(n, 1)
	}
	for _, c := range []struct {
		name   string
		change func(*kafka.Config)
		want   string
	}{
		{"a typo", func(c *kafka.Config) { c.Topics = []string{"returns", "odrers"} }, `topic "odrers" does not exist`},
		{"a pattern", func(c *kafka.Config) { c.Topics, c.TopicPattern = nil, "order" }, `a topic that matches topic_pattern "order" does not exist`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := g.config()
			c.change(&cfg)
			_, err := g.source(cfg, g.deps()).Discover(t.Context())
			if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), c.want) || !strings.Contains(stream.Next(err), `there are: "orders"`) {
				t.Errorf("got %v, next %q; want permanent, %q, and the nearest topic", err, stream.Next(err), c.want)
			}
		})
	}
}

// TestTroubleWithTheGroupIsTold as long as a worker takes no part in it, and no longer.
func TestTroubleWithTheGroupIsTold(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t, kfake.GroupMinSessionTimeout(100*time.Millisecond))
	g := newRig(t, addrs)
	g.create("t", 4)
	cut := &cutter{}
	a := g.join(t, "t", "a", "i1", func(_ *kafka.Config, d *kafka.Deps) {
		d.SessionTimeout, d.RebalanceTimeout = time.Second, time.Second
		d.Options = []kgo.Opt{kgo.Dialer(cut.dial)}
	})
	settle(t, 20*time.Second, []*worker{a}, 4)
	if err := a.s.Trouble(); err != nil {
		t.Errorf("got %v while all is well, want nothing", err)
	}
	for _, there := range []bool{false, true} {
		if there {
			cut.mend()
		} else {
			cut.cut()
		}
		for end := time.Now().Add(30 * time.Second); (a.s.Trouble() == nil) != there; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("brokers there: %t; after 30 s the trouble is %v", there, a.s.Trouble())
			}
		}
		if err := a.s.Trouble(); !there && !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
	}
	settle(t, 20*time.Second, []*worker{a}, 4)
	a.stop()
	if err := a.ends(t); err != nil {
		t.Error(err)
	}
}
