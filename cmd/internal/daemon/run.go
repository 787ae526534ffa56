package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Settings are the process's, not a pipeline's.
type Settings struct {
	Session string       // one life of this process; unique
	Memory  stream.Bytes // limit of the whole process
	Drain   time.Duration
	Once    bool // end at the positions that the input has now
	Log     *slog.Logger
	Hooks   *stream.Hooks
	// Committed and Published, if set, are told of each transaction, from many goroutines.
	Committed, Published func(stream.Manifest)

	SessionTimeout, RebalanceTimeout, MetadataAge time.Duration // of consumer groups; 0: the source's own
}

// Daemon runs pipelines. Create it with New and call Run once.
type Daemon struct {
	s         Settings
	registry  *prometheus.Registry
	pipelines []*pipeline

	draining     atomic.Bool
	budget       *stream.Budget
	pool         *sink.Pool
	storeMetrics *store.Metrics
	uploads      object.Options
}

// New starts nothing.
func New(s Settings, registry *prometheus.Registry, cs []*config.Pipeline) *Daemon {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	d := &Daemon{s: s, registry: registry}
	d.share(registry)
	for _, c := range cs {
		d.pipelines = append(d.pipelines, &pipeline{d: d, c: c, log: s.Log, since: time.Now()})
	}
	return d
}

// Run keeps every pipeline running until ctx is over, and drains them then. With Once it returns when all input is done. If not
// one pipeline can be started it returns all their errors at once: then most likely something is wrong with this process or
// its place, and whoever started it should hear so.
func (d *Daemon) Run(ctx context.Context) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(run, func() { d.draining.Store(true) })()
	first := make(chan error, len(d.pipelines))
	errs := make([]error, len(d.pipelines))
	var wg sync.WaitGroup
	for i, p := range d.pipelines {
		wg.Go(func() {
			errs[i] = p.run(run, func(err error) { first <- err })
		})
	}
	failed := d.start(ctx, first)
	if failed != nil {
		stop()
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	return errors.Join(errs...)
}

// start waits until every pipeline has tried to start. The error is nil if one of them could, or if ctx was over first.
func (d *Daemon) start(ctx context.Context, first <-chan error) error {
	var errs []error
	for range d.pipelines {
		select {
		case err := <-first:
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		case <-ctx.Done():
			return nil
		}
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(telling(a), telling(b)) })
	return &none{errs}
}

// telling orders faults by what a person should look at first: what is wrong here, then what is not allowed, then what is away.
func telling(err error) int {
	switch stream.Kind(err) {
	case "denied":
		return 1
	case "unavailable", "full", "unknown", "fenced":
		return 2
	}
	return 0
}

// none says why not one pipeline could be started. Its class is that of the fault to look at first.
type none struct{ errs []error }

func (n *none) Error() string {
	words := make([]string, len(n.errs))
	for i, err := range n.errs {
		words[i] = err.Error()
	}
	return strings.Join(words, "\n")
}

func (n *none) Unwrap() error { return n.errs[0] }

// Status of every pipeline, in the order of the configuration.
func (d *Daemon) Status() []Status {
	s := make([]Status, len(d.pipelines))
	for i, p := range d.pipelines {
		s[i] = p.status()
	}
	return s
}
