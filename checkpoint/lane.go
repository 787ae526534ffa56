package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
)

// lane is one hold on a lane. Its state is guarded by its turn; the head that others look at is the last one decided.
type lane struct {
	l    *Ledger
	id   stream.LaneID
	turn *turn
	s    protocol.State
	head atomic.Pointer[stream.Head]
}

// Acquire takes a lane. It waits for a live owner of a newer group generation, for a minute at most, and returns when the
// check for data beyond the head has passed. ErrFenced: another came first.
func (l *Ledger) Acquire(ctx context.Context, id stream.LaneID, h stream.Hint) (stream.Lane, error) {
	p, err := l.joined()
	if err != nil {
		return nil, err
	}
	if !protocol.ValidLane(id) {
		return nil, fmt.Errorf("ledger: %q cannot be the name of a lane: %w", id, stream.ErrPermanent)
	}
	l.mu.Lock()
	t := l.turns[id]
	if t == nil {
		t = newTurn()
		l.turns[id] = t
	}
	l.mu.Unlock()
	// One at a time: two swaps of one session must never be in flight for one head.
	if err := t.take(ctx); err != nil {
		return nil, fmt.Errorf("ledger: stopped before lane %s was taken: %w: %w", id, stream.ErrUnavailable, err)
	}
	defer t.give()

	owner := h.Session
	if owner == "" {
		owner = l.o.Session
	}
	a := &lane{l: l, id: id, turn: newTurn()}
	take := func() error {
		a.s = protocol.State{Lane: id, Incarnation: p.incarnation, Owner: owner, Plan: p.plan.Load(), Generation: h.Generation}
		w := &wish{l: l, hint: h}
		a.s, err = w.drive(ctx, a.s, protocol.Acquire{})
		return err
	}
	err = take()
	if errors.Is(err, protocol.ErrLowerPlan) && p.renew(ctx) {
		err = take()
	}
	if err != nil {
		return nil, err
	}
	a.show()
	l.o.Log.Info("took a lane", "lane", id, "epoch", a.s.Head.Epoch, "txn", a.s.Head.N, "pending", a.s.Head.N-a.s.Head.Retired)
	l.o.Hooks.Reach(stream.Acquire, id)
	return a, nil
}

func (a *lane) show() {
	h := a.s.Head
	a.head.Store(&h)
}

// Head is the head as last decided. Its maps must not be changed.
func (a *lane) Head() stream.Head { return *a.head.Load() }

// Put writes an immutable object of the next transaction (W4).
func (a *lane) Put(ctx context.Context, name string, b []byte) (stream.BlobRef, error) {
	h := a.Head()
	key := protocol.StateKey(a.id, protocol.Name{N: h.N + 1, Epoch: h.Epoch}, name)
	same, err := a.l.writeOnce(ctx, "write_state", key, b)
	if err != nil {
		return stream.BlobRef{}, err
	}
	if !same {
		return stream.BlobRef{}, fmt.Errorf("ledger: other bytes are at %s: %w", key, stream.ErrFenced)
	}
	a.l.o.Hooks.Reach(stream.W4, a.id)
	return stream.BlobRef{Name: key, SHA256: protocol.Sum(b)}, nil
}

// Commit is W5 and W6.
func (a *lane) Commit(ctx context.Context, t stream.Txn) (stream.Manifest, error) {
	var m stream.Manifest
	err := a.do(ctx, protocol.Commit{Nonce: random(16), Txn: t}, func() {
		m = a.s.Manifest
		a.l.o.Hooks.Reach(stream.W6, a.id)
		if t.Retired > 0 {
			a.l.o.Hooks.Reach(stream.W9, a.id)
		}
	})
	return m, err
}

// Mark swaps a note into the head. A note that is there already is not written again.
func (a *lane) Mark(ctx context.Context, m stream.Mark) error {
	if m.Attempt == nil && m.Retired <= a.Head().Retired {
		return nil
	}
	return a.do(ctx, protocol.Mark{Nonce: random(16), Mark: m}, func() {
		if m.Retired > 0 {
			a.l.o.Hooks.Reach(stream.W9, a.id)
		}
	})
}

// Release gives the lane up. Nothing can be done with this hold afterwards.
func (a *lane) Release(ctx context.Context) error {
	return a.do(ctx, protocol.Release{Nonce: random(16)}, func() { a.l.o.Hooks.Reach(stream.Release, a.id) })
}

// do has one wish at a time decided. done runs before the next one may begin.
func (a *lane) do(ctx context.Context, e protocol.Event, done func()) error {
	if err := a.turn.take(ctx); err != nil {
		return fmt.Errorf("ledger: stopped before the head of lane %s was changed: %w: %w", a.id, stream.ErrUnknown, err)
	}
	defer a.turn.give()
	w := &wish{l: a.l}
	var err error
	a.s, err = w.drive(ctx, a.s, e)
	if err != nil {
		if errors.Is(err, stream.ErrFenced) {
			a.l.o.Log.Info("fenced", "lane", a.id, "epoch", a.s.Head.Epoch, "err", err)
		}
		return err
	}
	a.show()
	done()
	return nil
}
