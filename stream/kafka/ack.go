package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

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
