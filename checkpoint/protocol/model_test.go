package protocol_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
)

// The model: two workers and one head in a store that loses answers, delays and doubles requests, and workers that die or
// give up at every effect, publish, and collect garbage. All orders are walked through, breadth first, within the bounds.
// Lanes share nothing but the space of names, so that one head stands for all: see TestNames and TestLaneNames.

type bounds struct {
	restores               int    // of an earlier head, by somebody, while all workers are down
	n, epoch               uint64 // the highest number and epoch
	lives                  int    // new beginnings of each worker
	crashes, doubts, later int    // crashes; answers lost; requests that arrive later or twice
	stops                  int    // times that a worker gives up waiting, and lives on
	passes                 int    // of garbage collection
}

// message is a PUT under way to the store, whose sender no longer waits for it.
type message struct {
	put protocol.PutHead
}

type worker struct {
	s       protocol.State
	todo    protocol.Effect // asked for by the protocol, not carried out yet
	life    int             // crashes and new beginnings
	nonces  int
	seen    *stream.Head // read for garbage collection, before it looked for uploads
	victims []victim     // what garbage collection has decided to take away
}

// victim is a transaction's upload, and its manifest, if that is garbage, too.
type victim struct {
	protocol.Name
	manifest bool
}

type upload uint8

const (
	open upload = iota + 1
	completed
	aborted
)

// world is one state of the model. It is copied before it is changed.
type world struct {
	head      stream.Head
	net       []message
	w         [2]worker
	log       []string          // ghost: per number, epoch and hash of what was committed first
	owners    map[uint64]string // ghost: who took an epoch
	uploads   map[protocol.Name]upload
	manifests map[protocol.Name]string
	past      stream.Head // ghost: before the last commit
	restored  bool
	left      bounds
}

type rules struct {
	off      protocol.Guard
	discards bool // a mutant: whoever is fenced discards its upload
	early    bool // a mutant: garbage is collected before the look beyond the head
	plans    [2]uint64
}

func (x world) copy() world {
	x.net = slices.Clone(x.net)
	x.log = slices.Clone(x.log)
	x.owners = maps.Clone(x.owners)
	x.uploads = maps.Clone(x.uploads)
	x.manifests = maps.Clone(x.manifests)
	return x
}

// key names a state; two states with one key behave alike from there on.
func (x *world) key() [16]byte {
	b := make([]byte, 0, 1024)
	str := func(s string) { b = append(append(b, s...), 0) }
	num := func(v ...uint64) {
		for _, v := range v {
			b = append(b, byte(v)) // everything counted here stays far below 256
		}
	}
	head := func(h *stream.Head) {
		str(h.Nonce)
		str(h.Owner)
		num(h.Epoch, h.N, h.Retired, h.Plan)
		for _, e := range h.Epochs {
			num(e[0], e[1])
		}
		b = append(b, 0xff)
	}
	head(&x.head)
	for i := range x.net {
		head(&x.net[i].put.Head)
		str(x.net[i].put.IfMatch)
	}
	for i := range x.w {
		w := &x.w[i]
		num(0xfe, uint64(w.s.Phase), uint64(w.s.Kind), uint64(w.life), uint64(w.nonces))
		str(fmt.Sprintf("%T", w.todo))
		str(w.s.ETag)
		for _, v := range w.victims {
			num(v.N, v.Epoch)
			b = append(b, fmt.Sprint(v.manifest)[0])
		}
		if w.seen != nil {
			head(w.seen)
		}
		num(0xfd, w.s.Cut)
		head(&w.s.Head)
		head(&w.s.Want)
	}
	for n := range x.left.n {
		for e := range x.left.epoch {
			name := protocol.Name{N: n + 1, Epoch: e + 1}
			_, written := x.manifests[name]
			num(uint64(x.uploads[name]))
			b = append(b, fmt.Sprint(written)[0])
		}
	}
	for _, l := range x.log {
		str(l)
	}
	num(uint64(x.left.crashes), uint64(x.left.doubts), uint64(x.left.later), uint64(x.left.restores), uint64(x.left.stops), uint64(x.left.passes))
	if x.left.restores > 0 {
		head(&x.past)
	}
	h := fnv.New128a()
	_, _ = h.Write(b)
	return [16]byte(h.Sum(nil))
}

type violation struct{ what string }

func fail(format string, a ...any) { panic(violation{fmt.Sprintf(format, a...)}) }

