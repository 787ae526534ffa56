package daemon_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
)

// TestABrokerThatGoesAwayShows: nothing is lost by it, but whoever asks must hear why nothing comes.
func TestABrokerThatGoesAwayShows(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	d := daemon.New(daemon.Settings{Session: "s", Memory: 256 << 20}, prometheus.NewRegistry(), []*config.Pipeline{pipeline(t, dir, "p", c.ListenAddrs()[0])})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	until(t, func() bool { s := d.Status()[0]; return len(s.Lanes) == 2 && s.Lanes[0].State == "running" })
	c.Close()
	until(t, func() bool {
		s := d.Status()[0]
		state, reason, _ := s.Say(false)
		return state == status.Waiting && reason != ""
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
