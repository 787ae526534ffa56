package kafka_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/millrace/millrace/stream"
)

// TestOffsetsThatSomebodyResetHaveNoEffect, and a line says so.
func TestOffsetsThatSomebodyResetHaveNoEffect(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	id := g.create("reset", 2)
	g.produce("reset", 0, 0, 10)
	g.produce("reset", 1, 0, 10)
	var log written
	d, c := g.deps(), g.config("reset")
	d.Log = slog.New(slog.NewTextHandler(&log, nil))
	c.Group = "reset-by-hand"
	if _, err := g.adm.CommitOffsets(t.Context(), c.Group, kadm.Offsets{"reset": {0: {Topic: "reset", At: 7, LeaderEpoch: -1}, 1: {Topic: "reset", Partition: 1, At: 4, LeaderEpoch: -1}}}); err != nil {
		t.Fatal(err)
	}
	r := open(t, g.source(c, d), bookmark("reset", 0, 3, id))
	if l := read(t, r, toEnd("10")); l.from != stream.Position("3") || len(l.offsets) != 7 {
		t.Errorf("got %d records from %s, want 7 from 3", len(l.offsets), l.from)
	}
	g.until("a line says so", func() bool { return strings.Contains(log.String(), "has no effect") })
	if said := log.String(); !strings.Contains(said, "partition=kafka/reset/0 committed=7 position=3") || strings.Contains(said, "kafka/reset/1") || !strings.Contains(said, "millrace bookmarks") {
		t.Errorf("got:\n%s", said)
	}
}
