package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestOpenTransactionIsTold once, when reading has stood at it for long, and again only for another one.
func TestOpenTransactionIsTold(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &Source{c: DefaultConfig()}
	s.d.Log = slog.New(slog.NewTextHandler(&log, nil))
	r, p := &reader{s: s}, &partition{}
	r.order = []*partition{p}
	s.readers = map[*reader]struct{}{r: {}}
	told := 0
	now := time.Unix(1e9, 0)
	for i, c := range []struct {
		after             time.Duration
		stable, high, pos int64
		records           int64
		lines             int // in all
	}{
		{0, 10, 10, 10, 0, 0},
		{0, 10, 15, 10, 5, 0}, {heldFor - 1, 10, 16, 10, 6, 0}, {1, 10, 17, 10, 7, 1}, {heldFor, 10, 18, 10, 8, 1},
		{heldFor, 18, 18, 18, 0, 1},
		{0, 18, 20, 12, 2, 1}, {heldFor, 18, 20, 13, 2, 1}, // there is still something to read before it
		{0, 18, 20, 18, 2, 1}, {heldFor, 19, 20, 19, 1, 1}, // another transaction each time
		{heldFor, 19, 20, 19, 1, 2},
		{0, -1, 20, 19, 0, 2}, // an old broker, which knows no transactions
	} {
		now = now.Add(c.after)
		r.hold(p, &kmsg.FetchResponseTopicPartition{LastStableOffset: c.stable, HighWatermark: c.high}, c.pos, now)
		if n := strings.Count(log.String(), "open transaction"); p.held.records != c.records || n != c.lines {
			t.Errorf("step %d: got %d records held back and %d lines, want %d and %d", i, p.held.records, n, c.records, c.lines)
		}
		reason, next := s.Held()
		if p.held.told != (strings.Contains(reason, "open since") && next != "") {
			t.Errorf("step %d: told %v, but it says %q, next %q", i, p.held.told, reason, next)
		}
		if p.held.told {
			told++
		}
	}
	if told < 3 {
		t.Errorf("it was told in %d steps: the test looks at nothing", told)
	}
}
