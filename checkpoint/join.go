package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Join creates the pipeline, carries its creation on, or opens it, and brings its plan up to p. Starts count only at creation:
// a partition that is not among them starts at its beginning, so that "latest" is resolved once.
func (l *Ledger) Join(ctx context.Context, p stream.Plan, starts []stream.Start) (stream.Pipeline, error) {
	if err := l.probe(ctx, p.Tables); err != nil {
		return nil, err
	}
	cur, err := l.openOrCreate(ctx, p, starts)
	if err != nil {
		return nil, err
	}
	if err := compatible(&cur, p); err != nil {
		return nil, err
	}
	if cur.State == protocol.Creating {
		if err := l.createHeads(ctx, &cur); err != nil {
			return nil, fmt.Errorf("ledger: %w: %w", stream.ErrCreating, err)
		}
	}
	if p.Lanes > 0 && p.Lanes != cur.Lanes {
		l.o.Log.Warn("the ledger's number of lanes holds", "pipeline", cur.Pipeline, "lanes", cur.Lanes, "wanted", p.Lanes,
			"next", "stop the pipeline and change it with `millrace lanes set`")
	}
	joint := &pipeline{l: l, turn: newTurn(), seen: map[string]sighting{}, incarnation: cur.Incarnation, hash: p.Hash}
	if err := joint.Update(ctx, adopt(p)); err != nil {
		return nil, err
	}
	state := joint.State()
	joint.plan.Store(state.Plan.Epoch)
	l.mu.Lock()
	l.joint = joint
	l.mu.Unlock()
	l.o.Log.Info("joined the ledger", "pipeline", state.Pipeline, "incarnation", state.Incarnation, "plan", state.Plan.Epoch, "lanes", state.Lanes)
	return joint, nil
}

// openOrCreate reads pipeline.json, or writes it if nothing is there.
func (l *Ledger) openOrCreate(ctx context.Context, p stream.Plan, starts []stream.Start) (stream.PipelineState, error) {
	var body []byte
	for i := 0; ; i++ {
		r, err := l.readPipeline(ctx, false)
		if err != nil {
			return stream.PipelineState{}, err
		}
		if r.Found {
			return r.State, r.Fault
		}
		if body == nil {
			if err := l.empty(ctx); err != nil {
				return stream.PipelineState{}, err
			}
			s, err := first(p, starts)
			if err != nil {
				return stream.PipelineState{}, err
			}
			body = protocol.Encode(s)
			continue // the heads may have been there because somebody created the pipeline between read and list
		}
		err = l.once(ctx, func(ctx context.Context) error {
			_, err := l.o.Store.Put(ctx, protocol.PipelineKey, body, store.Cond{IfNone: true})
			return err
		})
		if err == nil || errors.Is(err, store.ErrPrecondition) {
			continue // whoever wrote it, what is there counts
		}
		if i >= l.o.Retry.Tries || errors.Is(err, stream.ErrDenied) || ctx.Err() != nil {
			return stream.PipelineState{}, l.gaveUp("create", protocol.PipelineKey, i, err)
		}
		l.note("create", protocol.PipelineKey, i, err)
		if err := l.o.Retry.wait(ctx, i); err != nil {
			return stream.PipelineState{}, err
		}
	}
}

// empty refuses a ledger that has heads and no pipeline.json: a second creation would begin again from the start positions.
func (l *Ledger) empty(ctx context.Context) error {
	heads, err := l.list(ctx, "list_heads", protocol.HeadPrefix, "")
	if err != nil || len(heads) == 0 {
		return err
	}
	if r, err := l.readPipeline(ctx, false); err != nil || r.Found {
		return err
	}
	return protocol.NoPipeline()
}

// first is the state that a pipeline is created with.
func first(p stream.Plan, starts []stream.Start) (stream.PipelineState, error) {
	s := stream.PipelineState{
		Format: stream.Format, Nonce: random(16), Incarnation: random(8), State: protocol.Creating,
		Pipeline: p.Pipeline, Source: p.Source, Lanes: p.Lanes,
		Plan:   stream.Plan{Pipeline: p.Pipeline, Epoch: 1, Hash: p.Hash},
		Starts: map[stream.PartitionID]stream.Bookmark{}, Slots: map[stream.PartitionID]uint32{}, Tables: map[string]stream.TableState{},
	}
	if p.Lanes < 1 {
		return s, stream.WithNext(fmt.Errorf("ledger: a pipeline cannot be created with %d lanes: %w", p.Lanes, stream.ErrPermanent),
			"set delivery.lanes to a number from 1 on")
	}
	for _, st := range starts {
		s.Starts[st.ID], s.Slots[st.ID] = st.Bookmark, st.Slot
	}
	for _, t := range p.Tables {
		s.Tables[t.Name] = stream.TableState{Ref: t}
	}
	return s, nil
}

