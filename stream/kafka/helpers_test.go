package kafka_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
)

// fake starts a broker in this process.
func fake(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, []string) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, c.ListenAddrs()
}

// rig makes topics and records on a broker.
type rig struct {
	t     testing.TB
	addrs []string
	cl    *kgo.Client
	adm   *kadm.Client
}

func newRig(t testing.TB, addrs []string, opts ...kgo.Opt) *rig {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(addrs...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics(), kgo.MetadataMinAge(50 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &rig{t, addrs, cl, kadm.NewClient(cl)}
}

// create makes a topic and waits until brokers show all of it.
func (r *rig) create(topic string, partitions int32) string {
	r.t.Helper()
	resp, err := r.adm.CreateTopic(r.t.Context(), partitions, 1, nil, topic)
	if err != nil {
		r.t.Fatal(err)
	}
	r.until("topic "+topic+" is there", func() bool {
		o, err := r.adm.ListEndOffsets(r.t.Context(), topic)
		n := 0
		o.Each(func(l kadm.ListedOffset) {
			if l.Err == nil && l.Offset == 0 {
				n++
			}
		})
		return err == nil && n == int(partitions)
	})
	return fmt.Sprintf("%x", resp.ID[:])
}

// until waits for something outside.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	for start := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > 30*time.Second {
			r.t.Fatalf("not after 30 s: %s", what)
		}
	}
}

// produce appends n records whose values are from, from+1, … and waits for them.
func (r *rig) produce(topic string, partition int32, from, n int) {
	r.t.Helper()
	var rs []*kgo.Record
	for i := from; i < from+n; i++ {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(strconv.Itoa(i))})
	}
	if err := r.cl.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) config(topics ...string) kafka.Config {
	c := kafka.DefaultConfig()
	c.Brokers, c.Topics = r.addrs, topics
	return c
}

func (r *rig) deps() kafka.Deps {
	return kafka.Deps{
		Pipeline: "test", Session: "s1", Log: logger(r.t), SessionTimeout: 6 * time.Second, RebalanceTimeout: 8 * time.Second,
		MetadataAge: 250 * time.Millisecond, Patience: 500 * time.Millisecond,
	}
}

func (r *rig) source(c kafka.Config, d kafka.Deps) *kafka.Source {
	r.t.Helper()
	s, err := kafka.New(c, d)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = s.Close() })
	return s
}

func logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func bookmark(topic string, n int32, offset int64, id string) stream.Bookmark {
	return stream.Bookmark{
		Partition: stream.PartitionID(fmt.Sprintf("kafka/%s/%d", topic, n)),
		Position:  stream.Position(strconv.FormatInt(offset, 10)), TopicID: id, LeaderEpoch: -1,
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func open(t testing.TB, s *kafka.Source, at ...stream.Bookmark) stream.Reader {
	t.Helper()
	r, err := s.Open(t.Context(), "0", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func rawID(t testing.TB, id string) (raw [16]byte) {
	t.Helper()
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != len(raw) {
		t.Fatalf("%q is no topic id: %v", id, err)
	}
	copy(raw[:], b)
	return raw
}
