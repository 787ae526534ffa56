package kafka_test

import (
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
)

func TestReadsWhatWasProduced(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	id := g.create("orders", 2)
	g.produce("orders", 0, 0, 100)
	g.produce("orders", 1, 0, 50)
	s := g.source(g.config("orders"), g.deps())
	starts, err := s.Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(starts) != 2 || starts[0].ID != "kafka/orders/0" || starts[0].TopicID != id || starts[0].Position != "0" {
		t.Fatalf("got %+v", starts)
	}
	r := open(t, s, starts[0].Bookmark, starts[1].Bookmark)
	got := map[stream.PartitionID]int{}
	for got["kafka/orders/0"] < 100 || got["kafka/orders/1"] < 50 {
		b, err := r.Next(within(t, 10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s [%s,%s) %d records end=%v lag=%d epoch=%d bytes=%d", b.Partition, b.From, b.To, len(b.Records), b.AtEnd, b.Lag, b.LeaderEpoch, b.Bytes)
		got[b.Partition] += len(b.Records)
		b.Release()
	}
}
