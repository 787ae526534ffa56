package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/quickstart"
	"github.com/millrace/millrace/stream"
)

const (
	demoTopic      = "orders"
	demoPartitions = 4
	// demoRetention bounds the broker's folder: 4 partitions of 256 MiB.
	demoRetention = "268435456"
)

type demoOptions struct {
	dir     string
	port    int
	rate    int
	records int64
}

func newDemo(g *global) *cobra.Command {
	var p process
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: a broker, a generator and a pipeline in one process",
		Long: "Start an embedded Kafka broker, a generator of orders, and the quickstart pipeline into a table on local disk.\n" +
			"Everything lives in one folder; a second run goes on where the first one stopped. Ctrl-C drains and commits.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.rate < 1 || o.records < 0 {
				return &exit{exitUsage, errors.New("--rate must be at least 1, and --records not negative")}
			}
			return g.demo(cmd.Context(), p, o)
		},
	}
	p.flags(cmd, "127.0.0.1:8787")
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "./millrace-demo", "folder for everything that the demo keeps")
	f.IntVar(&o.port, "port", 39092, "port of the embedded broker on 127.0.0.1; 0: any that is free")
	f.IntVar(&o.rate, "rate", 50_000, "orders that the generator makes a second")
	f.Int64Var(&o.records, "records", 0, "make so many orders, commit them all and end (default: until Ctrl-C)")
	return cmd
}

// demo is the whole of it: broker, topic, generator, daemon, and what people see.
func (g *global) demo(ctx context.Context, p process, o demoOptions) error {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", o.dir, err)
	}
	for _, sub := range []string{"broker", "lake"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o750); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	broker, addr, err := startBroker(dir, o.port)
	if err != nil {
		return err
	}
	defer broker.Close()
	c, err := g.demoPipeline(dir, addr)
	if err != nil {
		return err
	}
	memory, err := p.limit()
	if err != nil {
		return err
	}
	shown := newFirstCommit(o.dir)
	registry := prometheus.NewRegistry()
	d := daemon.New(daemon.Settings{
		Session: newSession(), Memory: memory, Drain: p.drainTimeout, Log: g.demoLogger(),
		Published: shown.published,
	}, registry, []*config.Pipeline{c})
	srv, err := g.serve(d, registry, p)
	if err != nil {
		return err
	}
	defer srv.stop()
	fmt.Fprintf(g.env.Stderr, "millrace demo: a broker, a generator and the pipeline deploy/quickstart/orders.yaml, all in %s\n", o.dir)
	fmt.Fprintf(g.env.Stderr, "  broker    %s (embedded, topic %s, %d partitions)\n", addr, demoTopic, demoPartitions)
	fmt.Fprintf(g.env.Stderr, "  lake      %s      catalog  %s\n", filepath.Join(o.dir, "lake", "orders"), filepath.Join(o.dir, "catalog"))
	fmt.Fprintf(g.env.Stderr, "  metrics   %s/metrics\n", srv.url)
	return g.demoRun(ctx, d, c, broker, addr, srv, o, shown)
}

// demoRun lets generator and pipeline run until ctx is over, or until everything asked for is committed.
func (g *global) demoRun(ctx context.Context, d *daemon.Daemon, c *config.Pipeline, broker *kfake.Cluster, addr string, srv *server, o demoOptions, shown *firstCommit) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	gen, err := newDemoGenerator(run, addr, o)
	if err != nil {
		return err
	}
	defer gen.client.Close()
	prog := g.watch(d)
	begin := time.Now()
	var wg sync.WaitGroup
	var genErr error
	wg.Go(func() { genErr = gen.run(run) })
	wg.Go(func() { // retention is applied only when it is asked for
		t := time.NewTicker(10 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-run.Done():
				return
			case <-t.C:
				broker.ApplyRetention()
			}
		}
	})
	wg.Go(func() {
		select {
		case <-run.Done():
		case text := <-shown.ready:
			prog.print(g.env.Stdout, text+fmt.Sprintf("try   curl -s %s/metrics | grep millrace_\n", srv.url)+
				"      kill -9 this process and start it again: no row is lost, none comes twice\n\n")
		}
	})
	wg.Go(func() {
		if o.records > 0 && gen.await(run, c) {
			stop()
		}
	})
	err = d.Run(run)
	prog.stop()
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	if genErr != nil && !errors.Is(genErr, context.Canceled) {
		return genErr
	}
	g.demoSummary(d.Status()[0], o, time.Since(begin))
	if ctx.Err() != nil {
		return &exit{code: signalled(ctx, exitDone)}
	}
	return nil
}

