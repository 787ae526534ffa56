package kafka_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
)

func TestValidateNamesEveryFault(t *testing.T) {
	t.Parallel()
	good := func() kafka.Config {
		c := kafka.DefaultConfig()
		c.Brokers, c.Topics = []string{"a:9092"}, []string{"orders"}
		return c
	}
	for _, c := range []struct {
		name   string
		change func(*kafka.Config)
		want   []string // path and code
	}{
		{"good", func(*kafka.Config) {}, nil},
		{"several brokers in one string", func(c *kafka.Config) { c.Brokers = []string{"a:9092, b:9092,[::1]:9092"} }, nil},
		{"a time", func(c *kafka.Config) { c.StartAt = "2026-01-31T00:00:00+02:00" }, nil},
		{"a pattern", func(c *kafka.Config) { c.Topics, c.TopicPattern = nil, `orders\..*|x` }, nil},
		{"nothing", func(c *kafka.Config) { *c = kafka.DefaultConfig() }, []string{"brokers E3101", "topics E3103"}},
		{"addresses", func(c *kafka.Config) { c.Brokers = []string{"a", "b:x", "c:99999", ":9092", "http://d:1"} },
			[]string{"brokers[0] E3102", "brokers[1] E3102", "brokers[2] E3102", "brokers[3] E3102", "brokers[4] E3102"}},
		{"topics and pattern", func(c *kafka.Config) { c.TopicPattern = "x" }, []string{"topic_pattern E3104"}},
		{"topics", func(c *kafka.Config) { c.Topics = []string{"a*", "b", "b", "..", strings.Repeat("x", 250)} },
			[]string{"topics[0] E3105", "topics[2] E3106", "topics[3] E3105", "topics[4] E3105"}},
		{"pattern", func(c *kafka.Config) { c.Topics, c.TopicPattern = nil, "(" }, []string{"topic_pattern E3107"}},
		{"words", func(c *kafka.Config) { c.StartAt, c.Isolation, c.Identity = "noon", "dirty", "id" },
			[]string{"start_at E3108", "isolation E3109", "identity E3109"}},
		{"half a certificate", func(c *kafka.Config) { c.TLS = &kafka.TLS{Cert: "x"} }, []string{"tls E3110"}},
		{"mechanism", func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "kerberos"} }, []string{"sasl.mechanism E3109"}},
		{"login", func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "scram-sha-512"} }, []string{"sasl.username E3111", "sasl.password E3112"}},
		{"half a key", func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "aws_msk_iam", Username: "x"} }, []string{"sasl E3113"}},
		{"role", func(c *kafka.Config) { c.SASL = &kafka.SASL{Mechanism: "aws_msk_iam"} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := good()
			c.change(&cfg)
			var got []string
			for _, f := range cfg.Validate() {
				got = append(got, f.Path+" "+f.Code)
				if f.Text == "" || f.Fix == "" {
					t.Errorf("%s: got text %q and fix %q, want both", f.Path, f.Text, f.Fix)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			_, err := kafka.New(cfg, kafka.Deps{Pipeline: "p"})
			if (err != nil) != (c.want != nil) {
				t.Errorf("New: got %v", err)
			}
		})
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	for _, c := range []kafka.TLS{
		{CA: filepath.Join(t.TempDir(), "ca.pem")},
		{CA: "config_test.go"}, // no certificate in it
		{Cert: "a.pem", Key: "b.pem"},
	} {
		cfg := kafka.DefaultConfig()
		cfg.Brokers, cfg.Topics, cfg.TLS = []string{"a:1"}, []string{"t"}, &c
		if _, err := kafka.New(cfg, kafka.Deps{}); !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" {
			t.Errorf("%+v: got %v, want a permanent error with advice", c, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{SASL: &kafka.SASL{Mechanism: "plain", Username: "u", Password: "hush"}}
	if s := fmt.Sprintf("%v %+v %#v", *cfg.SASL, cfg.SASL, cfg.SASL); strings.Contains(s, "hush") {
		t.Errorf("got %s", s)
	}
}
