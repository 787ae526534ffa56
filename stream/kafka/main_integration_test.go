//go:build integration

package kafka_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
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

func TestGroupsOnABroker(t *testing.T) { groups(t, broker) }

// TestBrokerIsKilled: kill -9 of the only broker; what was read before and after tiles, and the group finds itself again.
func TestBrokerIsKilled(t *testing.T) {
	node := real.KafkaNode(t)
	g := broker(t)
	topic := unique(t)
	id := g.create(topic, 2)
	g.produce(topic, 0, 0, 100)
	w := g.join(t, topic, "a", "i1")
	settle(t, 30*time.Second, []*worker{w}, 2)
	r := open(t, w.s, bookmark(topic, 0, 0, id))
	read(t, r, toEnd("100"))
	node.Kill(t)
	ctx := within(t, 2*time.Minute)
	start := time.Now()
	if b, err := r.Next(ctx); !errors.Is(err, stream.ErrUnavailable) {
		t.Fatalf("got %+v, %v from a dead broker; want unavailable", b, err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("got the first word after %s", took)
	}
	node.Start(t)
	g = broker(t)
	g.produce(topic, 0, 100, 100)
	for at := stream.Position("100"); at != "200"; {
		b, err := r.Next(ctx)
		if errors.Is(err, stream.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.From != at {
			t.Fatalf("got from %s, want %s", b.From, at)
		}
		at = b.To
		b.Release()
	}
	settle(t, time.Minute, []*worker{w}, 2)
}

func TestSecuredListeners(t *testing.T) {
	node := real.KafkaSecure(t)
	g := newRig(t, []string{node.Addr})
	topic := unique(t)
	g.create(topic, 1)
	g.produce(topic, 0, 0, 10)
	tls := &kafka.TLS{CA: node.Dir + "/kafka/tls/ca.pem"}
	mutual := &kafka.TLS{CA: tls.CA, Cert: node.Dir + "/kafka/tls/client.pem", Key: node.Dir + "/kafka/tls/client.key"}
	login := func(mechanism, password string) *kafka.SASL {
		return &kafka.SASL{Mechanism: mechanism, Username: real.User, Password: stream.Secret(password)}
	}
	for _, c := range []struct {
		name, addr string
		tls        *kafka.TLS
		sasl       *kafka.SASL
		want       error
		next       string
	}{
		{"tls", node.TLS, tls, nil, nil, ""},
		{"mutual tls", node.TLS, mutual, nil, nil, ""},
		{"plain over tls", node.SASLTLS, tls, login("plain", real.Password), nil, ""},
		{"scram 256 over tls", node.SASLTLS, tls, login("scram-sha-256", real.Password), nil, ""},
		{"scram 512", node.SASL, nil, login("scram-sha-512", real.Password), nil, ""},
		{"wrong password", node.SASLTLS, tls, login("scram-sha-256", "wrong"), stream.ErrDenied, "source.kafka.sasl"},
		{"wrong plain password", node.SASL, nil, login("plain", "wrong"), stream.ErrDenied, "source.kafka.sasl"},
		{"mechanism not offered", node.SASL, nil, &kafka.SASL{Mechanism: "oauthbearer", Password: "x"}, stream.ErrDenied, "source.kafka.sasl"},
		{"unknown authority", node.TLS, &kafka.TLS{}, nil, stream.ErrDenied, "source.kafka.tls"},
		{"other name", node.TLS, &kafka.TLS{CA: tls.CA, ServerName: "other"}, nil, stream.ErrDenied, "source.kafka.tls"},
		{"tls where there is none", node.Addr, tls, nil, stream.ErrUnavailable, "source.kafka.tls"},
		{"no tls where there is", node.TLS, nil, nil, stream.ErrUnavailable, "source.kafka.tls"},
		{"no login where one is wanted", node.SASL, nil, nil, stream.ErrUnavailable, "source.kafka.sasl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := g.config(topic)
			cfg.Brokers, cfg.TLS, cfg.SASL = []string{c.addr}, c.tls, c.sasl
			s := g.source(cfg, g.deps())
			start := time.Now()
			starts, err := s.Discover(t.Context())
			if took := time.Since(start); took > 12*time.Second {
				t.Errorf("it took %s", took)
			}
			if !errors.Is(err, c.want) || !strings.Contains(stream.Next(err), c.next) {
				t.Fatalf("got %v, next %q; want %v and %q", err, stream.Next(err), c.want, c.next)
			}
			if err != nil {
				t.Log(err, "|", stream.Next(err))
				if strings.Contains(fmt.Sprintf("%v %+v", err, cfg), real.Password) {
					t.Error("the password is in the message")
				}
				return
			}
			read(t, open(t, s, starts[0].Bookmark), toEnd("10"))
		})
	}
}
