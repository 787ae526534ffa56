package lane

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// txn is the open transaction of a lane: what was read since the last cut, and the files that it went to.
type txn struct {
	id     stream.TxnID
	opened time.Time
	time   stream.Micros        // batch_time()
	oldest stream.Micros        // timestamp of the oldest record, by the first of each raw batch; 0: none has one
	order  []stream.PartitionID // of first reading
	at     map[stream.PartitionID]*stream.Bookmark
	last   map[stream.PartitionID]int64 // offset of the last record
	sent   bool                         // its commit was sent: nothing of it may be discarded any more

	mu     sync.Mutex // of ranges: files that close early ask for them
	ranges map[stream.PartitionID]*stream.Range

	writers []stream.TableWriter // by sink; nil until its first row
	dead    stream.TableWriter

	counts  stream.Counts
	rows    int64 // that came out of the decoder
	bad     int64 // that did not
	unfit   int64 // records that were dead-lettered or dropped, after decoding and steps alike
	steps   []flow
	sinks   []flow // by sink; out is not counted here: the files know it
	deadIn  int64
	reasons map[string]int64
}

// flow counts the rows of one step or sink.
type flow struct{ in, out, bad int64 }

func newTxn(h *hold, now time.Time) *txn {
	return &txn{
		id: h.next, opened: now, time: stream.Micros(now.UnixMicro()),
		ranges: map[stream.PartitionID]*stream.Range{}, at: map[stream.PartitionID]*stream.Bookmark{}, last: map[stream.PartitionID]int64{},
		writers: make([]stream.TableWriter, len(h.w.p.Sinks)), sinks: make([]flow, len(h.w.p.Sinks)),
		steps: make([]flow, len(h.w.p.Steps)), reasons: map[string]int64{},
		counts: stream.Counts{Removed: map[string]int64{}, Rows: map[string]int64{}},
	}
}

// note counts what was read of one partition. b is the lane's live bookmark, already moved to raw.To.
func (t *txn) note(b *stream.Bookmark, raw *stream.RawBatch) {
	t.mu.Lock()
	defer t.mu.Unlock()
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
	if n := len(raw.Records); n > 0 {
		t.last[raw.Partition] = raw.Records[n-1].Offset
		if at := raw.Records[0].Timestamp; at > 0 && (t.oldest == 0 || at < t.oldest) {
			t.oldest = at
		}
	}
}

// read is what was read so far, in order of first reading.
func (t *txn) read() []stream.Range {
	t.mu.Lock()
	defer t.mu.Unlock()
	ranges := make([]stream.Range, 0, len(t.order))
	for _, id := range t.order {
		ranges = append(ranges, *t.ranges[id])
	}
	return ranges
}

// footer goes into the files of the transaction.
func (t *txn) footer(pipeline string) map[string]string {
	text, err := json.Marshal(t.read())
	if err != nil {
		panic("lane: footer: " + err.Error()) // strings and numbers only
	}
	return map[string]string{"millrace.transaction": t.id.String(), "millrace.pipeline": pipeline, "millrace.ranges": string(text)}
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
	footer := t.footer(w.p.Name)
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
			return unbalanced(fmt.Errorf("sink %s: transaction %s has %d rows in its files and %d went in", s.Ref().Name, t.id, rows, want))
		}
		if len(fs) > 0 {
			tables[s.Ref().Name] = s.Ref()
			t.counts.Rows[s.Ref().Name] += rows
		}
		files = append(files, fs...)
		return nil
	}
	for i, wr := range t.writers {
		if err := take(wr, w.p.Sinks[i].Sink, t.sinks[i].in-t.sinks[i].bad); err != nil {
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
	for i := range p.Sinks {
		if p.Sinks[i].After == 0 { // a sink is handed all that its stage has
			off += abs(in - t.sinks[i].in)
		}
	}
	for i, f := range t.steps {
		if f.in != in { // a stage passes on all that the one before it gave
			off += abs(in - f.in)
		}
		in = f.out
		for k := range p.Sinks {
			if p.Sinks[k].After == i+1 {
				off += abs(in - t.sinks[k].in)
			}
		}
		if gone := f.in - f.out - f.bad; gone > 0 && p.Steps[i].Keeps {
			off += gone
		}
		if f.in-f.out-f.bad < 0 {
			off += f.out + f.bad - f.in
		}
	}
	if p.OnError == DeadLetter {
		off += abs(t.counts.Dead - t.deadIn)
	}
	return off
}

// unbalanced makes err the fault of a transaction whose counts do not add up.
func unbalanced(err error) error {
	return stream.WithNext(fmt.Errorf("%w; it was not committed: %w: %w", err, stream.ErrPermanent, errStays),
		"this is a fault of millrace: please report it with this line; nothing was lost, the records are read again after a restart")
}

// abort drops the files. Never after a commit that names them was sent.
func (t *txn) abort(ctx context.Context, w *Worker) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	for _, wr := range append(slices.Clone(t.writers), t.dead) {
		if wr == nil {
			continue
		}
		if err := guard(func() error { return wr.Abort(ctx) }); err != nil {
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
