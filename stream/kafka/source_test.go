package kafka_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
	"github.com/millrace/millrace/stream/streamtest"
)

// input is one topic, as the conformance suite sees it.
type input struct {
	g     *rig
	topic string
}

var topics atomic.Int64

// unique makes a name that no other test uses.
func unique(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s-%d", name, topics.Add(1))
}

func (in input) Source(t *testing.T) stream.Source {
	d := in.g.deps()
	d.Pipeline, d.Log = in.topic, logger(t)
	s, err := kafka.New(in.g.config(in.topic), d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (in input) Append(t *testing.T, n int, values ...string) {
	var rs []*kgo.Record
	for _, v := range values {
		rs = append(rs, &kgo.Record{Topic: in.topic, Partition: int32(n), Value: []byte(v)})
	}
	if err := in.g.cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (in input) Grow(t *testing.T, n int) {
	if _, err := in.g.adm.UpdatePartitions(t.Context(), n, in.topic); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	streamtest.TestSource(t, func(t *testing.T, partitions int) streamtest.Input {
		g := newRig(t, addrs)
		topic := unique(t)
		g.create(topic, int32(partitions))
		return input{g, topic}
	})
}
