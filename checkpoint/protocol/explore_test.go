package protocol_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/checkpoint/protocol"
)

// collect is garbage collection in three acts, between which anything may happen: it reads the head, if it is still worker
// i's; looks for what is there; and takes away what is garbage, one after the other. It goes on beside commits, and when the
// lane is lost. All that is not pending is old enough.
func (x *world) collect(i int, r *rules, step func(string, func(*world))) {
	w := &x.w[i]
	tag := string(rune('a' + i))
	if len(w.victims) > 0 {
		step(tag+" abort", func(y *world) {
			v := y.w[i].victims
			y.abort(v[0])
			y.w[i].victims = v[1:]
		})
		return
	}
	if w.seen == nil {
		holds := w.s.Phase == protocol.Held || r.early && w.s.Phase == protocol.Listing ||
			w.s.Kind != protocol.Acquiring && (w.s.Phase == protocol.Swapping || w.s.Phase == protocol.Deciding)
		if holds && x.left.passes > 0 && len(x.uploads) > 0 && x.head.Epoch == w.s.Head.Epoch && x.head.Owner == w.s.Owner {
			step(tag+" collect", func(y *world) { h := y.head; y.w[i].seen = &h; y.left.passes-- })
		}
		return
	}
	var victims []victim
	for n, u := range x.uploads {
		v := victim{Name: n, manifest: protocol.Objects(w.seen, n) == protocol.Garbage && x.manifests[n] != ""}
		if u == open && protocol.UploadsWithout(r.off, w.seen, n) == protocol.Garbage || v.manifest {
			victims = append(victims, v)
		}
	}
	slices.SortFunc(victims, func(a, b victim) int { return strings.Compare(a.String(), b.String()) })
	step(tag+" finds", func(y *world) {
		w := &y.w[i]
		w.seen, w.victims = nil, victims
		w.s, _ = protocol.Step(w.s, protocol.Collected{Cut: w.s.Head.Epoch})
	})
}

// way is how a state was reached.
type way struct {
	before *way
	step   string
}

func (w *way) String() string {
	if w == nil {
		return "start"
	}
	return w.before.String() + ", " + w.step
}

// explore walks through all states and returns the first violation with the way to it.
func explore(b bounds, r *rules, limit int) (states, finished int, found string) {
	type node struct {
		x    world
		from *way
	}
	start := newWorld(b, r)
	seen := map[[16]byte]bool{start.key(): true}
	queue := []node{{x: start}}
	defer func() {
		if v := recover(); v != nil {
			bad, ok := v.(violation)
			if !ok {
				panic(v)
			}
			states, found = len(seen), bad.what+": "+queue[0].from.String()
		}
	}()
	for len(queue) > 0 && len(seen) < limit {
		n := &queue[0]
		if n.x.head.Retired == b.n {
			finished++
		}
		n.x.successors(r, func(what string, y world) {
			k := y.key()
			if seen[k] {
				return
			}
			seen[k] = true
			queue = append(queue, node{y, &way{n.from, what}})
		})
		queue[0] = node{}
		queue = queue[1:]
	}
	return len(seen), finished, ""
}

func TestModel(t *testing.T) {
	for _, c := range []struct {
		name string
		b    bounds
		r    rules
	}{
		{"a crash", bounds{n: 1, epoch: 2, crashes: 1}, rules{plans: [2]uint64{1, 1}}},
		{"two commits, a lost answer", bounds{n: 2, epoch: 2, doubts: 1}, rules{plans: [2]uint64{1, 1}}},
		{"garbage, a late or doubled request", bounds{n: 1, epoch: 2, later: 1, passes: 1}, rules{plans: [2]uint64{1, 1}}},
		{"three owners", bounds{n: 1, epoch: 3, lives: 1}, rules{plans: [2]uint64{1, 1}}},
		{"commits, garbage", bounds{n: most, epoch: 2, passes: 1}, rules{plans: [2]uint64{1, 1}}},
		{"giving up, and again", bounds{n: 1, epoch: 3, stops: 1}, rules{plans: [2]uint64{1, 1}}},
		{"a head older than its data", bounds{n: 1, epoch: 2, lives: 1, restores: 1}, rules{plans: [2]uint64{1, 1}}},
		{"two plans", bounds{n: 1, epoch: 2, later: 1}, rules{plans: [2]uint64{1, 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			states, finished, found := explore(c.b, &c.r, 1<<20)
			if states >= 1<<20 {
				t.Fatal("the bounds are too wide to walk through all states")
			}
			t.Logf("%d states, %d of them with everything published", states, finished)
			if found != "" {
				t.Fatal(found)
			}
			if finished == 0 {
				t.Fatal("nothing was ever published")
			}
		})
	}
}

// TestMutants: without any one of its guards, the model must find the protocol wanting.
func TestMutants(t *testing.T) {
	all := bounds{n: 2, epoch: 3, lives: 2, crashes: 1, doubts: 2, later: 1}
	for _, c := range []struct {
		name string
		r    rules
	}{
		{"epoch check", rules{off: protocol.OffEpoch}},
		{"nonce", rules{off: protocol.OffNonce}},
		{"ETag", rules{off: protocol.OffETag}},
		{"re-read after an ambiguous answer", rules{off: protocol.OffReread}},
		{"dense numbers", rules{off: protocol.OffDense}},
		{"plan epoch", rules{off: protocol.OffPlan, plans: [2]uint64{1, 2}}},
		{"looking beyond the head", rules{off: protocol.OffBeyond}},
		{"garbage by epochs", rules{off: protocol.OffGarbageEpochs}},
		{"garbage spares what comes after", rules{off: protocol.OffGarbageNewer}},
		{"garbage spares what is being made", rules{off: protocol.OffGarbageOwn}},
		{"garbage after the look beyond the head", rules{early: true}},
		{"the head read once more", rules{off: protocol.OffConfirm}},
		{"taking again", rules{off: protocol.OffRetake}},
		{"nothing after giving up", rules{off: protocol.OffOver}},
		{"pending epochs are not cut", rules{off: protocol.OffCut}},
		{"no discarding after W6 was sent", rules{discards: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.r.plans == [2]uint64{} {
				c.r.plans = [2]uint64{1, 1}
			}
			b := all
			switch {
			case c.r.off == protocol.OffBeyond || c.r.early:
				b = bounds{n: 1, epoch: 3, lives: 1, restores: 1, passes: 1}
			case c.r.off == protocol.OffCut:
				b = bounds{n: 2, epoch: 2, passes: 1}
			case c.r.off == protocol.OffOver:
				b = bounds{n: 1, epoch: 1, stops: 1}
			case c.r.off >= protocol.OffGarbageEpochs && c.r.off != protocol.OffDense:
				b = bounds{n: 1, epoch: 2, passes: 1}
			}
			states, _, found := explore(b, &c.r, 1<<20)
			if found == "" {
				t.Fatalf("%d states and no violation", states)
			}
			t.Logf("%d states: %s", states, found)
		})
	}
}
