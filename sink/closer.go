package sink

import (
	"sync"

	"github.com/millrace/millrace/stream"
)

// maxWorkers bounds a sink's uploads at a time: small files cost a round trip each, and 16 hide most of it. They are a
// sink's own, so that a store that hangs holds up nobody else's.
const maxWorkers = 16

// closer closes a sink's files, and ends row groups of open ones, in the order in which they come, on workers that live as
// long as there is something to do. Whoever began a file waits for its end, through its writer's group; so nobody need stop
// the workers.
type closer struct {
	mu      sync.Mutex
	queue   []job
	workers int
}

// job is what a worker does to a file: finish or ease.
type job struct {
	f  *file
	do func(*file)
}

// enqueue takes over a file that is marked as closing and has left the pool's open files, or one that is marked as being
// eased.
func (c *closer) enqueue(f *file, do func(*file)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, job{f, do})
	if c.workers < maxWorkers {
		c.workers++
		go c.work()
	}
}

func (c *closer) work() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.workers--
			c.queue = nil
			c.mu.Unlock()
			return
		}
		j := c.queue[0]
		c.queue[0] = job{}
		c.queue = c.queue[1:]
		c.mu.Unlock()
		j.do(j.f)
	}
}

// ease ends f's row group and tells everybody who waits for its memory. That a file was closed meanwhile is as good.
func (f *file) ease() {
	err := f.w.failed()
	if err == nil {
		err = f.flush(f.w.ctx)
	}
	if err != nil {
		f.w.fail(err)
	}
	f.s.deps.Pool.eased(f)
}

// finish closes f and tells everybody who waits for it.
func (f *file) finish() {
	defer f.w.closing.Done()
	err := f.w.failed()
	if err == nil {
		err = f.close(f.w.ctx)
	}
	f.release()
	f.s.live.Add(-1)
	f.s.deps.Metrics.OpenFiles.Dec()
	if err != nil {
		f.w.fail(err)
	} else if f.evicted {
		f.s.deps.Hooks.Reach(stream.Evict, f.w.id.Lane)
		f.s.deps.Log.Debug("file closed for memory", "sink", f.s.cfg.Ref.Name, "path", f.key, "bytes", f.ref.Bytes, "txn", f.w.id.String())
	}
	f.s.deps.Pool.gone(f)
}
