package lane

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

// txn is the open transaction of a lane: what was read since the last cut, and the files that it went to.
type txn struct {
	id     stream.TxnID
	opened time.Time
	time   stream.Micros // batch_time()
	ranges map[stream.PartitionID]*stream.Range
	order  []stream.PartitionID // of first reading
	at     map[stream.PartitionID]*stream.Bookmark

	writers []stream.TableWriter // by sink; nil until its first row
	dead    stream.TableWriter

	counts  stream.Counts
	rows    int64 // that came out of the decoder
	bad     int64 // that did not
	steps   []flow
	sinkIn  []int64
	deadIn  int64
	reasons map[string]int64
}

// flow counts one step.
type flow struct{ in, out, bad int64 }

func newTxn(h *hold, now time.Time) *txn {
	return &txn{
		id: h.next, opened: now, time: stream.Micros(now.UnixMicro()),
		ranges: map[stream.PartitionID]*stream.Range{}, at: map[stream.PartitionID]*stream.Bookmark{},
		writers: make([]stream.TableWriter, len(h.w.p.Sinks)), sinkIn: make([]int64, len(h.w.p.Sinks)),
		steps: make([]flow, len(h.w.p.Steps)), reasons: map[string]int64{},
		counts: stream.Counts{Removed: map[string]int64{}, Rows: map[string]int64{}},
	}
}

// note counts what was read of one partition. b is the lane's live bookmark, already moved to raw.To.
func (t *txn) note(b *stream.Bookmark, raw *stream.RawBatch) {
	r := t.ranges[raw.Partition]
	if r == nil {
		r = &stream.Range{Partition: raw.Partition, Generation: b.Generation, From: raw.From, TopicID: b.TopicID}
		t.ranges[raw.Partition] = r
		t.order = append(t.order, raw.Partition)
		t.at[raw.Partition] = b
	}
	r.To, r.LeaderEpoch = raw.To, b.LeaderEpoch
	r.Records += int64(len(raw.Records))
	t.counts.Records += int64(len(raw.Records))
}

// decoded counts the rows and the bad records of one decoding.
func (t *txn) decoded(b *stream.Batch) { t.bad += int64(len(b.Raw.Bad)) }

func (t *txn) write(ctx context.Context, s stream.Sink, i int, b *stream.Batch) error {
	if t.writers[i] == nil {
		t.writers[i] = s.Begin(t.id)
	}
	return t.writers[i].Write(ctx, b)
}

func (t *txn) step(i int, name string, in, out, bad int64) {
	f := &t.steps[i]
	f.in, f.out, f.bad = f.in+in, f.out+out, f.bad+bad
	if gone := in - out - bad; gone > 0 {
		t.counts.Removed[name] += gone
	}
}

// due tells whether it is time for the barrier.
func (t *txn) due(now time.Time, p Pipeline) bool {
	return !now.Before(t.opened.Add(p.CommitEvery)) || t.size() >= int64(p.CommitSize)
}

// full tells whether the transaction must wait for the one before it.
func (t *txn) full(p Pipeline) bool { return t.size() >= int64(p.CommitSize) }

func (t *txn) size() (n int64) {
	for _, w := range t.writers {
		if w != nil {
			n += w.Size()
		}
	}
	return n
}

// sealed is all that a transaction wrote.
func (t *txn) seal(ctx context.Context, w *Worker) ([]stream.File, map[string]stream.TableRef, error) {
	ranges := make([]stream.Range, 0, len(t.order))
	for _, id := range t.order {
		ranges = append(ranges, *t.ranges[id])
	}
	text, err := json.Marshal(ranges)
	if err != nil {
		return nil, nil, fmt.Errorf("footer: %w", err)
	}
	footer := map[string]string{
		"millrace.transaction": t.id.String(), "millrace.pipeline": w.p.Name, "millrace.ranges": string(text),
	}
	var files []stream.File
	tables := map[string]stream.TableRef{}
	take := func(wr stream.TableWriter, s stream.Sink, want int64) error {
		if wr == nil {
			return nil
		}
		fs, err := wr.Seal(ctx, footer)
		if err != nil {
			return fmt.Errorf("sink %s: %w", s.Ref().Name, err)
		}
		var rows int64
		for _, f := range fs {
			rows += f.Rows
		}
		if rows != want {
			w.d.Metrics.Imbalance.Add(float64(abs(want - rows)))
			return fmt.Errorf("sink %s: transaction %s has %d rows in its files and %d went in: %w", s.Ref().Name, t.id, rows, want, stream.ErrPermanent)
		}
		if len(fs) > 0 {
			tables[s.Ref().Name] = s.Ref()
			t.counts.Rows[s.Ref().Name] += rows
		}
		files = append(files, fs...)
		return nil
	}
	for i, wr := range t.writers {
		if err := take(wr, w.p.Sinks[i].Sink, t.sinkIn[i]); err != nil {
			return nil, nil, err
		}
	}
	if err := take(t.dead, w.p.Dead, t.deadIn); err != nil {
		return nil, nil, err
	}
	return files, tables, nil
}

// imbalance is the number of records that are unaccounted for. It must be 0.
func (t *txn) imbalance(p Pipeline) int64 {
	off := abs(t.counts.Records - t.counts.Skipped - t.rows - t.bad)
	in := t.rows
	for _, f := range t.steps {
		if f.in != in { // a stage passes on all that the one before it gave
			off += abs(in - f.in)
		}
		in = f.out
		if f.in-f.out-f.bad < 0 {
			off += f.out + f.bad - f.in
		}
	}
	if p.OnError == DeadLetter {
		off += abs(t.counts.Dead - t.deadIn)
	}
	return off
}

// abort drops the files. Never after a commit that names them was sent.
func (t *txn) abort(ctx context.Context, w *Worker) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for _, wr := range append(slices.Clone(t.writers), t.dead) {
		if wr == nil {
			continue
		}
		if err := wr.Abort(ctx); err != nil {
			w.d.Log.Debug("an open file could not be discarded; garbage collection will", "txn", t.id.String(), "err", err)
		}
	}
}

// span is the transaction's ranges in words, for the log.
func (t *txn) span() (from, to string) {
	var a, b []string
	for i, id := range t.order {
		if i == 4 {
			a, b = append(a, "…"), append(b, "…")
			break
		}
		r := t.ranges[id]
		a, b = append(a, string(id)+":"+string(r.From)), append(b, string(r.To))
	}
	return strings.Join(a, ","), strings.Join(b, ",")
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
