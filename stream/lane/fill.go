package lane

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/stream"
)

// heldBytes bounds the raw batches that wait for a batch to fill up: at 8,192 rows of 1 KiB a batch is full before.
const heldBytes = 16 << 20

// giantBytes is the size of a batch whose buffers are not kept: they are in every step's memory, too.
const giantBytes = 16 << 20

// filler moves records through the chain into the open transaction (W0). All its memory is reused.
type filler struct {
	h     *hold
	dec   stream.Decoder
	steps []stage
	outs  []out
	batch *stream.Batch
	held  []*stream.RawBatch // behind the rows of batch
	bytes int64
	dead  *deadLetters

	ctx   context.Context //nolint:containedctx // of the call that is running: stream.Emit has no room for one
	below time.Duration   // spent behind the step that is running
}

// stage is the chain from one step on: the sinks that hang here, and the step that follows.
type stage struct {
	sinks []int // indices into Pipeline.Sinks
	step  stream.Step
	name  string
	emit  stream.Emit // to the next stage
	seen  int64       // rows of this batch that came out of the step
	later int64       // of them rejected by what follows
}

// out is the way into one sink: its own step, if it has one, and then the open files.
type out struct {
	name string
	step stream.Step
	emit stream.Emit
}

func newFiller(h *hold) (*filler, error) {
	f := &filler{h: h, steps: make([]stage, len(h.w.p.Steps)+1)}
	var err error
	if f.dec, err = h.w.p.NewDecoder(); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	for i, s := range h.w.p.Steps {
		if f.steps[i].step, err = s.New(); err != nil {
			return nil, fmt.Errorf("step %s: %w", s.Name, err)
		}
		f.steps[i].name = s.Name
		f.steps[i].emit = func(_ int, b *stream.Batch) error {
			f.steps[i].seen += int64(len(b.Sel))
			begin, below, bad := time.Now(), f.below, len(b.Raw.Bad)
			err := f.pass(i+1, b)
			f.below = below + time.Since(begin)
			f.steps[i].later += int64(len(b.Raw.Bad) - bad)
			return err
		}
	}
	for i, s := range h.w.p.Sinks {
		f.steps[s.After].sinks = append(f.steps[s.After].sinks, i)
		o := out{name: "sink " + s.Ref().Name, emit: func(_ int, b *stream.Batch) error { return f.write(i, b) }}
		if s.Before != nil {
			if o.step, err = s.Before(); err != nil {
				return nil, fmt.Errorf("partition columns of sink %s: %w", s.Ref().Name, err)
			}
		}
		f.outs = append(f.outs, o)
	}
	f.batch = stream.NewBatch(f.dec.Schema())
	f.dead = newDeadLetters(h.w.p, int64(h.w.p.RawLimit))
	return f, nil
}

// raw takes a raw batch: its records fill the batch, which moves on when it is full or nothing more is about to come.
func (f *filler) raw(ctx context.Context, raw *stream.RawBatch) error {
	h := f.h
	b := h.at[raw.Partition]
	if b == nil || b.Position != raw.From {
		raw.Release()
		at := stream.Position("nowhere")
		if b != nil {
			at = b.Position
		}
		return fmt.Errorf("lane %s: the reader delivered %s from %s, but it was at %s: %w", h.r.id, raw.Partition, raw.From, at, stream.ErrUnavailable)
	}
	verdicts, err := h.tryOut(ctx, raw)
	if err != nil || h.txn == nil && raw.To == raw.From {
		raw.Release()
		return err
	}
	if h.txn == nil {
		h.txn = newTxn(h, time.Now())
		h.r.opened(h.txn)
	}
	b.Position = raw.To
	if raw.LeaderEpoch >= 0 {
		b.LeaderEpoch = raw.LeaderEpoch
	}
	h.txn.note(b, raw)
	h.r.mu.Lock()
	h.r.tot.Read += int64(len(raw.Records))
	if raw.Lag >= 0 {
		h.r.st.Lag = raw.Lag
	}
	h.r.mu.Unlock()
	f.held = append(f.held, raw)
	f.bytes += raw.Bytes
	if verdicts == nil {
		err = f.decode(ctx, raw)
	} else {
		err = f.sort(ctx, raw, verdicts)
	}
	if err != nil {
		return err
	}
	if raw.AtEnd || f.bytes >= heldBytes || len(raw.Records) == 0 || verdicts != nil {
		return f.flush(ctx)
	}
	return nil
}

