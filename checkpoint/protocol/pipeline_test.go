package protocol_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
)

// shared is the model of pipeline.json: two workers change it at once, each for its own end, in a store that loses and
// delays.
type shared struct {
	there   stream.PipelineState
	net     []protocol.PutPipeline
	w       [2]protocol.Record
	todo    [2]protocol.Effect
	nonces  [2]int
	doubts  int
	history string // ghost: plan hashes in order
}

func (x *shared) key() string {
	var b strings.Builder
	fmt.Fprint(&b, x.there, x.history, x.doubts)
	for i := range x.w {
		fmt.Fprint(&b, "|", x.w[i].Phase, x.w[i].Nonce, x.w[i].ETag, fmt.Sprintf("%T%v", x.todo[i], x.todo[i]))
	}
	for _, p := range x.net {
		fmt.Fprint(&b, "|", p)
	}
	return b.String()
}

func (x *shared) apply(p protocol.PutPipeline) bool {
	if p.IfMatch != "" && p.IfMatch != x.there.Nonce {
		return false
	}
	old, now := x.there, p.State
	if now.Plan.Epoch != old.Plan.Epoch && now.Plan.Epoch != old.Plan.Epoch+1 {
		fail("plan %d over %d", now.Plan.Epoch, old.Plan.Epoch)
	}
	if (now.Plan.Epoch == old.Plan.Epoch) != (now.Plan.Hash == old.Plan.Hash) {
		fail("plan %d %s over %d %s", now.Plan.Epoch, now.Plan.Hash, old.Plan.Epoch, old.Plan.Hash)
	}
	for name := range old.Tables {
		if _, ok := now.Tables[name]; !ok {
			fail("table %s was lost", name)
		}
	}
	if now.Plan.Hash != old.Plan.Hash {
		x.history += now.Plan.Hash + " "
	}
	x.there = now
	return true
}

// aim is what worker i wants: a plan of its own and a table of its own.
func aim(i int) func(*stream.PipelineState) error {
	hash, table := fmt.Sprint("h", i), fmt.Sprint("t", i)
	return func(s *stream.PipelineState) error {
		if s.Plan.Hash != hash {
			s.Plan = stream.Plan{Epoch: s.Plan.Epoch + 1, Hash: hash}
		}
		s.Tables[table] = stream.TableState{}
		return nil
	}
}

func (x *shared) send(i int, e protocol.Event) {
	x.w[i], x.todo[i] = protocol.StepPipeline(x.w[i], e)
	if _, ok := x.todo[i].(protocol.PutPipeline); ok {
		x.nonces[i]++
	}
	d, ok := x.todo[i].(protocol.Done)
	if !ok {
		return
	}
	x.todo[i] = nil
	if d.Err != nil {
		fail("worker %d: %v", i, d.Err)
	}
	if _, ok := x.there.Tables[fmt.Sprint("t", i)]; !ok || !strings.Contains(x.history, fmt.Sprint("h", i)) {
		fail("worker %d believes that its change is in, and there is %v", i, x.there)
	}
}

func (x shared) copy() shared {
	x.net = slices.Clone(x.net)
	return x
}

func (x *shared) successors(yield func(shared)) {
	step := func(f func(*shared)) {
		y := x.copy()
		f(&y)
		yield(y)
	}
	for i := range x.net {
		step(func(y *shared) {
			p := y.net[i]
			y.net = slices.Delete(y.net, i, i+1)
			y.apply(p)
		})
	}
	for i := range x.w {
		switch eff := x.todo[i].(type) {
		case protocol.ReadPipeline:
			step(func(y *shared) {
				there := y.there
				there.Tables = maps.Clone(there.Tables)
				y.send(i, protocol.Swap{
					PipelineRead: protocol.PipelineRead{Found: true, State: there}, ETag: there.Nonce,
					Nonce: fmt.Sprintf("%d.%d", i, y.nonces[i]),
				})
			})
		case protocol.PutPipeline:
			step(func(y *shared) { y.send(i, protocol.Put{OK: y.apply(eff), ETag: eff.State.Nonce}) })
			if x.doubts > 0 {
				step(func(y *shared) { y.doubts--; y.apply(eff); y.send(i, protocol.Put{}) })
				step(func(y *shared) { y.doubts--; y.send(i, protocol.Put{}) })
				step(func(y *shared) { y.doubts--; y.net = append(y.net, eff); y.send(i, protocol.Put{}) })
			}
		}
	}
}

func walk(off protocol.Guard) (states int, found string) {
	defer func() {
		if v := recover(); v != nil {
			bad, ok := v.(violation)
			if !ok {
				panic(v)
			}
			found = bad.what
		}
	}()
	x := shared{doubts: 2, there: stream.PipelineState{
		Nonce: "first", Incarnation: "i", State: protocol.Ready, Lanes: 1,
		Plan: stream.Plan{Epoch: 1, Hash: "h"}, Tables: map[string]stream.TableState{},
	}}
	for i := range x.w {
		x.w[i] = protocol.Record{Change: aim(i), Off: off}
		x.send(i, protocol.Begin{})
	}
	seen := map[string]bool{x.key(): true}
	for queue := []shared{x}; len(queue) > 0; queue = queue[1:] {
		queue[0].successors(func(y shared) {
			if k := y.key(); !seen[k] {
				seen[k] = true
				queue = append(queue, y)
			}
		})
	}
	return len(seen), ""
}

func TestPipelineModel(t *testing.T) {
	states, found := walk(0)
	if found != "" {
		t.Fatal(found)
	}
	t.Logf("%d states", states)
	for name, off := range map[string]protocol.Guard{"ETag": protocol.OffETag, "re-read": protocol.OffReread} {
		if _, found := walk(off); found == "" {
			t.Errorf("without %s nothing is wrong", name)
		}
	}
}

// TestPipelineLoses: what the change started from no longer holds; the caller decides.
func TestPipelineLoses(t *testing.T) {
	lost := errors.New("another run is there")
	r := protocol.Record{Change: func(s *stream.PipelineState) error {
		if s.Lanes != 1 {
			return lost
		}
		s.Lanes = 2
		return nil
	}}
	read := func(lanes int, nonce string) protocol.Swap {
		s := stream.PipelineState{Incarnation: "i", State: protocol.Ready, Lanes: lanes, Nonce: nonce}
		return protocol.Swap{PipelineRead: protocol.PipelineRead{Found: true, State: s}, ETag: nonce, Nonce: "mine"}
	}
	r, _ = protocol.StepPipeline(r, protocol.Begin{})
	r, eff := protocol.StepPipeline(r, read(1, "a"))
	if p, ok := eff.(protocol.PutPipeline); !ok || p.IfMatch != "a" || p.State.Lanes != 2 {
		t.Fatalf("got %#v", eff)
	}
	r, _ = protocol.StepPipeline(r, protocol.Put{})
	r, eff = protocol.StepPipeline(r, read(3, "b"))
	if d, ok := eff.(protocol.Done); !ok || !errors.Is(d.Err, lost) || r.State.Lanes != 3 {
		t.Fatalf("got %#v", eff)
	}
}