// apply is the store: a PUT lands if its condition holds. The invariants of the ledger are looked at here.
func (x *world) apply(p protocol.PutHead) bool {
	if p.IfMatch != "" && p.IfMatch != x.head.Nonce { // the ETag stands for the bytes, and so does the nonce
		return false
	}
	old, h := x.head, p.Head
	switch {
	case h.Epoch < old.Epoch:
		fail("epoch %d landed over epoch %d", h.Epoch, old.Epoch)
	case h.Epoch > old.Epoch+1:
		fail("epoch %d landed over epoch %d", h.Epoch, old.Epoch)
	case h.Epoch == old.Epoch && h.Owner != old.Owner && h.Owner != "":
		fail("epoch %d has two owners", h.Epoch)
	case h.N < old.N || h.N > old.N+1:
		fail("number %d landed over %d", h.N, old.N)
	case h.Retired < old.Retired || h.Retired > h.N:
		fail("retired %d landed over %d, n %d", h.Retired, old.Retired, h.N)
	case h.Plan < old.Plan:
		fail("plan %d landed over %d", h.Plan, old.Plan)
	}
	if h.Epoch > old.Epoch {
		x.owners[h.Epoch] = h.Owner
	}
	if h.N > old.N {
		name := protocol.Name{N: h.N, Epoch: h.Epoch}
		if x.uploads[name] != open {
			fail("%s was committed, and its upload is %d", name, x.uploads[name])
		}
		if x.manifests[name] != h.ManifestSHA256 {
			fail("%s was committed without its manifest", name)
		}
		x.log = append(x.log, fmt.Sprintf("%d %s", h.Epoch, h.ManifestSHA256))
		if h.EpochOf(h.N) != h.Epoch {
			fail("epochs do not name %s: %v", name, h.Epochs)
		}
		x.past = old
		for n, u := range x.uploads {
			if n.N == h.N && n.Epoch != h.Epoch && u == completed {
				fail("number %d is in the table twice, from epochs %d and %d", n.N, n.Epoch, h.Epoch)
			}
		}
	} else if h.ManifestSHA256 != old.ManifestSHA256 {
		fail("number %d was committed twice", h.N)
	}
	for _, n := range protocol.Pending(&h) {
		if !strings.HasPrefix(x.log[n.N-1], fmt.Sprint(n.Epoch, " ")) {
			fail("the head takes %s for pending, and %q was committed", n, x.log[n.N-1])
		}
		if _, ok := x.manifests[n]; !ok {
			fail("the manifest of %s is gone, and it is pending", n)
		}
	}
	if got := string(h.Partitions["p"].Position); got != fmt.Sprint(h.N*10) {
		fail("position %s after %d commits", got, h.N)
	}
	x.head = h
	return true
}

func (x *world) complete(n protocol.Name) {
	if int(n.N) > len(x.log) || !strings.HasPrefix(x.log[n.N-1], fmt.Sprint(n.Epoch, " ")) {
		fail("%s is visible and was never committed", n)
	}
	if x.uploads[n] == aborted {
		fail("%s was committed and its upload is gone", n)
	}
	x.uploads[n] = completed
}

func (x *world) abort(v victim) {
	n := v.Name
	if v.manifest {
		delete(x.manifests, n)
	}
	if x.uploads[n] == completed {
		return
	}
	if int(n.N) <= len(x.log) && strings.HasPrefix(x.log[n.N-1], fmt.Sprint(n.Epoch, " ")) {
		fail("the upload of %s was aborted after its commit", n)
	}
	x.uploads[n] = aborted
}

// send gives the protocol an event and looks at what it says.
func (x *world) send(i int, e protocol.Event, r *rules) {
	w := &x.w[i]
	was := w.s
	w.s, w.todo = protocol.Step(w.s, e)
	if p, ok := w.todo.(protocol.PutHead); ok && !p.Again {
		w.nonces++
	}
	switch eff := w.todo.(type) {
	case protocol.ReadPipeline: // always the same here
		x.send(i, protocol.PipelineRead{Found: true, State: stream.PipelineState{Incarnation: "i", State: protocol.Ready}}, r)
		return
	case protocol.WriteManifest: // nobody else looks at this name before the head's PUT is sent
		x.send(i, protocol.ManifestWritten{Same: x.write(eff)}, r)
		return
	}
	d, ok := w.todo.(protocol.Done)
	if !ok {
		return
	}
	w.todo = nil
	if d.Err == nil {
		x.believed(w, was)
		return
	}
	switch {
	case errors.Is(d.Err, stream.ErrFenced):
		if r.discards && was.Kind == protocol.Committing {
			x.abort(victim{Name: protocol.Name{N: was.Want.N, Epoch: was.Want.Epoch}})
		}
	case errors.Is(d.Err, stream.ErrPermanent):
		if was.Kind == 0 && x.head.Plan > w.s.Plan {
			return // an older configuration keeps out
		}
		if was.Kind == protocol.Acquiring && x.head.Plan > w.s.Plan {
			return
		}
		if !x.restored {
			fail("halt without anything wrong: %v", d.Err)
		}
	}
}

