package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// wish is one wish at a head, carried out effect by effect.
type wish struct {
	l     *Ledger
	hint  stream.Hint
	since time.Time // of the first putting off
	puts  int
	last  error // the last answer that was not 200
}

// drive carries out the effects that the protocol asks for until the wish is decided. When ctx is over before that, the
// protocol is told so and has the last word.
func (w *wish) drive(ctx context.Context, s protocol.State, e protocol.Event) (protocol.State, error) {
	for {
		var eff protocol.Effect
		s, eff = protocol.Step(s, e)
		if eff == nil {
			panic(fmt.Sprintf("checkpoint: event %T in phase %d of lane %s", e, s.Phase, s.Lane))
		}
		if d, ok := eff.(protocol.Done); ok {
			return s, d.Err
		}
		next, err := w.carryOut(ctx, &s, eff)
		switch {
		case err == nil:
			e = next
		case ctx.Err() != nil || s.Phase != protocol.Reading:
			s, eff = protocol.Step(s, protocol.Stop{})
			return s, w.stopped(eff.(protocol.Done).Err, err)
		default: // nothing was sent, so that the cause alone says it all
			return s, err
		}
	}
}

func (w *wish) stopped(verdict, cause error) error {
	if w.last != nil {
		cause = errors.Join(cause, w.last)
	}
	err := fmt.Errorf("%w: %w", verdict, cause)
	if !errors.Is(verdict, stream.ErrUnknown) {
		return err
	}
	return stream.WithNext(err, "whoever takes the lane next finds out what became of it")
}

// carryOut returns the outcome of an effect. An error means that there is none yet.
func (w *wish) carryOut(ctx context.Context, s *protocol.State, eff protocol.Effect) (protocol.Event, error) {
	l := w.l
	switch eff := eff.(type) {
	case protocol.ReadHead:
		r, err := l.readHead(ctx, s.Lane, s.Phase == protocol.Deciding)
		if w.hint.Live != nil && r.Found && r.Head.Owner != "" {
			r.Live = w.hint.Live(r.Head.Owner)
		}
		return r, err
	case protocol.PutHead:
		return w.put(ctx, s, eff)
	case protocol.ReadPipeline:
		r, err := l.readPipeline(ctx, false)
		return r.PipelineRead, err
	case protocol.ListBeyond:
		names, err := l.beyond(ctx, s.Lane, eff.N)
		return protocol.Listed{Names: names}, err
	case protocol.LookFor:
		key, err := l.visible(ctx, s.Lane, eff.Names)
		return protocol.Looked{Visible: key}, err
	case protocol.WriteManifest:
		m := &eff.Manifest
		key := protocol.ManifestKey(s.Lane, protocol.Name{N: m.N, Epoch: m.Epoch})
		same, err := l.writeOnce(ctx, "write_manifest", key, eff.Body)
		if err == nil && same {
			l.o.Hooks.Reach(stream.W5, s.Lane)
		}
		return protocol.ManifestWritten{Same: same}, err
	case protocol.PutOff:
		return w.putOff(ctx, s, eff)
	}
	panic(fmt.Sprintf("checkpoint: unknown effect %T", eff))
}

// put sends the PUT of a swap, once. Whatever is not a 200 is for the protocol to find out.
func (w *wish) put(ctx context.Context, s *protocol.State, eff protocol.PutHead) (protocol.Event, error) {
	l, key := w.l, protocol.HeadKey(s.Lane)
	if eff.Again {
		l.note("swap_head", key, w.puts, w.last)
		if err := l.o.Retry.wait(ctx, w.puts); err != nil {
			return nil, context.Cause(ctx)
		}
		w.puts++
	}
	var etag string
	err := l.once(ctx, func(ctx context.Context) (err error) {
		etag, err = l.o.Store.Put(ctx, key, protocol.Encode(eff.Head), store.Cond{IfMatch: eff.IfMatch})
		return err
	})
	if err != nil {
		w.last = err
		return protocol.Put{}, nil //nolint:nilerr // any answer but success means: read the head
	}
	return protocol.Put{OK: true, ETag: etag}, nil
}

// putOff waits a second at a time for the other owner to let go.
func (w *wish) putOff(ctx context.Context, s *protocol.State, eff protocol.PutOff) (protocol.Event, error) {
	if w.since.IsZero() {
		w.since = time.Now()
		w.l.o.Log.Info("waiting for a lane's live owner of a newer group generation", "lane", s.Lane, "owner", eff.Owner)
	}
	left := w.l.o.PutOff - time.Since(w.since)
	if left > 0 {
		if err := pause(ctx, min(left, time.Second)); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	return protocol.Again{Impatient: time.Since(w.since) >= w.l.o.PutOff}, nil
}

// beyond lists the manifests above number n.
func (l *Ledger) beyond(ctx context.Context, id stream.LaneID, n uint64) ([]protocol.Name, error) {
	all, err := l.list(ctx, "list_manifests", protocol.ManifestPrefix(id), protocol.BeyondManifest(id, n))
	if err != nil {
		return nil, err
	}
	var names []protocol.Name
	for _, o := range all {
		if name, ok := protocol.ParseManifest(id, o.Key); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// visible returns a file that one of the manifests names and that readers can see, or "".
func (l *Ledger) visible(ctx context.Context, id stream.LaneID, names []protocol.Name) (string, error) {
	for _, n := range names {
		key := protocol.ManifestKey(id, n)
		b, _, found, err := l.get(ctx, "read_manifest", key, false)
		if err != nil {
			return "", err
		}
		if !found {
			continue // collected meanwhile, by a newer owner
		}
		m, err := protocol.DecodeManifest(key, b)
		if err != nil {
			return "", err
		}
		for _, f := range m.Files {
			there, err := l.seen(ctx, m.Tables[f.Table], f.Key)
			if err != nil {
				return "", err
			}
			if there {
				return m.Tables[f.Table].Location + f.Key, nil
			}
		}
	}
	return "", nil
}

// seen tells whether an object is in the folder of a table.
func (l *Ledger) seen(ctx context.Context, t stream.TableRef, key string) (there bool, err error) {
	if l.o.Stores == nil {
		return false, fmt.Errorf("ledger: no way to look into %s was given: %w", t.Location, stream.ErrPermanent)
	}
	err = l.again(ctx, "head_file", key, false, func(ctx context.Context) error {
		s, err := l.o.Stores(ctx, t)
		if err != nil {
			return err
		}
		_, err = s.Head(ctx, key)
		there = err == nil
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return there, err
}
