package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

const (
	keepMin = 100 * time.Millisecond // between two rounds of questions
	keepMax = 3 * time.Second
)

// Codes of a *stream.PartitionError.
const (
	codeRecreated = "topic_recreated"
	codeTruncated = "truncated"
	codeRetention = "out_of_retention"
	codeFewer     = "fewer_partitions"
	codeCluster   = "other_cluster"
	codeCorrupt   = "corrupt_batch"
)

// keep finds the leader of every partition that has none, checks its position, and hands it to the leader's fetcher.
func (r *reader) keep() {
	wait := keepMin
	for r.ctx.Err() == nil {
		todo := r.todo()
		if len(todo) == 0 {
			wait = keepMin
			select {
			case <-r.ctx.Done():
			case <-r.kick:
			}
			continue
		}
		r.locate(todo)
		if len(r.todo()) == 0 {
			continue
		}
		r.sleep(wait)
		wait = min(2*wait, keepMax)
	}
}

func (r *reader) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.ctx.Done():
	case <-t.C:
	}
}

// check is one partition in a round of the keeper: what is asked about it, and the answers.
type check struct {
	p     *partition
	asked int
	tp    topicPartition
	pos   int64
	epoch int32

	leader, leaderEpoch  int32
	rawID                [16]byte
	start, high, stable  int64
	known, end           int64 // OffsetForLeaderEpoch: epoch and end offset
	err                  error
	haveStart, haveHigh  bool
	haveEpoch, haveLimit bool
}

func (r *reader) todo() []*check {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*check
	for _, p := range r.order {
		if p.state == lost {
			out = append(out, &check{p: p, asked: p.asked, tp: p.topicPartition, pos: p.pos, epoch: p.epoch})
		}
	}
	return out
}

// locate is one round: metadata, then offsets and epochs of what has a leader, then the verdicts.
func (r *reader) locate(todo []*check) {
	ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
	defer cancel()
	meta, err := r.metadata(ctx, todo)
	if err != nil {
		r.each(todo, func(c *check) { r.note(c.p, err) })
		return
	}
	if meta.ClusterID != nil {
		if err := r.s.sameCluster(*meta.ClusterID); err != nil {
			r.each(todo, func(c *check) { r.halt(c.p, codeCluster, err) })
			return
		}
	}
	r.each(todo, func(c *check) { r.place(c, meta) })
	var found []*check
	for _, c := range todo {
		if c.leader >= 0 && c.err == nil {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return
	}
	r.offsets(ctx, found)
	r.epochs(ctx, found)
	r.each(found, r.judge)
}

// each calls f with the mutex held for the partitions that were not moved meanwhile.
func (r *reader) each(cs []*check, f func(*check)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range cs {
		if c.p.asked == c.asked && c.p.state == lost {
			f(c)
		}
	}
}

func (r *reader) metadata(ctx context.Context, todo []*check) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	seen := map[string]bool{}
	for _, c := range todo {
		if !seen[c.tp.topic] {
			seen[c.tp.topic] = true
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(c.tp.topic)
			req.Topics = append(req.Topics, t)
		}
	}
	resp, err := req.RequestWith(ctx, r.cl)
	if err != nil {
		return nil, r.s.waiting("find the partitions' leaders", err)
	}
	return resp, nil
}