// write puts a manifest where nothing is, or tells whether it is the same.
func (x *world) write(eff protocol.WriteManifest) bool {
	n := protocol.Name{N: eff.Manifest.N, Epoch: eff.Manifest.Epoch}
	sum := protocol.Sum(eff.Body)
	if there, ok := x.manifests[n]; ok {
		return there == sum
	}
	x.manifests[n] = sum
	return true
}

// believed compares what a worker takes for done with what is in the store.
func (x *world) believed(w *worker, was protocol.State) {
	switch was.Kind {
	case protocol.Acquiring:
		if x.owners[w.s.Head.Epoch] != w.s.Owner {
			fail("%s believes that it has epoch %d, which is %s's", w.s.Owner, w.s.Head.Epoch, x.owners[w.s.Head.Epoch])
		}
	case protocol.Committing:
		want := fmt.Sprintf("%d %s", w.s.Head.Epoch, w.s.Head.ManifestSHA256)
		if len(x.log) < int(w.s.Head.N) || x.log[w.s.Head.N-1] != want {
			fail("%s believes that it has committed %d in epoch %d", w.s.Owner, w.s.Head.N, w.s.Head.Epoch)
		}
	case protocol.Marking:
		if x.head.Retired < w.s.Head.Retired {
			fail("%s believes that %d is retired", w.s.Owner, w.s.Head.Retired)
		}
	}
}

func (w *worker) nonce(i int) string { return fmt.Sprintf("%c%d.%d", 'a'+i, w.life, w.nonces) }

// restart is what a supervisor does: a new session, nothing remembered.
func (x *world) restart(i int, r *rules) {
	w := &x.w[i]
	*w = worker{life: w.life + 1}
	w.s = protocol.State{
		Lane: "0", Incarnation: "i", Owner: fmt.Sprintf("%c%d", 'a'+i, w.life), Plan: r.plans[i], Off: r.off,
	}
}

// successors are all worlds that can follow.
func (x *world) successors(r *rules, yield func(string, world)) {
	step := func(what string, f func(y *world)) {
		y := x.copy()
		f(&y)
		yield(what, y)
	}
	for i := range x.net {
		step("late", func(y *world) {
			m := y.net[i]
			y.net = slices.Delete(y.net, i, i+1)
			y.apply(m.put)
		})
	}
	down := func(w worker) bool { return w.s.Phase == protocol.Free || w.s.Phase == protocol.Over }
	if x.left.restores > 0 && x.head.N > 0 && len(x.net) == 0 && down(x.w[0]) && down(x.w[1]) {
		step("restore", func(y *world) {
			y.left.restores--
			y.head, y.restored = y.past, true
			y.log = y.log[:y.head.N]
		})
	}
	for i := range x.w {
		w := &x.w[i]
		tag := string(rune('a' + i))
		if x.left.crashes > 0 && w.s.Phase != protocol.Free && w.s.Phase != protocol.Over {
			step(tag+" crash", func(y *world) { y.left.crashes--; y.restart(i, r) })
			if p, ok := w.todo.(protocol.PutHead); ok {
				step(tag+" crash, sent", func(y *world) {
					y.left.crashes--
					y.net = append(y.net, message{p})
					y.restart(i, r)
				})
			}
		}
		x.collect(i, r, step)
		if w.todo != nil {
			x.outcomes(i, r, step)
			if x.left.stops > 0 {
				x.stop(i, r, step)
			}
			continue
		}
		x.wishes(i, r, step)
	}
}

// stop is a worker whose context ends while it waits; it may come back to the lane, as the same session. What it has sent may
// still land.
func (x *world) stop(i int, r *rules, step func(string, func(*world))) {
	stop := func(y *world) {
		y.left.stops--
		w := &y.w[i]
		p, sent := w.todo.(protocol.PutHead)
		if sent {
			y.net = append(y.net, message{p})
		}
		y.send(i, protocol.Stop{}, r)
		if w.s.Phase == protocol.Over {
			w.s = protocol.State{Lane: "0", Incarnation: "i", Owner: w.s.Owner, Plan: w.s.Plan, Off: r.off}
		}
		w.seen, w.victims = nil, nil
	}
	step(string(rune('a'+i))+" gives up", stop)
}

