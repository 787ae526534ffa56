package sink

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/stream"
)

// Pool knows every open file of the process, of all sinks and lanes, and closes the coldest when memory is short.
type Pool struct {
	budget *stream.Budget
	used   atomic.Int64 // bytes that files hold, part of the budget
	clock  atomic.Int64 // bytes of rows that were ever written: what coldness is measured in

	mu      sync.Mutex
	open    map[*file]struct{}
	leaving map[*Sink]*leaving
	changed chan struct{} // closed and replaced whenever a file has gone
}

// leaving is what a sink's files that are being closed will give back.
type leaving struct {
	files int
	bytes int64
	since time.Time // when the last one had gone, or the first one began
}

// stuckAfter is how long a sink may close files without finishing one before nobody counts on it any more. Till then its
// store is taken to be slow; afterwards other sinks close files of their own rather than wait for it.
const stuckAfter = 30 * time.Second

// NewPool returns a pool that counts files in b. reg may be nil.
func NewPool(b *stream.Budget, reg prometheus.Registerer) *Pool {
	p := &Pool{budget: b, open: map[*file]struct{}{}, leaving: map[*Sink]*leaving{}, changed: make(chan struct{})}
	registerBuffers(reg, func() float64 { return float64(p.used.Load()) })
	return p
}

// reserve counts n bytes more, or fewer.
func (p *Pool) reserve(n int64) {
	p.used.Add(n)
	p.budget.Add(n)
}

func (p *Pool) add(f *file) {
	p.mu.Lock()
	p.open[f] = struct{}{}
	p.mu.Unlock()
}

// leave takes f, which its holder has just marked as closing, out of the open files.
func (p *Pool) leave(f *file) {
	p.mu.Lock()
	p.leaveLocked(f)
	p.mu.Unlock()
}

func (p *Pool) leaveLocked(f *file) {
	delete(p.open, f)
	l := p.leaving[f.s]
	if l == nil {
		l = &leaving{since: time.Now()}
		p.leaving[f.s] = l
	}
	f.leaving = f.mem.Load()
	l.files++
	l.bytes += f.leaving
}

// gone ends what leave began: f holds no memory any more.
func (p *Pool) gone(f *file) {
	p.mu.Lock()
	l := p.leaving[f.s]
	l.files--
	l.bytes -= f.leaving
	l.since = time.Now()
	if l.files == 0 {
		delete(p.leaving, f.s)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
}

// expected is what the files being closed will give back, those of other sinks that are stuck left out.
func (p *Pool) expected(by *Sink) (files int, bytes int64) {
	for s, l := range p.leaving {
		if s == by || time.Since(l.since) < stuckAfter {
			files += l.files
			bytes += l.bytes
		}
	}
	return files, bytes
}

// wait returns when a file has gone since changed was read, when it may be seen that one is stuck, or with ctx's error.
func wait(ctx context.Context, changed <-chan struct{}) error {
	t := time.NewTimer(stuckAfter)
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// slack is how far below the limit files are closed, so that it is not one file after the other: an eighth.
func (p *Pool) slack() int64 { return p.budget.Limit / 8 }

// relieve closes the coldest files while memory is short, and waits until it is not, for a writer of sink by. It gives up when no file could help:
// when all of them together hold less than a sixteenth of the limit, something else fills it, and cutting them into
// crumbs would change nothing.
func (p *Pool) relieve(ctx context.Context, by *Sink) error {
	for {
		over := p.budget.Over()
		if over <= 0 || p.used.Load() < p.budget.Limit/16 {
			return nil
		}
		p.mu.Lock()
		_, bytes := p.expected(by)
		victims := p.coldest(over+p.slack()-bytes, math.MaxInt, nil)
		files, _ := p.expected(by)
		changed := p.changed
		p.mu.Unlock()
		for _, f := range victims {
			f.s.closer.enqueue(f)
		}
		if files == 0 {
			return nil
		}
		if err := wait(ctx, changed); err != nil {
			return err
		}
	}
}

// admit waits until s may open one more file, and closes its coldest sixteenth when it may not. Where all of them are
// being written to at this very moment, one more is opened.
func (p *Pool) admit(ctx context.Context, s *Sink) error {
	for s.live.Load() >= int64(s.cfg.MaxOpen) {
		p.mu.Lock()
		var victims []*file
		if p.leaving[s] == nil {
			victims = p.coldest(math.MaxInt64, s.cfg.MaxOpen/16+1, s)
		}
		closing, changed := p.leaving[s] != nil, p.changed
		p.mu.Unlock()
		for _, f := range victims {
			s.closer.enqueue(f)
		}
		if !closing {
			return nil
		}
		if err := wait(ctx, changed); err != nil {
			return err
		}
	}
	return nil
}

// coldest marks files as closing until they hold bytes, or are count, and returns them. Only those of sink of are taken, if
// it is not nil; a file that is being written to is not cold and is left alone. p.mu is held.
func (p *Pool) coldest(bytes int64, count int, of *Sink) []*file {
	if bytes <= 0 {
		return nil
	}
	type candidate struct {
		f        *file
		age, mem int64
	}
	quantum := max(p.slack(), 1<<20)
	now := p.clock.Load()
	all := make([]candidate, 0, len(p.open))
	for f := range p.open {
		if of == nil || f.s == of {
			all = append(all, candidate{f, (now - f.stamp.Load()) / quantum, f.mem.Load()})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(b.mem, a.mem))
	})
	var victims []*file
	for _, c := range all {
		if bytes <= 0 || len(victims) >= count {
			break
		}
		if c.f.take() {
			c.f.evicted = true
			p.leaveLocked(c.f)
			bytes -= c.mem
			victims = append(victims, c.f)
		}
	}
	return victims
}
