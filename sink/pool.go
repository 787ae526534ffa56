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

// Pool knows every open file of the process, of all sinks and lanes. When memory is short it ends row groups of the files
// that hold most, and where that does not suffice, closes the coldest.
type Pool struct {
	budget *stream.Budget
	used   atomic.Int64 // bytes that files hold, part of the budget
	clock  atomic.Int64 // bytes of rows that were ever written: what coldness is measured in

	mu      sync.Mutex
	open    map[*file]struct{}
	leaving map[*Sink]*leaving
	changed chan struct{} // closed and replaced whenever a file has gone
}

// leaving is what a sink's files that are being closed or eased will give back.
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
	l := p.of(f.s)
	f.leaving = f.mem.Load() - f.easing
	l.files++
	l.bytes += f.leaving
}

// of is what leaves of s. p.mu is held.
func (p *Pool) of(s *Sink) *leaving {
	l := p.leaving[s]
	if l == nil {
		l = &leaving{since: time.Now()}
		p.leaving[s] = l
	}
	return l
}

// gone ends what leave began: f holds no memory any more.
func (p *Pool) gone(f *file) {
	p.mu.Lock()
	p.left(f.s, f.leaving)
	p.mu.Unlock()
}

// eased ends what largest began: f's rows are encoded, or it is being closed.
func (p *Pool) eased(f *file) {
	p.mu.Lock()
	p.left(f.s, f.easing)
	f.easing, f.easedAt = 0, f.stamp.Load()
	p.mu.Unlock()
}

// left tells those who wait that n bytes expected of s need not be expected any more. p.mu is held.
func (p *Pool) left(s *Sink, n int64) {
	l := p.leaving[s]
	l.files--
	l.bytes -= n
	l.since = time.Now()
	if l.files == 0 {
		delete(p.leaving, s)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// expected is what the files being closed or eased will give back, those of other sinks that are stuck left out.
func (p *Pool) expected(by *Sink) (files int, bytes int64) {
	for s, l := range p.leaving {
		if s == by || !l.stuck() {
			files += l.files
			bytes += l.bytes
		}
	}
	return files, bytes
}

func (l *leaving) stuck() bool { return l != nil && time.Since(l.since) >= stuckAfter }

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

// relieve makes room while memory is short, and waits until it is not, for a writer of sink by. It gives up when no file could
// help: when all of them together hold less than a quarter of the limit, something else fills it, and cutting them into
// crumbs would make little room for that.
func (p *Pool) relieve(ctx context.Context, by *Sink) error {
	for {
		over := p.budget.Over()
		if over <= 0 || p.used.Load() < p.budget.Limit/4 {
			return nil
		}
		p.mu.Lock()
		_, bytes := p.expected(by)
		ease, rest := p.largest(by, over+p.slack()-bytes)
		var victims []*file
		if rest > p.slack() { // ending row groups does not suffice
			victims = p.coldest(rest, math.MaxInt, nil)
		}
		files, _ := p.expected(by)
		changed := p.changed
		p.mu.Unlock()
		for _, f := range ease {
			f.s.closer.enqueue(f, (*file).ease)
		}
		for _, f := range victims {
			f.s.closer.enqueue(f, (*file).finish)
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
			s.closer.enqueue(f, (*file).finish)
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

// leastGroup is how many bytes of rows make ending a row group worth while. Encoded they take about a fifth; below a
// MiB the headers and statistics of each column begin to count, and the upload's buffer eats up what was won. Under small
// limits many small files are the worse evil.
func (p *Pool) leastGroup() int64 { return min(1<<20, max(128<<10, p.budget.Limit/64)) }

// largest marks the files that hold most rows, until what they should give back makes up bytes, and returns them and what is
// still missing. Files of other sinks that are stuck would give nothing back. p.mu is held.
func (p *Pool) largest(by *Sink, bytes int64) (ease []*file, missing int64) {
	if bytes <= 0 {
		return nil, bytes
	}
	type candidate struct {
		f     *file
		plain int64
	}
	var all []candidate
	least := p.leastGroup()
	for f := range p.open {
		if n := f.plain.Load(); n >= least && f.easing == 0 && f.stamp.Load() != f.easedAt && (f.s == by || !p.leaving[f.s].stuck()) {
			all = append(all, candidate{f, n})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Compare(b.plain, a.plain) })
	for _, c := range all {
		if bytes <= 0 {
			break
		}
		c.f.easing = c.plain * 3 / 4 // a quarter stays as encoded bytes, until they make a part
		l := p.of(c.f.s)
		l.files++
		l.bytes += c.f.easing
		bytes -= c.f.easing
		ease = append(ease, c.f)
	}
	return ease, bytes
}

// coldest marks files as closing until they hold bytes, or are count, and returns them. Only those of sink of are taken, if
// it is not nil; a file that is being written to is not cold and is left alone, and so is one whose row group is being ended.
// p.mu is held.
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
		if (of == nil || f.s == of) && f.easing == 0 {
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
