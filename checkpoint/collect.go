package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
)

// Collected is what one pass of garbage collection took away.
type Collected struct {
	Uploads   int // aborted
	Manifests int
	State     int // objects
}

// Collect is one pass of garbage collection over a lane that is held. It takes what transactions left that were never
// committed, open uploads of what is published, and what is older than history; it never deletes a file of a table. It
// changes no head; entries of the list of epochs that it has passed go with the lane's next swap. Passes may repeat, and
// may run beside commits.
func (l *Ledger) Collect(ctx context.Context, held stream.Lane) (Collected, error) {
	var c Collected
	a, ok := held.(*lane)
	if !ok || a.l != l {
		return c, fmt.Errorf("ledger: collect: a lane of another ledger: %w", stream.ErrPermanent)
	}
	p, err := l.joined()
	if err != nil {
		return c, err
	}
	h, err := a.justRead(ctx)
	if err != nil {
		return c, err
	}
	g := &garbage{l: l, h: &h, before: time.Now().Add(-l.o.History), c: &c}
	// Uploads come before manifests: a manifest is the evidence that a file of it may be visible.
	if err := g.uploads(ctx, p.State().Tables); err != nil {
		return c, err
	}
	passed, err := g.objects(ctx)
	if err != nil {
		return c, err
	}
	if err := a.turn.take(ctx); err != nil {
		return c, err
	}
	a.s, _ = protocol.Step(a.s, protocol.Collected{Cut: passed})
	a.turn.give()
	l.o.Hooks.Reach(stream.Garbage, a.id)
	if c != (Collected{}) {
		l.o.Log.Info("collected garbage", "lane", a.id, "uploads", c.Uploads, "manifests", c.Manifests, "state", c.State)
	}
	return c, nil
}

// justRead is the head as it is now, if it is still ours. Acquire has looked beyond it: else there were no lane.
func (a *lane) justRead(ctx context.Context) (stream.Head, error) {
	r, err := a.l.readHead(ctx, a.id, false)
	if err != nil {
		return stream.Head{}, err
	}
	mine := a.Head()
	switch {
	case !r.Found:
		return r.Head, protocol.Missing(a.id)
	case r.Fault != nil:
		return r.Head, r.Fault
	case r.Head.Incarnation != mine.Incarnation || r.Head.Epoch != mine.Epoch || r.Head.Owner != mine.Owner:
		return r.Head, fmt.Errorf("ledger: collect: lane %s is in epoch %d of %q now: %w", a.id, r.Head.Epoch, r.Head.Owner, stream.ErrFenced)
	}
	return r.Head, nil
}

// garbage is one pass.
type garbage struct {
	l      *Ledger
	h      *stream.Head
	before time.Time // what was written before is older than history
	c      *Collected
}

// uploads aborts the open uploads that will never be completed, in every table that the pipeline ever wrote to.
func (g *garbage) uploads(ctx context.Context, tables map[string]stream.TableState) error {
	if g.l.o.Tables == nil {
		return fmt.Errorf("ledger: collect: no tables were given: %w", stream.ErrPermanent)
	}
	var faults []error
	for name, t := range tables {
		// A table whose store is away does not keep the others from being cleaned.
		if err := g.table(ctx, t.Ref); err != nil {
			faults = append(faults, fmt.Errorf("ledger: collect uploads of table %s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

func (g *garbage) table(ctx context.Context, ref stream.TableRef) error {
	up, err := g.l.o.Tables.Uploads(ctx, ref)
	if err != nil {
		return err
	}
	var dead []stream.StagedRef
	for r, err := range up.Pending(ctx, "") {
		if err != nil {
			return err
		}
		n, ok := protocol.ParseData(g.h.Incarnation, g.h.Lane, r.Key)
		if ok && protocol.Uploads(g.h, n) == protocol.Garbage {
			dead = append(dead, r)
		}
	}
	for _, r := range dead {
		err := g.l.once(ctx, func(ctx context.Context) error { return up.Discard(ctx, r) })
		if err != nil && !errors.Is(err, stream.ErrNoUpload) {
			return err
		}
		g.c.Uploads++
	}
	return nil
}

// objects deletes manifests and state, and returns the epoch below which the head's list of epochs is no longer needed.
func (g *garbage) objects(ctx context.Context) (cut uint64, err error) {
	l, h := g.l, g.h
	manifests, err := l.list(ctx, "list_manifests", protocol.ManifestPrefix(h.Lane), "")
	if err != nil {
		return 0, err
	}
	// A clock that runs ahead must not cut history short: the store's own, by the newest of its objects, has its say.
	var newest time.Time
	for _, o := range manifests {
		if o.Modified.After(newest) {
			newest = o.Modified
		}
	}
	if at := newest.Add(-l.o.History); at.Before(g.before) {
		g.before = at
	}
	var dead []string
	kept := map[protocol.Name]bool{}
	var oldest protocol.Name // of the committed ones that stay
	for _, o := range manifests {
		n, ok := protocol.ParseManifest(h.Lane, o.Key)
		if !ok {
			continue
		}
		switch v := protocol.Objects(h, n); {
		case v == protocol.Garbage, v == protocol.Aged && o.Modified.Before(g.before):
			dead = append(dead, o.Key)
		default:
			kept[n] = true
			if oldest == (protocol.Name{}) && h.EpochOf(n.N) == n.Epoch {
				oldest = n
			}
		}
	}
	named, err := g.named(ctx, oldest)
	if err != nil {
		return 0, err
	}
	objects, err := l.list(ctx, "list_state", protocol.StatePrefix(h.Lane), "")
	if err != nil {
		return 0, err
	}
	for _, o := range objects {
		n, ok := protocol.ParseState(h.Lane, o.Key)
		if !ok || named[o.Key] {
			continue
		}
		v := protocol.Objects(h, n)
		// A committed object goes when no manifest that is kept can name it any more: those of its number and later
		// name it without a break, so that the oldest one kept knows.
		if v == protocol.Garbage || v == protocol.Aged && o.Modified.Before(g.before) && n.N <= oldest.N {
			if err := g.delete(ctx, o.Key); err != nil {
				return 0, err
			}
			g.c.State++
		}
	}
	for _, k := range dead {
		if err := g.delete(ctx, k); err != nil {
			return 0, err
		}
		g.c.Manifests++
	}
	// An epoch's entry is older than history when its last manifest is gone.
	for _, e := range h.Epochs {
		if e[1] > h.Retired || kept[protocol.Name{N: e[1], Epoch: e[0]}] {
			break
		}
		cut = e[0] + 1
	}
	return cut, nil
}

// named is the state that the head, or the oldest manifest that is kept, stands on.
func (g *garbage) named(ctx context.Context, oldest protocol.Name) (map[string]bool, error) {
	named := map[string]bool{}
	add := func(state map[string]stream.StateRef) {
		for _, s := range state {
			named[s.Base] = true
			for _, d := range s.Deltas {
				named[d] = true
			}
		}
	}
	add(g.h.State)
	if oldest != (protocol.Name{}) {
		m, _, err := g.l.manifest(ctx, g.h, oldest)
		if err != nil && !errors.Is(err, errAged) {
			return nil, err
		}
		add(m.State)
	}
	return named, nil
}

func (g *garbage) delete(ctx context.Context, key string) error {
	return g.l.again(ctx, "delete", key, false, func(ctx context.Context) error { return g.l.o.Store.Delete(ctx, key) })
}
