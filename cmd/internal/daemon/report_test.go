package daemon_test

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream/lane"
)

// TestWhatAPipelineSays: an open transaction of a producer is told without calling the pipeline unwell; a lane that waits is worse.
func TestWhatAPipelineSays(t *testing.T) {
	s := daemon.Status{Up: true, Held: "kafka/orders/2 stands at offset 7", HeldNext: "end the producer"}
	s.Lanes = []lane.LaneStatus{{Lane: "0", State: "running"}}
	if state, reason, next := s.Say(false); state != status.Running || reason != s.Held || next != s.HeldNext {
		t.Errorf("got %s %q, next %q", state, reason, next)
	}
	s.Lanes = append(s.Lanes, lane.LaneStatus{Lane: "1", State: "waiting", Reason: "the store is away"})
	if state, reason, _ := s.Say(false); state != status.Waiting || !strings.Contains(reason, "the store is away") {
		t.Errorf("got %s %q, want waiting for the store", state, reason)
	}
}
