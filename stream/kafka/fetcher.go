package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

// fetcher asks one broker for what it has of this lane.
type fetcher struct {
	broker int32
	wake   chan struct{}
	first  int // where the next request's list begins, so that no partition is always last
}

const (
	fetchRetryMin = 100 * time.Millisecond
	fetchRetryMax = 3 * time.Second
	// maxStuck answers in a row with bytes but without progress are taken for a batch that cannot be read.
	maxStuck = 3
)

// fetcher returns the one for a broker, started. The mutex is held.
func (r *reader) fetcher(broker int32) {
	f := r.fetchers[broker]
	if f == nil {
		if r.closed {
			return
		}
		f = &fetcher{broker: broker, wake: make(chan struct{}, 1)}
		r.fetchers[broker] = f
		r.wg.Go(func() { r.fetch(f) })
	}
	wake(f.wake)
}

// question is one partition of a request.
type question struct {
	p     *partition
	asked int
	tp    topicPartition
	id    [16]byte
	from  int64
	part  kmsg.FetchRequestTopicPartition
}

func (r *reader) fetch(f *fetcher) {
	wait := fetchRetryMin
	for r.ctx.Err() == nil {
		req, qs := r.request(f)
		if req == nil {
			select {
			case <-r.ctx.Done():
			case <-f.wake:
			}
			continue
		}
		resp, err := r.cl.Broker(int(f.broker)).Request(r.ctx, req)
		if r.ctx.Err() != nil {
			return
		}
		if err == nil {
			err = kerr.ErrorForCode(resp.(*kmsg.FetchResponse).ErrorCode) //nolint:forcetypeassert // the answer to a fetch request
		}
		if err != nil {
			r.failed(f, qs, err)
			r.sleep(wait)
			wait = min(2*wait, fetchRetryMax)
			continue
		}
		if !r.take(qs, resp.(*kmsg.FetchResponse)) { //nolint:forcetypeassert // as above
			r.sleep(wait)
			wait = min(2*wait, fetchRetryMax)
			continue
		}
		wait = fetchRetryMin
	}
}

// request lists what the broker is to be asked for; nil: nothing now.
func (r *reader) request(f *fetcher) (*kmsg.FetchRequest, []question) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.paused || r.queued >= queueBytes || (r.s.d.Budget.Over() > 0 && len(r.queue) > 0) {
		return nil, nil
	}
	var qs []question
	now := time.Now()
	f.first++
	for i := range r.order {
		p := r.order[(i+f.first)%len(r.order)]
		if p.state != ready {
			continue
		}
		if p.replica >= 0 && now.Sub(p.replicaSince) > replicaFor {
			p.replica = -1
			r.fetcher(p.leader)
		}
		if at := p.replica; f.broker != p.leader && at < 0 || at >= 0 && at != f.broker {
			continue
		}
		q := question{p: p, asked: p.asked, tp: p.topicPartition, id: p.rawID, from: p.pos, part: kmsg.NewFetchRequestTopicPartition()}
		q.part.Partition, q.part.FetchOffset, q.part.PartitionMaxBytes = p.n, p.pos, partitionBytes
		q.part.CurrentLeaderEpoch, q.part.LastFetchedEpoch = p.leaderEpoch, p.epoch
		qs = append(qs, q)
	}
	if len(qs) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(fetchWait.Milliseconds())
	req.MinBytes, req.MaxBytes = 1, fetchBytes
	req.IsolationLevel, req.Rack = r.isolation(), r.s.c.Rack
	index := map[string]int{}
	for _, q := range qs {
		i, ok := index[q.tp.topic]
		if !ok {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = q.tp.topic, q.id
			i = len(req.Topics)
			index[q.tp.topic] = i
			req.Topics = append(req.Topics, t)
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, q.part)
	}
	return req, qs
}

// failed gives the partitions of a request that was not answered back to the keeper.
func (r *reader) failed(f *fetcher, qs []question, err error) {
	err = r.s.waiting(fmt.Sprintf("read from broker %d", f.broker), err)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range qs {
		if q.p.asked == q.asked && q.p.state == ready {
			r.lose(q.p, err)
		}
	}
}

