package kafka_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/kafka"
)

// written collects what several goroutines log.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// TestSecretsAreNeverLogged looks at everything that is said at the level debug, when a login works and when it does not.
func TestSecretsAreNeverLogged(t *testing.T) {
	t.Parallel()
	const right, wrong = "correct-horse", "battery-staple"
	_, addrs := fake(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "plain", right), kfake.Superuser("SCRAM-SHA-256", "scram", right), kfake.Superuser("SCRAM-SHA-512", "scram5", right))
	for _, c := range []struct {
		mechanism, user, password string
		works                     bool
	}{
		{"plain", "plain", right, true}, {"plain", "plain", wrong, false},
		{"scram-sha-256", "scram", right, true}, {"scram-sha-256", "scram", wrong, false},
		{"scram-sha-512", "scram5", right, true}, {"scram-sha-512", "scram5", wrong, false},
		{"oauthbearer", "", wrong, false}, {"aws_msk_iam", "key", wrong, false},
	} {
		t.Run(c.mechanism+" "+c.password, func(t *testing.T) {
			t.Parallel()
			var log written
			cfg := kafka.DefaultConfig()
			cfg.Brokers, cfg.Topics = addrs, []string{"t"}
			cfg.SASL = &kafka.SASL{Mechanism: c.mechanism, Username: c.user, Password: stream.Secret(c.password)}
			s, err := kafka.New(cfg, kafka.Deps{Pipeline: "p", Session: "s", Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.ClusterID(t.Context())
			if (err == nil) != c.works || err != nil && stream.Next(err) == "" {
				t.Errorf("got %v, works: %v", err, c.works)
			}
			_ = s.Close()
			if said := log.String() + fmt.Sprintf("%v %+v %q %#v", err, err, stream.Next(err), cfg.SASL); strings.Contains(said, c.password) {
				t.Errorf("the secret is shown:\n%s", said)
			}
		})
	}
}
