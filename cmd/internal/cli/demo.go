package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
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
		Long: "demo starts an embedded Kafka broker, a generator of orders, and the quickstart pipeline into a table on local disk.\n" +
			"Everything lives in one folder; a second run goes on where the first one stopped. Ctrl-C drains and commits.",
		Example: "  millrace demo\n  millrace demo --records 100000\n  millrace demo --port 0 --addr 127.0.0.1:0 --dir ./another-demo",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.rate < 1:
				return usagef("--rate %d: write a number from 1 on", o.rate)
			case o.records < 0:
				return usagef("--records %d: write a number from 1 on, or leave it out to run until Ctrl-C", o.records)
			case o.port < 0 || o.port > 65535:
				return usagef("--port %d: ports go up to 65535; 0 takes any that is free", o.port)
			}
			return g.demo(cmd.Context(), p, o)
		},
	}
	p.flags(cmd, "127.0.0.1:8787")
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "./millrace-demo", "folder for everything that the demo keeps")
	f.IntVar(&o.port, "port", 39092, "port of the embedded broker on 127.0.0.1; 0: any that is free")
	f.IntVar(&o.rate, "rate", 50_000, "orders that the generator makes a second; each takes about 30 bytes of the table")
	f.Int64Var(&o.records, "records", 0, "make so many orders, commit them all and end (default: until Ctrl-C)")
	return cmd
}

// demoRun is one run of the demo.
type demoRun struct {
	g      *global
	o      demoOptions
	c      *config.Pipeline
	d      *daemon.Daemon
	broker *kfake.Cluster
	addr   string // of the broker
	url    string // of the HTTP server
	first  *firstCommit
	end    *drain
	begin  time.Time
}

// demo starts it all: broker, topic, pipeline, HTTP server. Then it runs.
func (g *global) demo(ctx context.Context, p process, o demoOptions) error {
	r := &demoRun{g: g, o: o, begin: time.Now()}
	memory, err := p.limit()
	if err != nil {
		return err
	}
	boundHeap(memory, g.env.Getenv)
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return fmt.Errorf("--dir %s: %w", o.dir, err)
	}
	lock, err := demoDir(dir)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	if r.broker, r.addr, err = startBroker(dir, o.port); err != nil {
		return err
	}
	defer r.broker.Close()
	if r.c, err = g.demoPipeline(dir, o.dir, r.addr); err != nil {
		return err
	}
	r.first = newFirstCommit(r)
	registry := prometheus.NewRegistry()
	r.d = daemon.New(daemon.Settings{
		Session: newSession(), Memory: memory, Drain: p.drainTimeout, Log: g.demoLogger(), Published: r.first.published,
	}, registry, []*config.Pipeline{r.c})
	srv, err := g.serve(r.d, registry, p)
	if err != nil {
		return err
	}
	defer srv.stop()
	r.url, r.end = srv.url, watchDrain(ctx, p.drainTimeout)
	return r.run(ctx)
}

// demoLogger says only what is wrong, unless more is asked for: the rest would hide the picture.
func (g *global) demoLogger() *slog.Logger {
	quiet := *g
	if quiet.logLevel == "info" {
		quiet.logLevel = "warn"
	}
	return quiet.logger(g.screen)
}

// path is a place in the demo's folder, as people may copy it.
func (r *demoRun) path(elem ...string) string {
	p := filepath.Join(append([]string{r.o.dir}, elem...)...)
	if strings.HasPrefix(r.o.dir, "./") {
		return "./" + p
	}
	return p
}

func (r *demoRun) header(before demoLedger, goesOn bool) {
	if r.g.quiet {
		return
	}
	w := r.g.screen
	fmt.Fprintf(w, "millrace demo: a broker, a generator and a pipeline, all in %s\n", r.path())
	fmt.Fprintf(w, "  pipeline  %s (deploy/quickstart/orders.yaml)\n", r.path(demoFile))
	fmt.Fprintf(w, "  broker    %s (embedded, topic %s, %d partitions)\n", r.addr, demoTopic, demoPartitions)
	fmt.Fprintf(w, "  lake      %s      catalog  %s\n", r.path("lake", demoTopic), r.path("catalog"))
	fmt.Fprintf(w, "  metrics   %s/metrics\n", r.url)
	if goesOn {
		fmt.Fprintf(w, "  goes on   where the last run stopped: %s committed so far\n", plural(before.committed, "record"))
	}
}

// run lets generator and pipeline run until ctx is over, or until everything asked for is committed.
func (r *demoRun) run(ctx context.Context) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	before, goesOn := readLedger(ctx, r.c)
	r.header(before, goesOn)
	gen, err := newDemoGenerator(run, r.addr, r.o)
	if err != nil {
		return err
	}
	defer gen.client.Close()
	prog := r.g.watch(run, r.d)
	var wg sync.WaitGroup
	var genErr error
	wg.Go(func() {
		if genErr = gen.run(run); genErr != nil {
			stop() // without orders there is nothing to see
		}
	})
	wg.Go(func() { retain(run, r.broker) })
	wg.Go(func() { r.first.show(run) })
	wg.Go(func() {
		if r.o.records > 0 && gen.await(run, r.c) {
			stop()
		}
	})
	err = r.d.Run(run)
	prog.stop()
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	if genErr != nil && !errors.Is(genErr, context.Canceled) {
		return genErr
	}
	r.end.over(r.d.Status())
	r.first.showNow() // a short run may be over before it was shown
	r.summary(ctx)
	return r.end.exit()
}

func (r *demoRun) summary(ctx context.Context) {
	if r.g.quiet {
		return
	}
	at, _ := readLedger(context.WithoutCancel(ctx), r.c)
	pending := "Nothing pending."
	if at.pending > 0 {
		pending = paint(r.g.colours(r.g.screen), yellow, plural(at.pending, "transaction")+" committed and not yet published") + ": the next start does it."
	}
	words := r.end.words(r.g)
	if words == "" {
		words = "all " + paint(r.g.colours(r.g.screen), green, "committed") + " after " + round(time.Since(r.begin)).String() + ". "
	}
	fmt.Fprintf(r.g.screen, "%s%s. %s Went to %s\n", words, countWords(r.d.Status()[0].Totals), pending, r.path("lake", demoTopic))
}

// self is how this program was called, for lines that people may copy.
func self() string {
	exe := os.Args[0]
	if strings.Contains(exe, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/millrace"
	}
	return exe
}