// take works through an answer. It tells whether anything in it was good, so that the next request may go out at once.
func (r *reader) take(qs []question, resp *kmsg.FetchResponse) bool {
	good, next := false, 0 // answers come in the order of the questions, nearly always
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			rp := &t.Partitions[j]
			for k := range qs {
				k = (next + k) % len(qs)
				q := &qs[k]
				same := q.tp.n == rp.Partition && (resp.Version >= 13 && q.id == t.TopicID || resp.Version < 13 && q.tp.topic == t.Topic)
				if same && q.p != nil {
					good = r.answer(q, rp) || good
					next = k + 1
					q.p = nil // a partition counts once, whatever the broker repeats
					break
				}
			}
		}
	}
	return good
}

// answer takes one partition's part of an answer and tells whether it was good.
func (r *reader) answer(q *question, rp *kmsg.FetchResponseTopicPartition) bool {
	if rp.ErrorCode != 0 || rp.DivergingEpoch.Epoch >= 0 || rp.PreferredReadReplica >= 0 {
		return r.refused(q, rp)
	}
	var memory int64
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		KeepControlRecords: true, Offset: q.from, IsolationLevel: r.level(), Topic: q.tp.topic, Partition: q.tp.n, Pools: []kgo.Pool{r.s.pool},
	}, rp, r.decomp, func(m kgo.FetchBatchMetrics) { memory += int64(m.UncompressedBytes) })
	limit := rp.LastStableOffset
	if r.s.c.Isolation == readUncommitted || limit < 0 {
		limit = rp.HighWatermark
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	p := q.p
	if p.asked != q.asked || p.state != ready {
		recycle(fp.Records)
		return true
	}
	p.err = nil
	if fp.Err != nil { // what came before the fault is good; the fault itself is met again at the next request
		next = q.from
		if n := len(fp.Records); n > 0 {
			next = fp.Records[n-1].Offset + 1
		}
	}
	if next == q.from && (fp.Err != nil || len(rp.RecordBatches) > 0) {
		recycle(fp.Records)
		r.noProgress(p, fp.Err, rp.RecordBatches)
		return fp.Err == nil && p.state == ready && p.stuck == 0
	}
	if next > q.from {
		p.stuck, p.short = 0, 0
	}
	r.hold(p, rp, next, time.Now())
	b := r.s.newBatch()
	b.LeaderEpoch = p.epoch
	if e := lastEpoch(rp.RecordBatches, next); e >= 0 {
		b.LeaderEpoch = e
	}
	end := next
	if p.end >= 0 && end >= p.end {
		end = p.end
		p.state = ended
	}
	b.fill(fp.Records, end, memory)
	b.Partition, b.Topic, b.Number = p.id, p.topic, p.n
	b.From, b.To = position(q.from), position(end)
	b.AtEnd = end >= limit || p.state == ended
	b.Lag = max(0, rp.HighWatermark-end)
	r.count(p, b)
	p.pos, p.epoch, p.lag = end, b.LeaderEpoch, b.Lag
	if end == q.from && (p.told || !b.AtEnd) {
		b.Release()
		return true
	}
	p.told = true
	r.push(item{p: p, asked: p.asked, batch: b})
	return true
}

// lastEpoch is the leader epoch of the last batch that ends before next; -1 unknown. It looks at the batches and not at their records,
// as one that was compacted or aborted moves the position without leaving any: an older epoch would then look cut.
func lastEpoch(batches []byte, next int64) int32 {
	const (
		lengthAt, epochAt, magicAt, deltaAt = 8, 12, 16, 23 // the layout of a batch, magic 2
		header                              = 27            // up to and with the last offset's delta
	)
	epoch := int32(-1)
	for len(batches) >= header && batches[magicAt] == 2 {
		size := int64(binary.BigEndian.Uint32(batches[lengthAt:])) + epochAt
		last := int64(binary.BigEndian.Uint64(batches)) + int64(binary.BigEndian.Uint32(batches[deltaAt:])) //nolint:gosec // as in the log
		if last >= next || size < header || size > int64(len(batches)) {
			break
		}
		epoch = int32(binary.BigEndian.Uint32(batches[epochAt:])) //nolint:gosec // as in the log
		batches = batches[size:]
	}
	return epoch
}