// demoLogger says only what is wrong, unless more is asked for: the rest would hide the picture.
func (g *global) demoLogger() *slog.Logger {
	quiet := *g
	if quiet.logLevel == "info" {
		quiet.logLevel = "warn"
	}
	return quiet.logger(g.env.Stderr)
}

func (g *global) demoSummary(s daemon.Status, o demoOptions, took time.Duration) {
	t := s.Totals
	pending := "Nothing pending."
	if p := pendingWords(s); p != "" {
		pending = strings.TrimPrefix(p, "; ") + "."
	}
	fmt.Fprintf(g.env.Stderr, "drained and committed in %s: %s records in → %s rows in %s files, %s filtered, %s dead letters. %s It is all in %s\n",
		round(took), count(t.Records), count(t.Rows), count(t.Files), count(t.Filtered), count(t.Dead), pending, filepath.Join(o.dir, "lake", "orders"))
}

func startBroker(dir string, port int) (*kfake.Cluster, string, error) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(port), kfake.ClusterID("millrace-demo"), kfake.DataDir(filepath.Join(dir, "broker")),
		kfake.DefaultNumPartitions(demoPartitions),
	)
	if err != nil {
		return nil, "", stream.WithNext(fmt.Errorf("demo: embedded broker on 127.0.0.1:%d: %w", port, err),
			"if another demo runs, end it, or give this one a --port, an --addr and a --dir of its own")
	}
	if c.TopicInfo(demoTopic) == nil {
		retention := demoRetention
		if err := c.CreateTopic(demoTopic, demoPartitions, map[string]string{"retention.bytes": retention, "retention.ms": "-1"}); err != nil {
			c.Close()
			return nil, "", fmt.Errorf("demo: topic %s: %w", demoTopic, err)
		}
	}
	return c, c.ListenAddrs()[0], nil
}

// demoPipeline is the quickstart's file with the demo's places for its variables.
func (g *global) demoPipeline(dir, addr string) (*config.Pipeline, error) {
	o, err := g.configOptions()
	if err != nil {
		return nil, err
	}
	if o.Set == nil {
		o.Set = map[string]string{}
	}
	o.Dir = dir
	o.Set["KAFKA_BROKERS"] = addr
	o.Set["LAKE"] = filepath.Join(dir, "lake")
	o.Set["CATALOG"] = filepath.Join(dir, "catalog")
	o.Set["STATE"] = filepath.Join(dir, "ledger")
	c, faults := config.LoadText("deploy/quickstart/orders.yaml", quickstart.Orders, daemon.Components(), o)
	if c == nil {
		g.printFaults(g.env.Stderr, faults)
		return nil, &exit{code: exitConfig}
	}
	c.Delivery.CommitEvery = min(c.Delivery.CommitEvery, time.Second) // a demo should show something soon
	return c, nil
}

// demoGenerator makes orders at a steady rate. It goes on after what the topic holds already.
type demoGenerator struct {
	client   *kgo.Client
	gen      *generate.Generator
	next     int64
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
	t := time.NewTicker(50 * time.Millisecond)
	defer t.Stop()
	for {
		if d.done.Load() && committed(ctx, c) >= d.next {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
		}
	}
}

// committed is the number of records before the bookmarks, of all partitions together.
func committed(ctx context.Context, c *config.Pipeline) (n int64) {
	l, err := daemon.OpenLedger(ctx, c)
	if err != nil {
		return 0 // not there yet
	}
	heads, err := l.Heads(ctx, l.Lanes())
	if err != nil {
		return 0
	}
	for _, h := range heads {
		for _, b := range h.Partitions {
			at, err := strconv.ParseInt(string(b.Position), 10, 64)
			if err == nil {
				n += at
			}
		}
	}
	return n
}
