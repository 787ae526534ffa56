package daemon

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
)

// Budget is the memory that all pipelines share.
func (d *Daemon) Budget() *stream.Budget { return d.budget }

// Report writes what every pipeline is doing to the board.
func (d *Daemon) Report(b *status.Board) {
	for _, s := range d.Status() {
		state, reason, next := s.Say(d.draining.Load())
		b.Set(s.Name, state, reason, next)
		g := status.Progress{
			LanesHeld: len(s.Lanes), LanesTotal: s.Total, LastCommit: s.Totals.LastCommit,
			Records: s.Totals.Read, Rows: s.Totals.Rows, Dead: s.Totals.Dead, Lag: -1, LagSeconds: -1,
		}
		for _, l := range s.Lanes {
			if l.Lag >= 0 {
				g.Lag = max(g.Lag, 0) + l.Lag
			}
		}
		b.Report(s.Name, g)
	}
}

// Say is the one word for what a pipeline is doing, with the reasons and the next step if it does not do well. The
// worst lanes speak for all.
func (s *Status) Say(draining bool) (state status.State, reason, next string) {
	switch {
	case s.Err != nil:
		state = status.Backoff
		if mended(s.Err) {
			state = status.Halted
		}
		return state, s.Err.Error(), stream.Next(s.Err)
	case draining:
		return status.Draining, "", ""
	case !s.Up:
		return status.Starting, "", ""
	}
	var reasons []string
	for _, rank := range []struct {
		state status.State
		of    func(*lane.LaneStatus) []string
	}{
		{status.Halted, haltedLane},
		{status.Waiting, func(l *lane.LaneStatus) []string { return inState(l, "waiting", l.Reason) }},
		{status.Starting, func(l *lane.LaneStatus) []string { return inState(l, "acquiring", "is being acquired") }},
	} {
		for i := range s.Lanes {
			rs := rank.of(&s.Lanes[i])
			if len(rs) > 0 && next == "" {
				next = s.Lanes[i].Next
			}
			reasons = append(reasons, rs...)
		}
		if len(reasons) > 0 {
			return rank.state, join(reasons), next
		}
	}
	if s.Trouble != nil && len(s.Lanes) == 0 {
		return status.Waiting, s.Trouble.Error(), stream.Next(s.Trouble)
	}
	return status.Running, s.Held, s.HeldNext
}

// haltedLane is why a lane, or partitions of it, wait for a person.
func haltedLane(l *lane.LaneStatus) []string {
	rs := inState(l, "halted", l.Reason)
	for _, p := range slices.Sorted(maps.Keys(l.Halted)) {
		rs = append(rs, fmt.Sprintf("%s: %s", p, l.Halted[p]))
	}
	return rs
}

func inState(l *lane.LaneStatus, state, reason string) []string {
	if l.State != state {
		return nil
	}
	return []string{fmt.Sprintf("lane %s: %s", l.Lane, reason)}
}

// most is how many reasons are told in full.
const most = 8

func join(reasons []string) string {
	if n := len(reasons); n > most {
		reasons = append(reasons[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(reasons, "; ")
}