// count adds what a batch brought to the metrics.
func (r *reader) count(p *partition, b *batch) {
	n := len(b.Records)
	if n == 0 {
		return
	}
	var bytes int
	for i := range b.Records {
		bytes += len(b.Records[i].Key) + len(b.Records[i].Value)
	}
	r.s.m.records.Add(float64(n))
	r.s.m.bytes.Add(float64(bytes))
	if at := b.Records[n-1].Timestamp; at != stream.NoTime {
		p.lastTime, p.read = at, true
	}
}

// noProgress is an answer with bytes from which nothing could be taken. The mutex is held.
func (r *reader) noProgress(p *partition, cause error, batches []byte) {
	if cause == nil && !holdsBatch(batches) {
		// Brokers cut the last batch when an answer is full, and give a whole one only to the first partition that has any.
		// Each gets to be first in turn.
		if p.short++; p.short > 2*len(r.order)+maxStuck {
			r.note(p, r.s.waiting(fmt.Sprintf("read %s at offset %d", p.id, p.pos), fmt.Errorf("%d bytes hold no whole batch", len(batches))))
		}
		return
	}
	if cause == nil {
		cause = errors.New("its records end before their count is reached")
	}
	p.stuck++
	var big *kgo.ErrDecompressTooLarge
	if p.stuck < maxStuck && !errors.As(cause, &big) {
		r.note(p, r.s.waiting(fmt.Sprintf("read %s at offset %d", p.id, p.pos), cause))
		return
	}
	if big != nil {
		cause = fmt.Errorf("it grows to more than %s when it is decompressed", stream.Bytes(maxDecompressed))
	}
	err := fmt.Errorf("kafka: the batch at offset %d cannot be read: %w: %w", p.pos, stream.ErrPermanent, cause)
	r.halt(p, codeCorrupt, stream.WithNext(err, "compare the partition's replicas; if no whole copy is left, start a new pipeline with its own ledger behind this offset"))
}

// hold notes how much an open transaction keeps back, and tells once if reading has stood at it for long. The mutex is held.
func (r *reader) hold(p *partition, rp *kmsg.FetchResponseTopicPartition, next int64, now time.Time) {
	stable := rp.LastStableOffset
	h := held{at: stable}
	if r.s.c.Isolation != readUncommitted && stable >= 0 {
		h.records = max(0, rp.HighWatermark-stable)
	}
	if h.records > 0 && next >= stable {
		h.since = now
		if was := p.held; was.at == stable && !was.since.IsZero() {
			h.since, h.told = was.since, was.told
		}
		if !h.told && now.Sub(h.since) >= heldFor {
			h.told = true
			r.s.d.Log.Warn("a producer's open transaction holds up reading", "partition", p.id, "lane", r.lane, "offset", stable, "records", h.records, "since", h.since.UTC(),
				"next", endTransaction)
		}
	}
	p.held = h
}

// holdsBatch tells whether the first batch is there to its end.
func holdsBatch(b []byte) bool {
	const lengthAt, bodyAt, least = 8, 12, 17
	return len(b) >= least && int64(binary.BigEndian.Uint32(b[lengthAt:]))+bodyAt <= int64(len(b))
}

// refused handles an answer that is an error or sends us elsewhere.
func (r *reader) refused(q *question, rp *kmsg.FetchResponseTopicPartition) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := q.p
	if p.asked != q.asked || p.state != ready {
		return true
	}
	err := kerr.ErrorForCode(rp.ErrorCode)
	switch {
	case err == nil && rp.DivergingEpoch.Epoch < 0: // PreferredReadReplica
		p.replica, p.replicaSince = rp.PreferredReadReplica, time.Now()
		r.fetcher(p.replica)
		return true
	case p.replica >= 0: // a replica may be behind or gone: its leader decides
		p.replica = -1
		r.fetcher(p.leader)
		return true
	case err == nil:
		err = fmt.Errorf("the log diverges from what was read at epoch %d, offset %d", rp.DivergingEpoch.Epoch, rp.DivergingEpoch.EndOffset)
	}
	// Out of range, another leader, another topic, no permission: the keeper finds out which.
	r.lose(p, r.s.waiting("read "+string(p.id), err))
	return false
}
