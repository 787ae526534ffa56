//go:build integration

package e2e

import (
	"flag"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// Flags of the test binary.
var (
	kills = flag.Int("kills", 6, "how often TestKills kills the process")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of what tests choose by chance")
)

// groupFlags make a group notice quickly that a member is gone.
func groupFlags() []string {
	return []string{"--session-timeout", sessionTimeout.String(), "--rebalance-timeout", "20s", "--metadata-age", "1s"}
}

const (
	sessionTimeout = 4 * time.Second
	// takeover is how long the lanes of a dead worker may stand still: the session timeout, ten seconds, and as much again for a
	// machine that has other things to do.
	takeover = 2 * (sessionTimeout + 10*time.Second)
)

// moved tells whether every lane has committed since before.
func moved(l *lake, p place, before map[string]head) func() bool {
	return func() bool {
		for lane, h := range l.heads(p) {
			if h.N <= before[lane].N || h.Epoch == 0 {
				return false
			}
		}
		return true
	}
}

func TestWorkersShareLanesAndTakeThemOver(t *testing.T) {
	p := onS3(t, "workers")
	p.lanes, p.every = 6, 700*time.Millisecond
	o := newOrders(t, p, 6)
	l := p.open(t)
	conf := p.pipeline(t)
	stopLister := watch(t, p)
	stopProducing := o.keepProducing(2000)
	worker := func() *daemon { return start(t, nil, append([]string{"run", conf}, groupFlags()...)...) }
	ready := func(ds ...*daemon) func() bool {
		return func() bool {
			for _, d := range ds {
				if code, _ := d.get("/-/ready"); code != 200 || d.lanes() != 6/len(ds) {
					return false
				}
			}
			return true
		}
	}
	a := worker()
	until(t, time.Minute, "one worker holds six lanes", ready(a))
	b := worker()
	until(t, time.Minute, "two workers hold three lanes each", ready(a, b))
	c := worker()
	until(t, time.Minute, "three workers hold two lanes each", ready(a, b, c))
	until(t, time.Minute, "all lanes commit", moved(l, p, l.heads(p)))

	before, begin := l.heads(p), time.Now()
	c.signal(syscall.SIGKILL)
	<-c.done
	until(t, takeover, "all lanes commit after one worker was killed", moved(l, p, before))
	t.Logf("all lanes went on %s after a worker was killed, with a session timeout of %s", time.Since(begin).Round(time.Millisecond), sessionTimeout)
	until(t, takeover, "two workers hold three lanes each", ready(a, b))

	before, begin = l.heads(p), time.Now()
	b.signal(syscall.SIGSTOP)
	until(t, takeover, "all lanes commit after one worker was stopped", moved(l, p, before))
	t.Logf("all lanes went on %s after a worker was stopped", time.Since(begin).Round(time.Millisecond))
	until(t, takeover, "the other holds all lanes", ready(a))
	b.signal(syscall.SIGCONT)
	until(t, time.Minute, "the worker that was resumed holds three lanes again", ready(a, b))
	until(t, time.Minute, "all lanes commit", moved(l, p, l.heads(p)))

	before, begin = l.heads(p), time.Now()
	a.signal(syscall.SIGTERM)
	until(t, sessionTimeout+10*time.Second, "the lanes of a worker that ends are handed over", moved(l, p, before))
	t.Logf("all lanes went on %s after a worker was told to end", time.Since(begin).Round(time.Millisecond))
	if code := a.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	stopProducing()
	until(t, time.Minute, "everything is committed and published", func() bool { return l.caughtUp(p, o) })
	b.signal(syscall.SIGTERM)
	if code := b.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	stopLister()
	o.settled(conf)
	o.verify(p)
}

// TestKills ends the process with SIGKILL at moments chosen by chance, while records are produced and consumed.
func TestKills(t *testing.T) {
	t.Parallel()
	t.Logf("-seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	p := onS3(t, "kills")
	p.every = 700 * time.Millisecond
	o := newOrders(t, p, 4)
	l := p.open(t)
	conf := p.pipeline(t)
	stopLister := watch(t, p)
	stopProducing := o.keepProducing(4000)
	daemon := func() *daemon { return start(t, nil, "run", "--session-timeout", "2s", conf) }
	for i := range *kills {
		d := daemon()
		before := l.heads(p)
		if i%2 == 1 { // every other one gets at least as far as a commit
			until(t, time.Minute, "a commit", func() bool {
				for lane, h := range l.heads(p) {
					if h.N > before[lane].N {
						return true
					}
				}
				return false
			})
		}
		time.Sleep(time.Duration(r.Int64N(int64(3 * time.Second)))) // the moment is what this test is about
		if !d.alive() && d.wait(0) != 69 {                          // a server that is too busy at the start is for whoever restarts the process
			t.Fatalf("ended by itself:\n%s", tail(d.stderr(), 4000))
		}
		d.signal(syscall.SIGKILL)
		<-d.done
	}
	d := daemon()
	all := moved(l, p, l.heads(p))
	until(t, time.Minute, "all lanes commit", func() bool {
		if !d.alive() && d.wait(0) == 69 {
			d = daemon()
		}
		return all()
	})
	stopProducing()
	until(t, time.Minute, "everything is committed and published", func() bool { return l.caughtUp(p, o) })
	var left []string
	until(t, 30*time.Second, "what the killed ones left is collected", func() bool { left = l.openUploads(); return len(left) == 0 })
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	stopLister()
	o.settled(conf)
	o.verify(p)
}
