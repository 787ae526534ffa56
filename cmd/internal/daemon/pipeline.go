package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
)

// pipeline is one configuration, kept running.
type pipeline struct {
	d   *Daemon
	c   *config.Pipeline
	log *slog.Logger
	reg prometheus.Registerer // of the try that is running

	mu     sync.Mutex
	worker *lane.Worker // running; nil: not started, or between two tries
	input  io.Closer    // of worker
	err    error        // why it is not running
	since  time.Time
	before lane.Totals // of workers that have ended
}

// run builds and runs the pipeline again and again until ctx is over, or once, if the process is to end with its input. first is
// told how the first try to build it went.
func (p *pipeline) run(ctx context.Context, first func(error)) error {
	wait := p.c.Retry.Initial
	for {
		begin := time.Now()
		err := p.try(ctx, first)
		first = func(error) {}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			p.log.Warn("pipeline ended with an error when it was told to stop; what is not committed is read again", "pipeline", p.c.Name, "err", err, "next", stream.Next(err))
			return nil //nolint:nilerr // told to stop, and stopped
		}
		if p.d.s.Once && !errors.Is(err, stream.ErrUnavailable) {
			return p.named(err)
		}
		if time.Since(begin) > time.Minute {
			wait = p.c.Retry.Initial
		}
		p.fail(err)
		if mended(err) {
			wait = p.c.Retry.Max // a person has to do something first
		}
		p.log.Error("pipeline is not running, will retry", "pipeline", p.c.Name, "err", err, "in", wait.Round(time.Millisecond), "next", stream.Next(err))
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		wait = min(2*wait, p.c.Retry.Max)
	}
}

// named adds the pipeline's name to err where there are several.
func (p *pipeline) named(err error) error {
	if err == nil || len(p.d.pipelines) == 1 {
		return err
	}
	return fmt.Errorf("%s: %w", p.c.Name, err)
}

// mended tells whether only a person can mend a fault.
func mended(err error) bool {
	switch stream.Kind(err) {
	case "permanent", "foreign", "denied", "lost":
		return true
	}
	return false
}

// try is one life of the pipeline.
func (p *pipeline) try(ctx context.Context, first func(error)) (err error) {
	reg := &tracked{Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"pipeline": p.c.Name}, p.d.registry)}
	defer reg.forget()
	defer func() {
		if v := recover(); v != nil { // one pipeline's fault is none of the others'
			p.log.Error("a panic was caught; this is a fault of millrace, please report it", "pipeline", p.c.Name, "err", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("pipeline %s: panic: %v: %w", p.c.Name, v, stream.ErrPermanent)
			first(p.named(err))
		}
	}()
	w, src, err := p.patientBuild(ctx, reg)
	first(p.named(err))
	first = func(error) {}
	if err != nil {
		return err
	}
	p.set(w, nil)
	p.mu.Lock()
	p.input = src
	p.mu.Unlock()
	defer func() { err = errors.Join(err, src.Close()) }()
	defer p.ended(w)
	return w.Run(ctx, p.d.s.Drain)
}

// patientBuild builds the pipeline. One answer that was cut off must not end a process that is just starting, so what fails
// quickly is tried a few times; a server that is away takes longer to be found out, and is told at once.
func (p *pipeline) patientBuild(ctx context.Context, reg *tracked) (w *lane.Worker, src io.Closer, err error) {
	ctx, cancel := context.WithTimeout(ctx, buildTime)
	defer cancel()
	begin := time.Now()
	for n := 1; ; n++ {
		w, src, err = p.build(ctx, reg)
		if err == nil || n == quickTries || !errors.Is(err, stream.ErrUnavailable) || time.Since(begin) > quickTime {
			return w, src, err
		}
		p.log.Debug("could not start, tries again at once", "pipeline", p.c.Name, "err", err)
		reg.forget()
		t := time.NewTimer(p.c.Retry.Initial)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, nil, err
		case <-t.C:
		}
	}
}

const (
	quickTries = 3
	quickTime  = 5 * time.Second
)

func (p *pipeline) set(w *lane.Worker, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worker, p.err, p.since = w, err, time.Now()
}

func (p *pipeline) fail(err error) { p.set(nil, err) }

// ended keeps what a worker has counted.
func (p *pipeline) ended(w *lane.Worker) {
	s := w.Status()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.worker, p.since = nil, time.Now()
	p.before = p.before.Plus(s.Totals)
}

// Status of one pipeline.
type Status struct {
	lane.Status
	Name  string
	Err   error // why it is not running; nil while it starts or runs
	Since time.Time
	Up    bool // a worker is there
	// Trouble is why the worker takes no part in its source's group; nil: it does.
	Trouble error
	// Held is what keeps a source that is well from reading on, and HeldNext what a person can do about it.
	Held, HeldNext string
}

// troubled is a source that can tell why it is given nothing to read.
type troubled interface{ Trouble() error }

// heldUp is a source that can tell what it waits for although nothing is wrong with it.
type heldUp interface{ Held() (reason, next string) }

func (p *pipeline) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Name: p.c.Name, Err: p.err, Since: p.since, Up: p.worker != nil}
	if p.worker != nil {
		s.Status = p.worker.Status()
		if in, ok := p.input.(input); ok {
			if t, ok := in.Source.(troubled); ok {
				s.Trouble = t.Trouble()
			}
			if h, ok := in.Source.(heldUp); ok {
				s.Held, s.HeldNext = h.Held()
			}
		}
	}
	s.Totals = p.before.Plus(s.Totals)
	return s
}

// tracked remembers what was registered, so that the next life of a pipeline can register it anew.
type tracked struct {
	prometheus.Registerer
	mu   sync.Mutex
	mine []prometheus.Collector
}

// Register keeps c for forget.
func (t *tracked) Register(c prometheus.Collector) error {
	if err := t.Registerer.Register(c); err != nil {
		return err //nolint:wrapcheck // callers look for AlreadyRegisteredError
	}
	t.mu.Lock()
	t.mine = append(t.mine, c)
	t.mu.Unlock()
	return nil
}

// MustRegister panics on a metric that is there twice, which is a broken invariant.
func (t *tracked) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := t.Register(c); err != nil {
			panic(fmt.Sprintf("daemon: metric: %v", err))
		}
	}
}

func (t *tracked) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.mine {
		t.Unregister(c)
	}
	t.mine = nil
}
