package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

// compare tells when the group's committed offsets are not where reading begins: somebody who reset them in Kafka, and expects that to
// matter, finds a line. After a crash they may lie behind, as they are only hints.
func (s *Source) compare(ctx context.Context, cl *kgo.Client, at []stream.Bookmark) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	offsets, err := kadm.NewClient(cl).FetchOffsets(ctx, s.c.Group)
	if err != nil {
		s.d.Log.Debug("the group's offsets are not known", "group", s.c.Group, "err", err)
		return
	}
	for _, b := range at {
		tp, err := parseID(b.Partition)
		if err != nil {
			continue
		}
		pos, err := parsePosition(b.Position)
		if o, ok := offsets.Lookup(tp.topic, tp.n); err == nil && ok && o.Err == nil && o.At >= 0 && o.At != pos {
			s.d.Log.Info("the group's committed offset has no effect: reading goes on where the ledger says", "group", s.c.Group, "partition", b.Partition,
				"committed", o.At, "position", pos, "next", "if somebody reset the group's offsets: positions are shown by `millrace bookmarks`")
		}
	}
}

// hint commits offsets to the group, for lag tools outside. Nothing reads them back, so a failure is not worth more than a
// line at debug level.
func (s *Source) hint(ctx context.Context, at []stream.Bookmark) {
	s.mu.Lock()
	cl := s.group
	s.mu.Unlock()
	if cl == nil || len(at) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = s.c.Group
	req.MemberID, req.Generation = cl.GroupMetadata()
	index := map[string]int{}
	for _, b := range at {
		tp, err := parseID(b.Partition)
		if err != nil {
			continue
		}
		offset, err := parsePosition(b.Position)
		if err != nil {
			continue
		}
		i, ok := index[tp.topic]
		if !ok {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic, t.TopicID = tp.topic, rawTopicID(b.TopicID)
			i = len(req.Topics)
			index[tp.topic] = i
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch = tp.n, offset, b.LeaderEpoch
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		s.d.Log.Debug("offsets were not committed to the group", "group", s.c.Group, "err", err)
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				s.d.Log.Debug("an offset was not committed to the group", "group", s.c.Group, "topic", t.Topic, "partition", p.Partition, "err", err)
			}
		}
	}
}
