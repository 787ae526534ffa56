package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream/lane"
)

// drain is how a run ends that a signal has ended.
type drain struct {
	ctx  context.Context // over: the signal has come
	most time.Duration
	left int64 // lanes that did not commit all they had read; known after the run
}

func watchDrain(ctx context.Context, most time.Duration) *drain { return &drain{ctx: ctx, most: most} }

// over takes note of what the run has left.
func (d *drain) over(all []daemon.Status) {
	for i := range all {
		d.left += all[i].Totals.LetGo
	}
}

// exit is how a process ends after its run.
func (d *drain) exit() error {
	switch {
	case d.ctx.Err() == nil:
		return nil
	case d.left > 0:
		return &exit{code: exitRetry}
	}
	return &exit{code: signalled(d.ctx, exitDone)}
}

// words begin the summary of a run that a signal has ended.
func (d *drain) words(g *global) string {
	switch {
	case d.ctx.Err() == nil:
		return ""
	case d.left > 0:
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
