package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

// partition is one that a reader holds. Its fields belong to the reader's mutex.
type partition struct {
	topicPartition
	id      stream.PartitionID
	asked   int    // rises with every Seek and every loss of the leader: answers to older questions are dropped
	topicID string // that the bookmark names; empty: not checked
	state   state
	pos     int64 // next offset to fetch
	epoch   int32 // leader epoch of the last record before pos; -1 unknown
	end     int64 // of bounded input; else -1
	told    bool  // a batch has said whether the position is the end
	stuck   int   // answers in a row that brought bytes and no progress
	short   int   // answers in a row that held only a piece of a batch

	leader, leaderEpoch int32
	rawID               [16]byte
	replica             int32     // that the leader sent us to; -1: none
	replicaSince        time.Time // it is asked again after replicaFor

	err     error     // why it is not being read just now
	since   time.Time // when that began
	suspect string    // a fault that may be a broker's stale view, and when it was first seen
	seen    time.Time

	lag      int64 // records between pos and the high watermark
	held     held
	lastTime stream.Micros
	read     bool
}

// held is what an open transaction keeps back.
type held struct {
	records int64     // between the last stable offset and the high watermark
	at      int64     // the last stable offset, where reading stands
	since   time.Time // zero: reading does not stand
	told    bool
}

type state uint8

const (
	lost   state = iota // no leader known, or not checked: the keeper's
	ready               // a fetcher's
	halted              // told as a PartitionError; only Seek revives it
	ended               // bounded input is done
)

const (
	// queueBytes is how much may wait for the lane before nothing more is fetched, decompressed. With what is on its
	// way (fetchBytes a broker, compressed) it keeps a lane busy: 8 MiB are 10 ms and more of work.
	queueBytes = 8 << 20
	// fetchBytes and partitionBytes bound an answer, compressed. Brokers exceed them only for a single batch.
	fetchBytes     = 4 << 20
	partitionBytes = 1 << 20
	// fetchWait is how long a broker holds an empty answer. It also bounds how late a new partition joins.
	fetchWait = 500 * time.Millisecond
	// quietFor is how long a fault that may heal stays unreported, and how often it is repeated then.
	quietFor = 3 * time.Second
	// heldFor is how long reading stands at an open transaction before somebody is told. Brokers end one that is left alone after
	// the producer's transaction.timeout.ms, a minute as a rule.
	heldFor = time.Minute
	// replicaFor is how long a replica nearby is read before its leader is asked again.
	replicaFor = 5 * time.Minute
)

type item struct {
	p     *partition
	asked int
	batch *batch
	err   error
}

type reader struct {
	s      *Source
	lane   stream.LaneID
	cl     *kgo.Client
	decomp kgo.Decompressor
	ctx    context.Context //nolint:containedctx // the reader's life
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // wakes the keeper
	come   chan struct{} // wakes Next

	mu       sync.Mutex
	parts    map[topicPartition]*partition
	order    []*partition
	fetchers map[int32]*fetcher
	queue    []item
	queued   int64
	paused   bool
	closed   bool
	toldAt   time.Time // when Next last reported a fault that may heal
}

var _ stream.Reader = (*reader)(nil)

// Open starts reading a lane. It waits for no answer: what cannot be read is reported by Next.
func (s *Source) Open(_ context.Context, lane stream.LaneID, at []stream.Bookmark) (stream.Reader, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	cl, err := s.connect("lane-"+string(lane), kgo.RetryTimeout(retryTimeout))
	if err != nil {
		return nil, err
	}
	d, ok := cl.OptValue(kgo.WithDecompressor).(kgo.Decompressor) // the client's own: bounded and pooled
	if !ok {
		cl.Close()
		return nil, fmt.Errorf("kafka: the client has no decompressor: %w", stream.ErrPermanent)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &reader{
		s: s, lane: lane, cl: cl, decomp: d, ctx: ctx, cancel: cancel,
		kick: make(chan struct{}, 1), come: make(chan struct{}, 1),
		parts: map[topicPartition]*partition{}, fetchers: map[int32]*fetcher{},
	}
	if err := r.Seek(ctx, at); err != nil {
		cancel()
		cl.Close()
		return nil, err
	}
	s.mu.Lock()
	s.readers[r] = struct{}{}
	s.mu.Unlock()
	r.wg.Go(r.keep)
	marks := slices.Clone(at)
	r.wg.Go(func() { s.compare(ctx, cl, marks) })
	return r, nil
}

// Seek adds partitions, or moves those that are there and drops what was fetched of them.
func (r *reader) Seek(_ context.Context, to []stream.Bookmark) error {
	type target struct {
		tp  topicPartition
		at  stream.Bookmark
		pos int64
	}
	targets := make([]target, 0, len(to))
	for _, b := range to {
		tp, err := parseID(b.Partition)
		if err != nil {
			return err
		}
		pos, err := parsePosition(b.Position)
		if err != nil {
			return fmt.Errorf("bookmark of %s: %w", b.Partition, err)
		}
		targets = append(targets, target{tp, b, pos})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	for _, t := range targets {
		p := r.parts[t.tp]
		if p == nil {
			p = &partition{topicPartition: t.tp, id: t.tp.id()}
			r.parts[t.tp] = p
			r.order = append(r.order, p)
		}
		*p = partition{
			topicPartition: p.topicPartition, id: p.id, asked: p.asked + 1,
			topicID: t.at.TopicID, pos: t.pos, epoch: t.at.LeaderEpoch, end: -1,
			leader: -1, leaderEpoch: -1, replica: -1,
		}
		if r.s.c.Identity == identityName {
			p.topicID = ""
		}
		if t.at.Closed {
			p.state = ended
		}
	}
	r.dropStale()
	wake(r.kick)
	return nil
}

// dropStale throws away what is queued of partitions that were moved since.
func (r *reader) dropStale() {
	keep := r.queue[:0]
	for _, it := range r.queue {
		if it.asked == it.p.asked {
			keep = append(keep, it)
		} else if it.batch != nil {
			r.queued -= it.batch.Bytes
			it.batch.Release()
		}
	}
	clear(r.queue[len(keep):])
	r.queue = keep
}

// Next hands out the oldest batch or fault in the queue, or waits for one.
func (r *reader) Next(ctx context.Context) (*stream.RawBatch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err, wait := r.pop()
		if b != nil || err != nil {
			return b, err
		}
		var alarm <-chan time.Time
		var t *time.Timer
		if wait > 0 {
			t = time.NewTimer(wait)
			alarm = t.C
		}
		select {
		case <-ctx.Done():
		case <-r.come:
		case <-alarm:
		}
		if t != nil {
			t.Stop()
		}
	}
}

// pop is the next thing to say; without any, wait is when to look again (0: when woken).
func (r *reader) pop() (b *stream.RawBatch, err error, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed, 0
	}
	if len(r.queue) > 0 {
		it := r.queue[0]
		r.queue[0] = item{}
		r.queue = r.queue[1:]
		if it.err != nil {
			return nil, it.err, 0
		}
		r.queued -= it.batch.Bytes
		r.wakeFetchers()
		return &it.batch.RawBatch, nil, 0
	}
	if r.s.d.Once && r.done() {
		return nil, stream.ErrEnd, 0
	}
	return r.trouble(time.Now())
}