// outcomes are what may become of the effect that worker i has to carry out.
func (x *world) outcomes(i int, r *rules, step func(string, func(*world))) {
	w := &x.w[i]
	tag := string(rune('a' + i))
	switch eff := w.todo.(type) {
	case protocol.ReadHead:
		step(tag+" read", func(y *world) {
			y.send(i, protocol.Read{Found: true, Head: y.head, ETag: y.head.Nonce, Nonce: y.w[i].nonce(i)}, r)
		})
	case protocol.PutHead:
		step(tag+" put", func(y *world) { y.send(i, protocol.Put{OK: y.apply(eff), ETag: eff.Head.Nonce}, r) })
		if x.left.doubts > 0 {
			step(tag+" put, answer lost", func(y *world) { y.left.doubts--; y.apply(eff); y.send(i, protocol.Put{}, r) })
			step(tag+" put lost", func(y *world) { y.left.doubts--; y.send(i, protocol.Put{}, r) })
		}
		if x.left.later > 0 {
			step(tag+" put late", func(y *world) {
				y.left.later--
				y.net = append(y.net, message{eff})
				y.send(i, protocol.Put{}, r)
			})
			step(tag+" put twice", func(y *world) {
				y.left.later--
				y.net = append(y.net, message{eff})
				y.send(i, protocol.Put{OK: y.apply(eff), ETag: eff.Head.Nonce}, r)
			})
		}
	case protocol.ListBeyond:
		step(tag+" list", func(y *world) {
			var names []protocol.Name
			for n := range y.manifests {
				if n.N > eff.N {
					names = append(names, n)
				}
			}
			slices.SortFunc(names, func(a, b protocol.Name) int { return strings.Compare(a.String(), b.String()) })
			y.send(i, protocol.Listed{Names: names}, r)
		})
	case protocol.LookFor:
		step(tag+" look", func(y *world) {
			there := ""
			for _, n := range eff.Names {
				if y.uploads[n] == completed {
					there = n.String()
				}
			}
			y.send(i, protocol.Looked{Visible: there}, r)
		})
	default:
		panic(fmt.Sprintf("the model does not know %T", eff))
	}
}

// wishes are what worker i may want next.
func (x *world) wishes(i int, r *rules, step func(string, func(*world))) {
	w := &x.w[i]
	tag := string(rune('a' + i))
	switch w.s.Phase {
	case protocol.Free:
		if x.head.Epoch < x.left.epoch {
			step(tag+" acquire", func(y *world) { y.send(i, protocol.Acquire{}, r) })
		}
	case protocol.Over:
		if x.head.Epoch < x.left.epoch && w.life <= x.left.lives {
			step(tag+" again", func(y *world) { y.restart(i, r) })
		}
	case protocol.Held:
		h := &w.s.Head
		if h.N < x.left.n {
			step(tag+" commit", func(y *world) {
				y.uploads[protocol.Name{N: h.N + 1, Epoch: h.Epoch}] = open
				from, to := fmt.Sprint(h.N*10), fmt.Sprint(h.N*10+10)
				y.send(i, protocol.Commit{Nonce: y.w[i].nonce(i), Txn: stream.Txn{
					Time:      stream.Micros(i),
					Ranges:    []stream.Range{{Partition: "p", From: stream.Position(from), To: stream.Position(to)}},
					Bookmarks: []stream.Bookmark{{Partition: "p", Position: stream.Position(to)}},
				}}, r)
			})
		}
		if pending := protocol.Pending(h); len(pending) > 0 {
			n := pending[0]
			step(tag+" publish", func(y *world) {
				y.complete(n)
				y.send(i, protocol.Mark{Nonce: y.w[i].nonce(i), Mark: stream.Mark{Retired: n.N}}, r)
			})
		}
		step(tag+" release", func(y *world) { y.send(i, protocol.Release{Nonce: y.w[i].nonce(i)}, r) })
	}
}

func newWorld(b bounds, r *rules) world {
	p := stream.PipelineState{
		Incarnation: "i", Lanes: 1, Plan: stream.Plan{Epoch: 1},
		Starts: map[stream.PartitionID]stream.Bookmark{"p": {Position: "0"}},
	}
	x := world{
		head: protocol.NewHead(&p, 0, "n0"), left: b,
		owners: map[uint64]string{}, uploads: map[protocol.Name]upload{}, manifests: map[protocol.Name]string{},
	}
	for i := range x.w {
		x.restart(i, r)
	}
	return x
}