// place takes from the metadata who leads c's partition, or what is wrong with it.
func (r *reader) place(c *check, meta *kmsg.MetadataResponse) {
	c.leader = -1
	p := c.p
	for i := range meta.Topics {
		t := &meta.Topics[i]
		if t.Topic == nil || *t.Topic != c.tp.topic {
			continue
		}
		err := kerr.ErrorForCode(t.ErrorCode)
		if isMissing(err) {
			r.suspect(p, codeFewer, r.s.gone(fmt.Errorf("topic %s is gone", c.tp.topic)))
			return
		}
		if err != nil {
			c.err = r.s.waiting("topic "+c.tp.topic, err)
			r.note(p, c.err)
			return
		}
		if id := topicID(t.TopicID); id != "" && p.topicID != "" && id != p.topicID {
			err := fmt.Errorf("kafka: topic %s was created anew: its id is %s, and the bookmark's %s: %w", c.tp.topic, id, p.topicID, stream.ErrPermanent)
			r.suspect(p, codeRecreated, stream.WithNext(err, "give the new topic a pipeline of its own, with its own ledger"))
			return
		}
		for _, m := range t.Partitions {
			if m.Partition != c.tp.n {
				continue
			}
			if err := kerr.ErrorForCode(m.ErrorCode); m.Leader < 0 {
				c.err = r.s.waiting(string(p.id), errors.Join(errors.New("it has no leader just now"), err))
				r.note(p, c.err)
				return
			}
			c.leader, c.leaderEpoch, c.rawID = m.Leader, m.LeaderEpoch, t.TopicID
			return
		}
		r.suspect(p, codeFewer, r.s.gone(fmt.Errorf("topic %s has %d partitions", c.tp.topic, len(t.Partitions))))
		return
	}
	c.err = r.s.waiting(string(p.id), errors.New("the broker's answer leaves its topic out"))
	r.note(p, c.err)
}

func (s *Source) gone(cause error) error {
	err := fmt.Errorf("kafka: %w, and a bookmark names this partition: %w", cause, stream.ErrPermanent)
	return stream.WithNext(err, "restore the topic, or start a new pipeline with its own ledger")
}

// suspect halts a partition when a fault that may come from a broker's stale view has stayed for long enough.
func (r *reader) suspect(p *partition, code string, err error) {
	now := time.Now()
	if p.suspect != code {
		p.suspect, p.seen = code, now
	}
	if now.Sub(p.seen) >= r.s.d.Patience {
		r.halt(p, code, err)
		return
	}
	r.note(p, fmt.Errorf("%w; asking again: %w", errors.New(err.Error()), stream.ErrUnavailable))
}

// offsets asks for the log's start and end, and for the end of what can be read if the input is bounded.
func (r *reader) offsets(ctx context.Context, cs []*check) {
	ask := func(timestamp int64, isolation int8, have func(*check, int64)) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.IsolationLevel = isolation
		at := map[topicPartition]*check{}
		for _, c := range cs {
			at[c.tp] = c
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = c.tp.n, timestamp
			n := len(req.Topics)
			if n == 0 || req.Topics[n-1].Topic != c.tp.topic {
				t := kmsg.NewListOffsetsRequestTopic()
				t.Topic = c.tp.topic
				req.Topics = append(req.Topics, t)
				n++
			}
			req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
		}
		r.shards(ctx, req, cs, func(resp kmsg.Response) {
			for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics { //nolint:forcetypeassert // the answer to this request
				for _, p := range t.Partitions {
					c := at[topicPartition{t.Topic, p.Partition}]
					if c == nil {
						continue
					}
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
						c.err = r.s.waiting("ask for the offsets of "+string(c.tp.id()), err)
						continue
					}
					have(c, p.Offset)
				}
			}
		})
	}
	const first, last = -2, -1
	ask(first, 0, func(c *check, o int64) { c.start, c.haveStart = o, true })
	ask(last, 0, func(c *check, o int64) { c.high, c.haveHigh = o, true })
	if r.s.d.Once {
		ask(last, r.isolation(), func(c *check, o int64) { c.stable, c.haveLimit = o, true })
	}
}

// epochs asks where the leader epochs of the last records ended, for those that know one.
func (r *reader) epochs(ctx context.Context, cs []*check) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.ReplicaID = -1
	at := map[topicPartition]*check{}
	for _, c := range cs {
		if c.epoch < 0 {
			continue
		}
		at[c.tp] = c
		p := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		p.Partition, p.LeaderEpoch, p.CurrentLeaderEpoch = c.tp.n, c.epoch, c.leaderEpoch
		n := len(req.Topics)
		if n == 0 || req.Topics[n-1].Topic != c.tp.topic {
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = c.tp.topic
			req.Topics = append(req.Topics, t)
			n++
		}
		req.Topics[n-1].Partitions = append(req.Topics[n-1].Partitions, p)
	}
	if len(at) == 0 {
		return
	}
	r.shards(ctx, req, cs, func(resp kmsg.Response) {
		for _, t := range resp.(*kmsg.OffsetForLeaderEpochResponse).Topics { //nolint:forcetypeassert // the answer to this request
			for _, p := range t.Partitions {
				c := at[topicPartition{t.Topic, p.Partition}]
				if c == nil {
					continue
				}
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					c.err = r.s.waiting("ask for the leader epoch of "+string(c.tp.id()), err)
					continue
				}
				c.known, c.end, c.haveEpoch = int64(p.LeaderEpoch), p.EndOffset, true
			}
		}
	})
}