// createHeads writes the heads that are not there, and then swaps the state to ready. Any number of workers may do it.
func (l *Ledger) createHeads(ctx context.Context, p *stream.PipelineState) error {
	err := parallel(ctx, p.Lanes, func(ctx context.Context, i int) error {
		h := protocol.NewHead(p, i, random(16))
		key, body := protocol.HeadKey(h.Lane), protocol.Encode(h)
		return l.again(ctx, "create_head", key, false, func(ctx context.Context) error {
			_, err := l.o.Store.Put(ctx, key, body, store.Cond{IfNone: true})
			if err == nil {
				return nil
			}
			if !errors.Is(err, store.ErrPrecondition) {
				return err
			}
			there, err := l.readHead(ctx, h.Lane, false)
			switch {
			case err != nil:
				return err
			case !there.Found:
				return fmt.Errorf("%s was there and is not: %w", key, stream.ErrUnavailable)
			case there.Fault != nil:
				return there.Fault
			case there.Head.Incarnation != p.Incarnation:
				return stream.WithNext(
					fmt.Errorf("%s is of incarnation %s, and the pipeline is %s: %w", key, there.Head.Incarnation, p.Incarnation, stream.ErrForeign),
					"the folder holds the rest of another ledger; give the pipeline an empty one")
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	up := &pipeline{l: l, turn: newTurn(), incarnation: p.Incarnation}
	if err := up.Update(ctx, func(s *stream.PipelineState) error {
		s.State = protocol.Ready
		return nil
	}); err != nil {
		return err
	}
	*p = up.State()
	return nil
}

// compatible refuses what may never change under a ledger.
func compatible(cur *stream.PipelineState, p stream.Plan) error {
	if cur.Pipeline != p.Pipeline {
		return stream.WithNext(
			fmt.Errorf("ledger: it belongs to pipeline %q, and this is %q: %w: %w", cur.Pipeline, p.Pipeline, stream.ErrForeign, stream.ErrPermanent),
			"give each pipeline a ledger of its own (ledger.location); a pipeline cannot be renamed")
	}
	if cur.Source != p.Source {
		return stream.WithNext(
			fmt.Errorf("ledger: pipeline %q reads %s, and the configuration now says %s: %w", cur.Pipeline, cur.Source, p.Source, stream.ErrPermanent),
			"bookmarks mean nothing in another source; make a new pipeline with a ledger of its own, or set the source back")
	}
	for _, t := range p.Tables {
		old, ok := cur.Tables[t.Name]
		if ok && old.Ref.Location == t.Location && !slices.Equal(old.Ref.Partitions, t.Partitions) {
			return stream.WithNext(
				fmt.Errorf("ledger: table %q at %s is partitioned by %v, and the configuration now says %v: %w",
					t.Name, t.Location, old.Ref.Partitions, t.Partitions, stream.ErrPermanent),
				"set partition_by back, or write to a new location")
		}
	}
	return nil
}

// adopt brings the plan up to p: the same hash keeps its epoch, another one is the next. Losing to somebody else's new plan
// is no loss: mine is then the next after it, made from what was read.
func adopt(p stream.Plan) func(*stream.PipelineState) error {
	return func(s *stream.PipelineState) error {
		if err := compatible(s, p); err != nil {
			return err
		}
		if s.Plan.Hash != p.Hash {
			s.Plan = stream.Plan{Pipeline: p.Pipeline, Epoch: s.Plan.Epoch + 1, Hash: p.Hash}
		}
		for _, t := range p.Tables {
			old, ok := s.Tables[t.Name]
			switch {
			case !ok || old.Ref.Location != t.Location:
				s.Tables[t.Name] = stream.TableState{Ref: t}
			default:
				old.Ref = t
				s.Tables[t.Name] = old
			}
		}
		return nil
	}
}
