package lane_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/stream"
)

// memorySource is a log in memory whose assignment a test drives by hand, or that grants everything to whoever asks first.
// Record i of all has id i; partition p has those with i % partitions == p.
type memorySource struct {
	partitions, records int
	bounded             bool
	bad                 map[int]string // values that replace good ones
	shape               func(i int, r *stream.Record)
	turns               chan stream.Change

	flush   time.Duration // how long a revocation may take; 0: for ever
	pace    time.Duration // between two batches
	reads   atomic.Int64  // calls of Next
	trouble func() error  // what Next answers instead of records; nil, or returns nil: nothing

	mu     sync.Mutex
	acked  map[stream.PartitionID]stream.Position
	opened int
	chunk  int
}

func newMemorySource(partitions, records int) *memorySource {
	return &memorySource{partitions: partitions, records: records, bounded: true, bad: map[int]string{}, acked: map[stream.PartitionID]stream.Position{}, chunk: 37}
}

func (s *memorySource) id(p int) stream.PartitionID {
	return stream.PartitionID(fmt.Sprintf("memory/t/%d", p))
}

func (s *memorySource) Discover(context.Context) ([]stream.Start, error) {
	var out []stream.Start
	for p := range s.partitions {
		out = append(out, stream.Start{ID: s.id(p), Slot: uint32(p), Bookmark: stream.Bookmark{Partition: s.id(p), Position: "0", LeaderEpoch: -1}})
	}
	return out, nil
}

func (s *memorySource) grants(lanes int) []stream.Grant {
	starts, _ := s.Discover(context.Background())
	out := make([]stream.Grant, lanes)
	for i := range out {
		out[i].Lane = stream.LaneID(strconv.Itoa(i))
	}
	for _, st := range starts {
		g := &out[int(st.Slot)%lanes]
		g.Partitions = append(g.Partitions, st)
	}
	return out
}

func (s *memorySource) Assign(ctx context.Context, m stream.Member, f func(context.Context, stream.Change) error) error {
	held := map[stream.LaneID]bool{}
	note := func(c stream.Change) {
		for _, g := range c.Granted {
			held[g.Lane] = true
		}
		for _, l := range append(c.Revoked, c.Lost...) {
			delete(held, l)
		}
	}
	if s.turns == nil {
		c := stream.Change{Generation: 1, Granted: s.grants(m.Lanes)}
		note(c)
		if err := f(ctx, c); err != nil {
			return err
		}
	}
	for {
		select {
		case c := <-s.turns:
			note(c)
			turn, cancel := ctx, context.CancelFunc(func() {})
			if s.flush > 0 {
				turn, cancel = context.WithTimeout(ctx, s.flush)
			}
			err := f(turn, c)
			cancel()
			if err != nil {
				return err
			}
			continue
		case <-ctx.Done():
		}
		var all []stream.LaneID
		for l := range held {
			all = append(all, l)
		}
		return f(context.WithoutCancel(ctx), stream.Change{Revoked: all})
	}
}

func (s *memorySource) Open(_ context.Context, _ stream.LaneID, at []stream.Bookmark) (stream.Reader, error) {
	s.mu.Lock()
	s.opened++
	s.mu.Unlock()
	r := &memoryReader{s: s, bounded: s.bounded, at: map[stream.PartitionID]int{}}
	return r, r.Seek(context.Background(), at)
}

func (s *memorySource) Close() error { return nil }

type memoryReader struct {
	s       *memorySource
	bounded bool
	at      map[stream.PartitionID]int // number within the partition
	order   []stream.PartitionID
	turn    int
}

func (r *memoryReader) Seek(_ context.Context, to []stream.Bookmark) error {
	for _, b := range to {
		n, err := strconv.Atoi(string(b.Position))
		if err != nil {
			return err
		}
		if _, ok := r.at[b.Partition]; !ok {
			r.order = append(r.order, b.Partition)
		}
		r.at[b.Partition] = n
	}
	return nil
}

func (r *memoryReader) Next(ctx context.Context) (*stream.RawBatch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		raw, err := r.pop()
		if raw != nil || err != nil {
			return raw, err
		}
		if r.bounded {
			return nil, stream.ErrEnd
		}
		t := time.NewTimer(5 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

func (r *memoryReader) pop() (*stream.RawBatch, error) {
	r.s.reads.Add(1)
	if r.s.pace > 0 {
		time.Sleep(r.s.pace)
	}
	if r.s.trouble != nil {
		if err := r.s.trouble(); err != nil {
			return nil, err
		}
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for range r.order {
		id := r.order[r.turn%len(r.order)]
		r.turn++
		var p int
		if _, err := fmt.Sscanf(string(id), "memory/t/%d", &p); err != nil {
			return nil, err
		}
		size := (r.s.records - p + r.s.partitions - 1) / r.s.partitions
		from := r.at[id]
		if from >= size {
			continue
		}
		to := min(from+r.s.chunk, size)
		raw := &stream.RawBatch{Partition: id, Topic: "t", Number: int32(p), From: pos(from), To: pos(to), LeaderEpoch: -1, AtEnd: to == size, Lag: int64(size - to)}
		for n := from; n < to; n++ {
			i := n*r.s.partitions + p
			value := fmt.Sprintf(`{"id":%d,"day":"d%d"}`, i, i%3)
			if v, ok := r.s.bad[i]; ok {
				value = v
			}
			rec := stream.Record{Value: []byte(value), Offset: int64(n)}
			if r.s.shape != nil {
				r.s.shape(i, &rec)
			}
			raw.Records = append(raw.Records, rec)
			raw.Bytes += int64(len(value))
		}
		r.at[id] = to
		return raw, nil
	}
	return nil, nil
}

// grow adds records, up to n of them.
func (s *memorySource) grow(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = n
}

func pos(n int) stream.Position { return stream.Position(strconv.Itoa(n)) }

func (r *memoryReader) Pause(bool) {}

func (r *memoryReader) Ack(_ context.Context, at []stream.Bookmark) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, b := range at {
		r.s.acked[b.Partition] = b.Position
	}
	return nil
}

func (r *memoryReader) Close() error { return nil }