// shards sends req to the leaders of its partitions and hands over each answer. What a leader that is away would have said
// stays unsaid, with its error noted.
func (r *reader) shards(ctx context.Context, req kmsg.Request, cs []*check, each func(kmsg.Response)) {
	for _, sh := range r.cl.RequestSharded(ctx, req) {
		if sh.Err == nil {
			each(sh.Resp)
			continue
		}
		err := r.s.waiting("ask the partitions' leaders", sh.Err)
		for _, c := range cs {
			if c.err == nil && (sh.Meta.NodeID < 0 || sh.Meta.NodeID == c.leader) {
				c.err = err
			}
		}
	}
}

// judge decides whether a partition can be read from its position, and starts it if so.
func (r *reader) judge(c *check) {
	p := c.p
	if c.err == nil && (!c.haveStart || !c.haveHigh || (r.s.d.Once && !c.haveLimit) || (c.epoch >= 0 && !c.haveEpoch)) {
		c.err = r.s.waiting(string(p.id), errors.New("the broker's answer leaves it out"))
	}
	if c.err != nil {
		r.note(p, c.err)
		return
	}
	if code, err, sure := c.verdict(); err != nil {
		if sure {
			r.halt(p, code, err)
		} else {
			r.suspect(p, code, err)
		}
		return
	}
	p.suspect = ""
	p.leader, p.leaderEpoch, p.rawID, p.replica = c.leader, c.leaderEpoch, c.rawID, -1
	p.lag = c.high - c.pos
	if r.s.d.Once {
		p.end = r.s.endOf(p.topicPartition, c.stable)
		if p.pos >= p.end {
			p.state, p.err = ended, nil
			wake(r.come)
			return
		}
	}
	p.state = ready
	r.fetcher(p.leader)
}

// verdict compares the position with the log. A fault that is not sure may be a broker's stale view.
func (c *check) verdict() (code string, err error, sure bool) {
	switch {
	case c.haveEpoch && c.known < 0 && c.epoch > c.leaderEpoch:
		// One that keeps no history of epochs (logs in the old format) knows none either: only an epoch that is still to come
		// proves that this is not the log that was read.
		err = fmt.Errorf("kafka: the broker does not know leader epoch %d of the record before offset %d: the log was cut or replaced: %w", c.epoch, c.pos, stream.ErrPermanent)
		return codeTruncated, truncatedNext(err), true
	case c.haveEpoch && c.known >= 0 && c.end < c.pos:
		err = fmt.Errorf("kafka: the log was cut at offset %d, below the bookmark's %d: records that were read before are gone or replaced: %w", c.end, c.pos, stream.ErrPermanent)
		return codeTruncated, truncatedNext(err), true
	case c.pos > c.high:
		err = fmt.Errorf("kafka: the log ends at offset %d, below the bookmark's %d: %w", c.high, c.pos, stream.ErrPermanent)
		return codeTruncated, truncatedNext(err), false
	case c.pos < c.start:
		err = fmt.Errorf("kafka: offsets %d to %d were deleted before they were read: the log begins at %d: %w", c.pos, c.start-1, c.start, stream.ErrPermanent)
		return codeRetention, stream.WithNext(err, "lengthen the topic's retention; to read what is left, start a new pipeline with its own ledger"), true
	}
	return "", nil, true
}

func truncatedNext(err error) error {
	return stream.WithNext(err, "an unclean leader election or a restored broker does this: compare the table with the topic, then start a new pipeline with its own ledger")
}

func (r *reader) isolation() int8 {
	if r.s.c.Isolation == readUncommitted {
		return 0
	}
	return 1
}

func (r *reader) level() kgo.IsolationLevel {
	if r.s.c.Isolation == readUncommitted {
		return kgo.ReadUncommitted()
	}
	return kgo.ReadCommitted()
}
