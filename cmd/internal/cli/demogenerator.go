package cli

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/generate"
)

// demoGenerator makes orders at a steady rate. It goes on after what the topic holds already.
type demoGenerator struct {
	client   *kgo.Client
	gen      *generate.Generator
	next     int64 // number of the next order, which is how many there have ever been
	rate     int
	records  int64
	produced atomic.Int64
	done     atomic.Bool
}

func newDemoGenerator(ctx context.Context, addr string, o demoOptions) (*demoGenerator, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(demoTopic), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.DisableClientMetrics(),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(50_000),
	)
	if err != nil {
		return nil, fmt.Errorf("demo: generator: %w", err)
	}
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, demoTopic)
	if err != nil {
		cl.Close()
		return nil, fmt.Errorf("demo: generator: %w", err)
	}
	d := &demoGenerator{client: cl, gen: generate.Orders(generate.Demo()), rate: o.rate, records: o.records}
	ends.Each(func(l kadm.ListedOffset) { d.next += l.Offset })
	return d, nil
}

func (d *demoGenerator) run(ctx context.Context) error {
	defer d.done.Store(true)
	const tick = 10 * time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	var failed atomic.Pointer[error]
	owed := 0.0
	for last := time.Now(); d.records == 0 || d.produced.Load() < d.records; {
		now := time.Now()
		owed = min(owed+now.Sub(last).Seconds()*float64(d.rate), float64(d.rate))
		last = now
		for ; owed >= 1 && (d.records == 0 || d.produced.Load() < d.records); owed-- {
			_, key, value := d.gen.Append(nil, d.next) // the client keeps both until they are sent
			d.next++
			d.produced.Add(1)
			d.client.Produce(ctx, &kgo.Record{Key: key, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			})
		}
		if e := failed.Load(); e != nil {
			return fmt.Errorf("demo: generator: %w", *e)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return d.client.Flush(ctx)
}

// await waits until the generator is done and the ledger's bookmarks have reached everything that the topic holds.
func (d *demoGenerator) await(ctx context.Context, c *config.Pipeline) bool {
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		if d.done.Load() {
			if at, _ := readLedger(ctx, c); at.committed >= d.next {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
}
