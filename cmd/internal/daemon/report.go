package daemon

import (
	"fmt"

	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
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

// Say is the one word for what a pipeline is doing, with the reason and the next step if it does not do well. The worst lane
// speaks for all.
func (s *Status) Say(draining bool) (state status.State, reason, next string) {
	switch {
	case s.Err != nil:
		state = status.Backoff
		if k := stream.Kind(s.Err); k == "permanent" || k == "foreign" || k == "denied" || k == "lost" {
			state = status.Halted
		}
		return state, s.Err.Error(), stream.Next(s.Err)
	case draining:
		return status.Draining, "", ""
	case !s.Up:
		return status.Starting, "", ""
	}
	worst := 0
	state = status.Running
	for _, l := range s.Lanes {
		for p, why := range l.Halted {
			if worst < 3 {
				worst, state, reason, next = 3, status.Halted, fmt.Sprintf("%s: %s", p, why), l.Next
			}
		}
		switch {
		case l.State == "halted" && worst < 4:
			worst, state, reason, next = 4, status.Halted, fmt.Sprintf("lane %s: %s", l.Lane, l.Reason), l.Next
		case l.State == "waiting" && worst < 2:
			worst, state, reason, next = 2, status.Waiting, fmt.Sprintf("lane %s: %s", l.Lane, l.Reason), l.Next
		case l.State == "acquiring" && worst < 1:
			worst, state, reason, next = 1, status.Starting, fmt.Sprintf("lane %s is being acquired", l.Lane), ""
		}
	}
	return state, reason, next
}
