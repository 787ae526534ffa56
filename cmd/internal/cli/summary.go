package cli

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream/lane"
)

// drain watches how a run is ended by a signal.
type drain struct {
	ctx   context.Context // over: the signal has come
	most  time.Duration
	began atomic.Pointer[time.Time]
}

func watchDrain(ctx context.Context, most time.Duration) *drain {
	d := &drain{ctx: ctx, most: most}
	context.AfterFunc(ctx, func() {
		now := time.Now()
		d.began.CompareAndSwap(nil, &now)
	})
	return d
}

// late tells, after the run, that the drain took all the time that it had, so that something may be left.
func (d *drain) late() bool {
	at := d.began.Load()
	return d.ctx.Err() != nil && at != nil && time.Since(*at) >= d.most
}

// exit is how a process ends after its run.
func (d *drain) exit() error {
	switch {
	case d.ctx.Err() == nil:
		return nil
	case d.late():
		return &exit{code: exitRetry}
	}
	return &exit{code: signalled(d.ctx, exitDone)}
}

// words begin the summary of a run that a signal has ended.
func (d *drain) words(g *global) string {
	switch {
	case d.ctx.Err() == nil:
		return ""
	case d.late():
		return "draining … " + paint(g.colours(g.screen), yellow, "not all was committed") + " within " + d.most.String() + ": the next start reads the rest again. "
	}
	return "draining … " + paint(g.colours(g.screen), green, "committed") + ". "
}

// summary says what a run did, once it is over: a line for each pipeline.
func (g *global) summary(all []daemon.Status, took time.Duration, end *drain) {
	if g.quiet {
		return
	}
	for i := range all {
		fmt.Fprintf(g.screen, "%s: %s%s, in %s\n", all[i].Name, end.words(g), countWords(all[i].Totals), round(took))
	}
}

// countWords balance: every record is a row, was filtered or skipped, or is a dead letter.
func countWords(t lane.Totals) string {
	parts := []string{
		fmt.Sprintf("%s in → %s in %s", plural(t.Records, "record"), plural(t.Rows, "row"), plural(t.Files, "file")),
		count(t.Filtered) + " filtered", plural(t.Dead, "dead letter"),
	}
	if t.Skipped > 0 {
		parts = append(parts, count(t.Skipped)+" skipped")
	}
	return strings.Join(parts, ", ")
}
