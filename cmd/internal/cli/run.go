package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

// groupTimes are how soon a consumer group notices changes. They are for places where the defaults do not fit.
type groupTimes struct{ session, rebalance, metadata time.Duration }

func newRun(g *global) *cobra.Command {
	var p process
	var once bool
	var times groupTimes
	cmd := &cobra.Command{
		Use:   "run PATH...",
		Short: "Run pipelines until told to stop",
		Long: "Run every pipeline of the files and folders given, until SIGTERM or Ctrl-C: then everything read is committed and published.\n" +
			"A second signal leaves at once; what was not committed is read again.",
		Example: "  millrace run orders.yaml\n  millrace run ./pipelines\n  millrace run --once orders.yaml",
		Args:    atLeast(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.run(cmd.Context(), args, p, once, times)
		},
	}
	p.flags(cmd, "127.0.0.1:8787")
	f := cmd.Flags()
	f.BoolVar(&once, "once", false, "end at the positions that the input has at the start")
	f.DurationVar(&times.session, "session-timeout", 0, "after how long without a sign of life the group gives a worker's lanes to others (default 15s)")
	f.DurationVar(&times.rebalance, "rebalance-timeout", 0, "how long a rebalance waits for flushes; each gets half of it (default 1m)")
	f.DurationVar(&times.metadata, "metadata-age", 0, "how soon new partitions and topics are seen (default 10s)")
	return cmd
}

func (g *global) run(ctx context.Context, paths []string, p process, once bool, times groupTimes) error {
	cs, err := g.load(paths)
	if err != nil {
		return err
	}
	memory, err := p.limit()
	if err != nil {
		return err
	}
	boundHeap(memory, g.env.Getenv)
	log := g.logger(g.screen)
	hooks, err := crashHooks(g.env.Getenv("MILLRACE_CRASH_AT"))
	if err != nil {
		return &exit{exitUsage, err}
	}
	registry := prometheus.NewRegistry()
	d := daemon.New(daemon.Settings{
		Session: newSession(), Memory: memory, Drain: p.drainTimeout, Once: once, Log: log, Hooks: hooks,
		SessionTimeout: times.session, RebalanceTimeout: times.rebalance, MetadataAge: times.metadata,
	}, registry, cs)
	srv, err := g.serve(d, registry, p)
	if err != nil {
		return err
	}
	defer srv.stop()
	log.Info("millrace runs", "pipelines", len(cs), "http", srv.url, "memory_limit", memory.String())
	prog := g.watch(ctx, d)
	defer context.AfterFunc(ctx, func() { log.Info("draining", "within", p.drainTimeout) })()
	begin, end := time.Now(), watchDrain(ctx, p.drainTimeout)
	err = d.Run(ctx)
	prog.stop()
	if err != nil {
		return err
	}
	all := d.Status()
	end.over(all)
	g.summary(all, time.Since(begin), end)
	return end.exit()
}

// load reads and checks configurations, and prints what is wrong with them.
func (g *global) load(paths []string) ([]*config.Pipeline, error) {
	o, err := g.configOptions()
	if err != nil {
		return nil, err
	}
	cs, faults := config.LoadAll(paths, daemon.Components(), o)
	if len(faults) > 0 {
		g.printFaults(g.screen, faults)
	}
	if faults.Errors() > 0 {
		return nil, &exit{code: exitConfig}
	}
	if len(cs) == 0 {
		return nil, &exit{exitConfig, fmt.Errorf("there is no pipeline in %s", strings.Join(paths, " "))}
	}
	return cs, nil
}

// limit is the memory limit that the flags ask for.
func (p *process) limit() (stream.Bytes, error) {
	if p.memory == "" {
		return defaultMemory(), nil
	}
	n, err := stream.ParseBytes(p.memory)
	if err == nil && n < 32<<20 {
		err = fmt.Errorf("%s is too little to work with; 32MiB is the least", p.memory)
	}
	if err != nil {
		return 0, &exit{exitUsage, fmt.Errorf("--memory-limit: %w", err)}
	}
	return n, nil
}

// newSession names one life of this process.
func newSession() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:]))
}

var errCrashPoint = errors.New("MILLRACE_CRASH_AT")
