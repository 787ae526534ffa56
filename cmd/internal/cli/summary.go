package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream/lane"
)

// summary says what a run did, once it is over: a line for each pipeline. drained: a signal ended it.
func (g *global) summary(all []daemon.Status, took time.Duration, drained bool) {
	if g.quiet {
		return
	}
	for i := range all {
		fmt.Fprintf(g.screen, "%s: %s%s, in %s\n", all[i].Name, g.drainWords(drained), countWords(all[i].Totals), round(took))
	}
}

func (g *global) drainWords(drained bool) string {
	if !drained {
		return ""
	}
	return "draining … " + paint(g.colours(g.screen), green, "committed") + ". "
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
