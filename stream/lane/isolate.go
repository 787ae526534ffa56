package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/stream"
)

// verdict is why a record is a dead letter without having been decoded.
type verdict struct{ code, step, reason string }

// The codes of records that are dangerous rather than wrong.
const (
	codePanic   = "panic"
	codeCrashed = "crashed_process"
)

// suspicion is up to where records of a partition may hold one that panics.
type suspicion struct {
	last int64 // offset
	seal bool  // it panics only when files are closed
}

// suspect notes where a panic came from: the records up to these offsets are tried out before they are taken again.
func (r *runner) suspect(last map[stream.PartitionID]int64, seal bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.suspects == nil {
		r.suspects = map[stream.PartitionID]suspicion{}
	}
	for id, o := range last {
		was := r.suspects[id]
		r.suspects[id] = suspicion{max(o, was.last), seal || was.seal}
	}
}

// suspected tells whether a raw batch must be tried out because of a panic.
func (r *runner) suspected(raw *stream.RawBatch) (s suspicion, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, yes = r.suspects[raw.Partition]
	if yes && raw.Records[0].Offset > s.last {
		delete(r.suspects, raw.Partition)
		return s, false
	}
	return s, yes
}

// tryOut finds the records of a raw batch that panic or kill the process, if there is a reason to look for them; nil: there is
// none. Records are tried in a transaction that is dropped again, many at a time, and fewer where that ends badly.
func (h *hold) tryOut(ctx context.Context, raw *stream.RawBatch) (map[int]verdict, error) {
	if len(raw.Records) == 0 {
		return nil, nil //nolint:nilnil // nothing to look for
	}
	s, panics := h.r.suspected(raw)
	crashes := h.cautious()
	if !panics && !crashes {
		return nil, nil //nolint:nilnil // as nearly always
	}
	if err := h.fill.flush(ctx); err != nil {
		return nil, err
	}
	if crashes { // so that nothing but what is tried can be to blame
		if err := h.barrier(ctx); err != nil {
			return nil, err
		}
	}
	verdicts := map[int]verdict{}
	for i := 0; i < len(raw.Records); {
		if h.convicted(raw, i) {
			verdicts[i] = verdict{codeCrashed, "process", "the process ended each time when this record was taken; it was not decoded"}
			i++
			continue
		}
		to := len(raw.Records)
		if crashes {
			to = h.chunk(raw, i)
			if err := h.trying(ctx, raw, i, to); err != nil {
				return nil, err
			}
		}
		if err := h.try(ctx, raw, i, to, crashes || s.seal, verdicts); err != nil {
			return nil, err
		}
		i = to
	}
	if crashes {
		return verdicts, h.tried(ctx)
	}
	return verdicts, nil
}

// try tries records [from, to), and each half of them if that panics.
func (h *hold) try(ctx context.Context, raw *stream.RawBatch, from, to int, seal bool, verdicts map[int]verdict) error {
	err := guard(func() error { return h.trial(ctx, raw, from, to, seal) })
	var p *panicked
	if !errors.As(err, &p) {
		return err
	}
	if err := h.fill.renew(); err != nil {
		return err
	}
	if to-from == 1 {
		h.w.d.Log.Error("a record panics; it becomes a dead letter", "pipeline", h.w.p.Name, "lane", h.r.id, "partition", raw.Partition, "offset", raw.Records[from].Offset, "err", p, "stack", string(p.stack))
		verdicts[from] = verdict{codePanic, "process", fmt.Sprintf("taking it ended in a panic: %v", p.value)}
		return nil
	}
	mid := from + (to-from)/2
	if err := h.try(ctx, raw, from, mid, seal, verdicts); err != nil {
		return err
	}
	return h.try(ctx, raw, mid, to, seal, verdicts)
}

// trial takes records [from, to) through everything up to the commit, in a transaction of their own that is dropped.
func (h *hold) trial(ctx context.Context, raw *stream.RawBatch, from, to int, seal bool) error {
	open, t := h.txn, newTxn(h, time.Now())
	h.txn = t
	defer func() {
		h.txn = open
		h.fill.batch.Reset()
		t.abort(ctx, h.w)
	}()
	part := portion(raw, from, to)
	err := h.fill.decode(ctx, part)
	if err == nil {
		err = h.fill.move(ctx)
	}
	if err == nil && seal {
		_, _, err = t.seal(ctx, h.w)
	}
	return err
}

// portion is a part of a raw batch. It owns nothing.
func portion(raw *stream.RawBatch, from, to int) *stream.RawBatch {
	p := *raw
	p.Records, p.Free = raw.Records[from:to], nil
	return &p
}

// sort takes the records of raw, those with a verdict as dead letters.
func (f *filler) sort(ctx context.Context, raw *stream.RawBatch, verdicts map[int]verdict) error {
	from := 0
	for i := range raw.Records {
		v, bad := verdicts[i]
		if !bad {
			continue
		}
		if err := f.decode(ctx, portion(raw, from, i)); err != nil {
			return err
		}
		if f.batch.Full() {
			if err := f.move(ctx); err != nil {
				return err
			}
		}
		o := stream.Origin{Raw: f.batch.Hold(raw), Record: int32(i)} //nolint:gosec // a raw batch is far below 2^31 records
		f.batch.Raw.Bad = append(f.batch.Raw.Bad, stream.BadRow{Origin: o, Step: v.step, Code: v.code, Reason: v.reason})
		from = i + 1
	}
	return f.decode(ctx, portion(raw, from, len(raw.Records)))
}

// barrier commits what is open and waits for it.
func (h *hold) barrier(ctx context.Context) error {
	for h.flight != nil || h.txn != nil {
		switch {
		case h.flight != nil:
			select {
			case <-h.flight.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := h.landed(ctx); err != nil {
				return err
			}
		case h.pub.room() || h.r.wish() != nil:
			if err := h.cut(ctx); err != nil {
				return err
			}
		default:
			wait, cancel := h.r.wake.context(ctx, time.Time{})
			<-wait.Done()
			cancel()
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

// blame makes the records on their way suspects of a panic.
func (h *hold) blame() {
	last := map[stream.PartitionID]int64{}
	for _, raw := range h.fill.held {
		if n := len(raw.Records); n > 0 {
			last[raw.Partition] = max(last[raw.Partition], raw.Records[n-1].Offset)
		}
	}
	h.r.suspect(last, false)
}
