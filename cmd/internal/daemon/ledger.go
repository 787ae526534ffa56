package daemon

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Ledger is a pipeline's ledger for verbs that look and do not join: what is committed, and where reading goes on.
type Ledger struct {
	*checkpoint.Ledger
	State stream.PipelineState
}

// OpenLedger reads pipeline.json of a configuration's ledger.
func OpenLedger(ctx context.Context, c *config.Pipeline) (*Ledger, error) {
	ref := stream.StoreRef{}
	if config.Remote(c.Delivery.Ledger) {
		ref = c.Store.S3
	}
	client, err := store.Open(ctx, c.Delivery.Ledger, store.Options{Endpoint: ref.Endpoint, Region: ref.Region, PathStyle: ref.PathStyle})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	l := checkpoint.New(checkpoint.Options{Store: client, Session: "reader", Log: slog.New(slog.DiscardHandler)})
	st, err := l.Inspect(ctx)
	if err != nil {
		return nil, err
	}
	return &Ledger{l, st}, nil
}

// Lanes of the pipeline.
func (l *Ledger) Lanes() []stream.LaneID {
	ids := make([]stream.LaneID, l.State.Lanes)
	for i := range ids {
		ids[i] = stream.LaneID(strconv.Itoa(i))
	}
	return ids
}
