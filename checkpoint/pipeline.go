package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// alive is how long a session counts as living after its last change, by the observer's clock.
const alive = 45 * time.Second

// forgotten is after how long without a change the sign of life of a session is deleted, by the store's clock. It is but a
// hint, and whoever wakes after it gives another. A worker that is restarted every few seconds leaves hundreds in that time,
// which a newcomer reads one after the other.
const forgotten = time.Hour

// pipeline is pipeline.json, as this worker last saw it, and the signs of life of all.
type pipeline struct {
	l           *Ledger
	turn        *turn // of Update and Beat
	incarnation string
	hash        string        // of this worker's plan
	plan        atomic.Uint64 // its epoch

	mu    sync.Mutex
	state stream.PipelineState

	seen map[string]sighting // guarded by turn
}

type sighting struct {
	etag    string
	changed time.Time
	session stream.Session
}

// State as last read or written.
func (p *pipeline) State() stream.PipelineState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return protocol.Copy(p.state)
}

// Update changes pipeline.json by swap. f must leave alone a state that holds its result already: it decides by content
// what became of a PUT whose answer was lost.
func (p *pipeline) Update(ctx context.Context, f func(*stream.PipelineState) error) error {
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.give()
	l := p.l
	r := protocol.Record{Change: func(s *stream.PipelineState) error {
		if s.Incarnation != p.incarnation {
			return stream.WithNext(
				fmt.Errorf("ledger: %s is of incarnation %s, and this worker joined %s: %w: %w",
					protocol.PipelineKey, s.Incarnation, p.incarnation, stream.ErrForeign, stream.ErrPermanent),
				"the ledger was made anew under a running pipeline; restart the worker if that was meant")
		}
		return f(s)
	}}
	var e protocol.Event = protocol.Begin{}
	var last error
	puts := 0
	for {
		var eff protocol.Effect
		var err error
		r, eff = protocol.StepPipeline(r, e)
		switch eff := eff.(type) {
		case protocol.Done:
			if r.State.Incarnation != "" {
				p.mu.Lock()
				p.state = r.State
				p.mu.Unlock()
			}
			return eff.Err
		case protocol.ReadPipeline:
			e, err = l.swapEvent(ctx, r.Phase == protocol.Deciding)
		case protocol.PutPipeline:
			e, last, err = l.putPipeline(ctx, eff, &puts, last)
		}
		if err != nil {
			_, eff = protocol.StepPipeline(r, protocol.Stop{})
			return fmt.Errorf("%w: %w", eff.(protocol.Done).Err, errors.Join(err, last))
		}
	}
}

// renew tells whether this worker's plan has a higher epoch by now: while a change rolls through the workers, one that
// restarts with the old configuration takes the plan back, and whoever brings the new one in again gives it a new epoch. It
// is the plan that this worker has had all the while.
func (p *pipeline) renew(ctx context.Context) bool {
	r, err := p.l.readPipeline(ctx, false)
	if err != nil || !r.Found || r.Fault != nil || r.State.Incarnation != p.incarnation || r.State.Plan.Hash != p.hash {
		return false
	}
	for {
		old := p.plan.Load()
		if r.State.Plan.Epoch <= old {
			return false
		}
		if p.plan.CompareAndSwap(old, r.State.Plan.Epoch) {
			return true
		}
	}
}

func (l *Ledger) swapEvent(ctx context.Context, must bool) (protocol.Event, error) {
	return l.readPipeline(ctx, must)
}

// putPipeline sends one PUT of pipeline.json. doubt is why it was not answered by 200.
func (l *Ledger) putPipeline(ctx context.Context, eff protocol.PutPipeline, puts *int, last error) (e protocol.Event, doubt, err error) {
	if eff.Again {
		l.note("swap_pipeline", protocol.PipelineKey, *puts, last)
		if err := l.o.Retry.wait(ctx, *puts); err != nil {
			return nil, last, context.Cause(ctx)
		}
		*puts++
	}
	var etag string
	doubt = l.once(ctx, func(ctx context.Context) (err error) {
		etag, err = l.o.Store.Put(ctx, protocol.PipelineKey, protocol.Encode(eff.State), store.Cond{IfMatch: eff.IfMatch})
		return err
	})
	return protocol.Put{OK: doubt == nil, ETag: etag}, doubt, nil
}

// Beat tells that this session lives, and returns those that changed within 45 s by this observer's own clock. A session
// seen for the first time counts as changed. Nothing here is safe to build safety on.
func (p *pipeline) Beat(ctx context.Context, s stream.Session) ([]stream.Session, error) {
	if err := p.turn.take(ctx); err != nil {
		return nil, err
	}
	defer p.turn.give()
	l := p.l
	key := protocol.LivePrefix + s.ID + ".json"
	if err := l.again(ctx, "beat", key, false, func(ctx context.Context) error {
		_, err := l.o.Store.Put(ctx, key, protocol.Encode(s), store.Cond{})
		return err
	}); err != nil {
		return nil, err
	}
	all, err := l.list(ctx, "list_live", protocol.LivePrefix, "")
	if err != nil {
		return nil, err
	}
	now := time.Now()
	var newest time.Time
	for _, o := range all {
		if o.Key == key {
			newest = o.Modified
		}
	}
	present := make(map[string]bool, len(all))
	var live []stream.Session
	for _, o := range all {
		if !strings.HasSuffix(o.Key, ".json") {
			continue
		}
		if newest.Sub(o.Modified) > forgotten {
			l.forget(ctx, o.Key)
			continue
		}
		present[o.Key] = true
		at, known := p.seen[o.Key]
		if !known || at.etag != o.ETag {
			b, etag, found, err := l.get(ctx, "read_live", o.Key, false)
			if err != nil {
				return nil, err
			}
			if !found {
				continue
			}
			at = sighting{etag: etag, changed: now}
			if err := json.Unmarshal(b, &at.session); err != nil {
				l.o.Log.Debug("a sign of life that cannot be read", "path", o.Key, "err", err)
				continue
			}
			p.seen[o.Key] = at
		}
		if now.Sub(at.changed) <= alive {
			live = append(live, at.session)
		}
	}
	for k := range p.seen {
		if !present[k] {
			delete(p.seen, k)
		}
	}
	return live, nil
}

// forget deletes an old sign of life. If that fails, the next beat tries again.
func (l *Ledger) forget(ctx context.Context, key string) {
	err := l.once(ctx, func(ctx context.Context) error { return l.o.Store.Delete(ctx, key) })
	if err != nil {
		l.o.Log.Debug("an old sign of life could not be deleted", "path", key, "err", err)
	}
}
