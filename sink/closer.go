package sink

import (
	"sync"

	"github.com/millrace/millrace/stream"
)

// maxWorkers bounds a sink's uploads at a time: small files cost a round trip each, and 16 hide most of it. They are a
// sink's own, so that a store that hangs holds up nobody else's.
const maxWorkers = 16

// closer closes a sink's files in the order they come, on workers that live as long as there is something to do. Whoever
// began a file waits for it, through its writer's group; so nobody need stop the workers.
type closer struct {
	mu      sync.Mutex
	queue   []*file
	workers int
}

// enqueue takes over a file that is marked as closing and has left the pool's open files.
func (c *closer) enqueue(f *file) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, f)
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
		f := c.queue[0]
		c.queue[0] = nil
		c.queue = c.queue[1:]
		c.mu.Unlock()
		f.finish()
	}
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
