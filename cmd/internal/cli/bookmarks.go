package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

func newBookmarks(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "bookmarks", Short: "Where reading goes on: the positions that the ledger keeps"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list PATH...", Short: "List the bookmark of every partition", Args: atLeast(1),
			Example: "  millrace bookmarks list orders.yaml",
			RunE:    func(cmd *cobra.Command, args []string) error { return g.bookmarksList(cmd.Context(), args) },
		},
		&cobra.Command{
			Use: "show PATH PARTITION", Short: "Show all that the ledger keeps of one partition", Args: exactly(2),
			Example: "  millrace bookmarks show orders.yaml kafka/orders/2",
			RunE:    func(cmd *cobra.Command, args []string) error { return g.bookmarksShow(cmd.Context(), args[0], args[1]) },
		},
	)
	return cmd
}

// bookmarkRow is one partition, as it is printed.
type bookmarkRow struct {
	Pipeline   string `json:"pipeline"`
	Partition  string `json:"partition"`
	Lane       string `json:"lane"`
	Position   string `json:"position"`
	Generation uint64 `json:"generation"`
	Epoch      uint64 `json:"epoch"`
	Commits    uint64 `json:"commits"`
	Pending    uint64 `json:"pending"`
	Owner      string `json:"owner"`
}

func (g *global) bookmarksList(ctx context.Context, paths []string) error {
	var rows []bookmarkRow
	err := g.ledgers(ctx, paths, func(l *daemon.Ledger, h stream.Head) {
		for _, id := range slices.Sorted(maps.Keys(h.Partitions)) {
			b := h.Partitions[id]
			rows = append(rows, bookmarkRow{
				Pipeline: l.State.Pipeline, Partition: string(id), Lane: string(h.Lane), Position: string(b.Position), Generation: b.Generation,
				Epoch: h.Epoch, Commits: h.N, Pending: h.N - h.Retired, Owner: h.Owner,
			})
		}
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b bookmarkRow) int { return strings.Compare(a.Pipeline, b.Pipeline) })
	return g.print(rows, []string{"PIPELINE", "PARTITION", "POSITION", "LANE", "EPOCH", "COMMITS", "PENDING", "OWNER"}, func(i int) []string {
		r := rows[i]
		owner := r.Owner
		if owner == "" {
			owner = "nobody"
		}
		return []string{r.Pipeline, r.Partition, r.Position, r.Lane, u(r.Epoch), u(r.Commits), u(r.Pending), owner}
	})
}

func (g *global) bookmarksShow(ctx context.Context, path, partition string) error {
	type full struct {
		Partition string          `json:"partition"`
		Bookmark  stream.Bookmark `json:"bookmark"`
		Start     stream.Position `json:"start"`
		Lane      stream.LaneID   `json:"lane"`
		Owner     string          `json:"owner"`
		Epoch     uint64          `json:"epoch"`
		Commits   uint64          `json:"commits"`
		Retired   uint64          `json:"retired"`
	}
	var found *full
	var known []string
	err := g.ledgers(ctx, []string{path}, func(l *daemon.Ledger, h stream.Head) {
		for id, b := range h.Partitions {
			known = append(known, string(id))
			if string(id) == partition {
				found = &full{partition, b, l.State.Starts[id].Position, h.Lane, h.Owner, h.Epoch, h.N, h.Retired}
			}
		}
	})
	if err != nil {
		return err
	}
	if found == nil {
		slices.Sort(known)
		return stream.WithNext(fmt.Errorf("the ledger of %s knows no partition %q: %w", path, partition, stream.ErrPermanent),
			"it knows: %s", clip(strings.Join(known, " "), 400))
	}
	return g.printJSON(found)
}

// ledgers calls f for every head of every pipeline's ledger.
func (g *global) ledgers(ctx context.Context, paths []string, f func(*daemon.Ledger, stream.Head)) error {
	cs, err := g.load(paths)
	if err != nil {
		return err
	}
	for _, c := range cs {
		l, err := daemon.OpenLedger(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		heads, err := l.Heads(ctx, l.Lanes())
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		for _, h := range heads {
			f(l, h)
		}
	}
	return nil
}

func u(n uint64) string { return strconv.FormatUint(n, 10) }
