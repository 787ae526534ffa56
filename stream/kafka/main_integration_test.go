//go:build integration

package kafka_test

import (
	"testing"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream/streamtest"
)

func TestMain(m *testing.M) { real.Main(m) }

// broker is a client of the real one.
func broker(t *testing.T) *rig { return newRig(t, []string{real.Kafka(t)}) }

func TestConformanceOnABroker(t *testing.T) {
	streamtest.TestSource(t, func(t *testing.T, partitions int) streamtest.Input {
		g := broker(t)
		topic := unique(t)
		g.create(topic, int32(partitions))
		return input{g, topic}
	})
}

func TestScenariosOnABroker(t *testing.T) { scenarios(t, broker) }
