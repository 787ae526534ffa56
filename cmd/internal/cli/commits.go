package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

func newCommits(g *global) *cobra.Command {
	var last int
	cmd := &cobra.Command{
		Use: "commits PATH...", Short: "List committed transactions, oldest first: what was read, and what it became",
		Args: atLeast(1), Example: "  millrace commits orders.yaml -n 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			if last < 1 {
				return &exit{exitUsage, fmt.Errorf("-n %d: write a number from 1 on", last)}
			}
			return g.commits(cmd.Context(), args, last)
		},
	}
	cmd.Flags().IntVarP(&last, "number", "n", 20, "how many of the newest to list")
	return cmd
}

// commitRow is one transaction, as it is printed.
type commitRow struct {
	Pipeline string         `json:"pipeline"`
	Time     time.Time      `json:"time"`
	Lane     string         `json:"lane"`
	N        uint64         `json:"n"`
	Epoch    uint64         `json:"epoch"`
	State    string         `json:"state"` // pending | retired
	Records  int64          `json:"records"`
	Rows     int64          `json:"rows"`
	Dead     int64          `json:"dead"`
	Files    int            `json:"files"`
	Bytes    int64          `json:"bytes"`
	Ranges   []stream.Range `json:"ranges"`
}

func (g *global) commits(ctx context.Context, paths []string, last int) error {
	var rows []commitRow
	var failed error
	err := g.ledgers(ctx, paths, func(l *daemon.Ledger, h stream.Head) {
		if h.N == 0 || failed != nil {
			return
		}
		from := h.N - min(h.N, uint64(last)) + 1 //nolint:gosec // last is positive
		for m, err := range l.History(ctx, h.Lane, from) {
			if err != nil {
				failed = err
				return
			}
			rows = append(rows, commitRowOf(l.State.Pipeline, &m, h.Retired))
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b commitRow) int { return a.Time.Compare(b.Time) })
	rows = rows[max(0, len(rows)-last):]
	return g.print(rows, []string{"TIME", "PIPELINE", "LANE", "TXN", "STATE", "RECORDS", "ROWS", "DEAD", "FILES", "SIZE", "READ"}, func(i int) []string {
		r := rows[i]
		var read []string
		for _, x := range r.Ranges {
			read = append(read, fmt.Sprintf("%s:%s–%s", x.Partition, x.From, x.To))
		}
		return []string{
			r.Time.UTC().Format(time.RFC3339), r.Pipeline, r.Lane, u(r.N), r.State, count(r.Records), count(r.Rows), count(r.Dead),
			strconv.Itoa(r.Files), stream.Bytes(r.Bytes).String(), clip(strings.Join(read, " "), 80),
		}
	})
}

func commitRowOf(pipeline string, m *stream.Manifest, retired uint64) commitRow {
	r := commitRow{
		Pipeline: pipeline, Time: time.UnixMicro(int64(m.Time)).UTC(), Lane: string(m.Lane), N: m.N, Epoch: m.Epoch, State: "retired",
		Records: m.Counts.Records, Dead: m.Counts.Dead, Files: len(m.Files), Ranges: m.Ranges,
	}
	if m.N > retired {
		r.State = "pending"
	}
	for _, f := range m.Files {
		r.Bytes += f.Bytes
		if f.Table != daemon.DeadLetters {
			r.Rows += f.Rows
		}
	}
	return r
}