// decode appends all records of raw, and moves the batch on whenever it is full.
func (f *filler) decode(ctx context.Context, raw *stream.RawBatch) error {
	for from := 0; from < len(raw.Records); {
		empty := f.batch.Rows == 0 && len(f.batch.Raw.Bad) == 0 && f.batch.Raw.Skipped == 0
		begin := time.Now()
		next, err := f.dec.Decode(raw, from, f.batch)
		f.h.busy("decode", time.Since(begin))
		if err != nil {
			return fmt.Errorf("decode %s: %w", raw.Partition, err)
		}
		if next == from && empty {
			return fmt.Errorf("decode %s: the decoder takes nothing from record %d on: %w", raw.Partition, from, stream.ErrPermanent)
		}
		if from = next; from < len(raw.Records) {
			if err := f.move(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush moves a batch that is not full, so that nothing waits for more to come.
func (f *filler) flush(ctx context.Context) error {
	err := f.move(ctx)
	for _, r := range f.held {
		r.Release()
	}
	clear(f.held)
	f.held, f.bytes = f.held[:0], 0
	return err
}

// move takes the batch through the chain and empties it. Raw batches that are decoded whole go back to the reader.
func (f *filler) move(ctx context.Context) error {
	b, t := f.batch, f.h.txn
	if t == nil || b.Rows == 0 && len(b.Raw.Bad) == 0 && b.Raw.Skipped == 0 {
		return nil
	}
	f.ctx = ctx
	b.SelectAll()
	b.Time = t.time
	t.rows += int64(b.Rows)
	t.counts.Skipped += b.Raw.Skipped
	t.decoded(b)
	err := f.pass(0, b)
	if err == nil && len(b.Raw.Bad) > 0 {
		err = f.bad(ctx, b.Raw)
	}
	if err != nil {
		return err
	}
	f.h.w.d.Hooks.Reach(stream.W0, f.h.r.id)
	giant := false
	for _, c := range b.Cols {
		giant = giant || c.Size() > giantBytes
	}
	b.Reset()
	if n := len(f.held); n > 1 { // all but the last are used up: the batch was filled in order
		for _, r := range f.held[:n-1] {
			f.bytes -= r.Bytes
			r.Release()
		}
		f.held[0] = f.held[n-1]
		clear(f.held[1:])
		f.held = f.held[:1]
	}
	if giant {
		return f.renew()
	}
	return nil
}

// renew builds the chain anew: what its parts keep in memory is too large, or not to be trusted after a panic.
func (f *filler) renew() error {
	fresh, err := newFiller(f.h)
	if err != nil {
		return err
	}
	f.dec, f.batch, f.dead = fresh.dec, fresh.batch, fresh.dead
	for i := range f.steps {
		f.steps[i].step = fresh.steps[i].step
	}
	for i := range f.outs {
		f.outs[i].step = fresh.outs[i].step
	}
	return nil
}

// pass hands a batch to the sinks that hang at stage i and to the step that follows. Each of them sees every row: what one
// sink rejects, the others keep.
func (f *filler) pass(i int, b *stream.Batch) error {
	s := &f.steps[i]
	sel, t := b.Sel, f.h.txn
	if len(sel) == 0 {
		return nil
	}
	for _, k := range s.sinks {
		o := &f.outs[k]
		bad, begin, below := len(b.Raw.Bad), time.Now(), f.below
		var err error
		if o.step != nil {
			err = o.step.Apply(b, o.emit)
		} else {
			err = o.emit(0, b)
		}
		if err != nil {
			return fmt.Errorf("sink %s: %w", f.h.w.p.Sinks[k].Ref().Name, err)
		}
		f.below = below
		f.h.busy(o.name, time.Since(begin))
		t.sinks[k].in += int64(len(sel))
		t.sinks[k].bad += int64(len(b.Raw.Bad) - bad)
		b.Sel = sel
	}
	if s.step == nil {
		return nil
	}
	bad, begin, below := len(b.Raw.Bad), time.Now(), f.below
	s.seen, s.later, f.below = 0, 0, 0
	err := s.step.Apply(b, s.emit)
	f.h.busy(s.name, time.Since(begin)-f.below)
	f.below = below
	if err != nil {
		return fmt.Errorf("step %s: %w", s.name, err)
	}
	t.step(i, s.name, int64(len(sel)), s.seen, int64(len(b.Raw.Bad)-bad)-s.later)
	return nil
}

// write hands a batch to sink k's open files.
func (f *filler) write(k int, b *stream.Batch) error {
	if len(b.Sel) == 0 {
		return nil
	}
	return f.h.txn.write(f.ctx, f.h.w.p.Sinks[k].Sink, k, b)
}

// bad deals with the records that did not fit, by policy. A record that several sinks reject is bad once.
func (f *filler) bad(ctx context.Context, set *stream.RawSet) error {
	t := f.h.txn
	if n := len(set.Bad); n > 1 {
		seen := make(map[stream.Origin]bool, n)
		set.Bad = slices.DeleteFunc(set.Bad, func(e stream.BadRow) bool {
			was := seen[e.Origin]
			seen[e.Origin] = true
			return was
		})
	}
	n := int64(len(set.Bad))
	switch f.h.w.p.OnError {
	case Fail:
		raw, rec := set.Record(set.Bad[0].Origin)
		e := set.Bad[0]
		return stream.WithNext(fmt.Errorf("%s offset %d: step %s: %s%s: %w: %w", raw.Partition, rec.Offset, e.Step, column(e.Column), e.Reason, stream.ErrPermanent, errStays),
			"mend the record's producer or the schema, or set source.on_error to dead_letter")
	case Drop:
		t.counts.Removed["dropped"] += n
	default:
		t.counts.Dead += n
		if err := f.dead.write(ctx, t, set); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
	}
	t.unfit += n
	for _, e := range set.Bad {
		t.reasons[e.Code]++
	}
	return nil
}

func column(c string) string {
	if c == "" {
		return ""
	}
	return "column " + c + ": "
}

// drop forgets what is on its way.
func (f *filler) drop() {
	for _, r := range f.held {
		r.Release()
	}
	clear(f.held)
	f.held, f.bytes = f.held[:0], 0
	f.batch.Reset()
}