func (r *reader) done() bool {
	for _, p := range r.order {
		if p.state == lost || p.state == ready {
			return false
		}
	}
	return true
}

// trouble is the fault that holds a partition up for longest, once it has lasted for quietFor, or at once if it does not heal
// by itself.
func (r *reader) trouble(now time.Time) (_ *stream.RawBatch, err error, wait time.Duration) {
	var due time.Time
	for _, p := range r.order {
		if p.err == nil || p.state == halted || p.state == ended {
			continue
		}
		at := p.since
		if errors.Is(p.err, stream.ErrUnavailable) {
			at = at.Add(quietFor)
		}
		// A suspicion is decided within Patience. Told before, it would have the lane read anew, and itself begin anew, for ever.
		if decided := p.seen.Add(r.s.d.Patience + quietFor); p.suspect != "" && at.Before(decided) {
			at = decided
		}
		if due.IsZero() || at.Before(due) {
			due, err = at, p.err
		}
	}
	if err == nil {
		return nil, nil, 0
	}
	if again := r.toldAt.Add(quietFor); again.After(due) {
		due = again
	}
	if wait = due.Sub(now); wait > 0 {
		return nil, nil, wait
	}
	r.toldAt = now
	return nil, err, 0
}

// push queues what a fetcher or the keeper has for Next. The mutex is held.
func (r *reader) push(it item) {
	r.queue = append(r.queue, it)
	if it.batch != nil {
		r.queued += it.batch.Bytes
	}
	wake(r.come)
}

// halt reports a partition's fault once, behind what was read of it before. The mutex is held.
func (r *reader) halt(p *partition, code string, err error) {
	p.state = halted
	p.err = nil
	r.s.d.Log.Error("partition halted", "partition", p.id, "lane", r.lane, "code", code, "err", err, "next", stream.Next(err))
	r.push(item{p: p, asked: p.asked, err: &stream.PartitionError{Partition: p.id, Code: code, Err: err}})
}

// lose gives a partition back to the keeper. The mutex is held.
func (r *reader) lose(p *partition, err error) {
	p.state = lost
	p.asked++
	for i := range r.queue { // what was read before stays good
		if r.queue[i].p == p {
			r.queue[i].asked = p.asked
		}
	}
	r.note(p, err)
	wake(r.kick)
}

// note remembers why a partition is not being read. The mutex is held.
func (r *reader) note(p *partition, err error) {
	if p.err == nil {
		p.since = time.Now()
	}
	p.err = err
	wake(r.come)
}

// Pause stops fetching, or lets it go on.
func (r *reader) Pause(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = on
	r.wakeFetchers()
}

// Ack commits offsets to the group as a hint for lag tools. Whatever comes of it is of no consequence.
func (r *reader) Ack(ctx context.Context, at []stream.Bookmark) error {
	r.s.hint(ctx, at)
	return nil
}

// Close ends the reader's goroutines and its connections.
func (r *reader) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	r.cl.Close()
	r.s.mu.Lock()
	delete(r.s.readers, r)
	r.s.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.queue {
		if it.batch != nil {
			it.batch.Release()
		}
	}
	r.queue = nil
	return nil
}

// wake leaves a note in c; one is enough.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (r *reader) wakeFetchers() {
	for _, f := range r.fetchers {
		wake(f.wake)
	}
}
