package kafka

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

// balancerName is the protocol's name in the group. It and the shape of memberData never change: workers of different
// releases meet in one group.
const balancerName = "millrace-lanes"

// memberData is what a member tells the others, as JSON in the user data of Kafka's consumer metadata.
type memberData struct {
	Plan        uint64 `json:"plan"`
	Incarnation string `json:"incarnation"`
	Lanes       int    `json:"lanes"`
	Session     string `json:"session"`
}

// candidate is a member as the balancing sees it.
type candidate struct {
	id string
	memberData
	topics     map[string]bool
	owned      []topicPartition
	generation int32 // in which it came to own them
}

// balance decides which member reads which lane and returns each member's partitions.
//
// Members of another ledger (incarnation) than ours, or with another number of lanes, get nothing. The others get equal
// shares, the larger ones first to members that run a newer plan. Within its share a member keeps what it has; what is free goes to
// members of newer plans first. A member gets no partition of a topic that it does not know yet: that one waits until the member,
// which sees the topic within the metadata age or runs the new plan soon, joins again.
func balance(ours memberData, members []candidate, topics map[string]int32) map[string][]topicPartition {
	var in []*candidate
	for i := range members {
		if m := &members[i]; m.Incarnation == ours.Incarnation && m.Lanes == ours.Lanes {
			in = append(in, m)
		}
	}
	if len(in) == 0 {
		return nil
	}
	lanes := map[stream.LaneID][]topicPartition{}
	for topic, n := range topics {
		if !slices.ContainsFunc(in, func(m *candidate) bool { return m.topics[topic] }) {
			continue
		}
		for i := range n {
			tp := topicPartition{topic, i}
			lane := tp.lane(ours.Lanes)
			lanes[lane] = append(lanes[lane], tp)
		}
	}
	names := make([]stream.LaneID, 0, len(lanes))
	for l, tps := range lanes {
		slices.SortFunc(tps, compare)
		names = append(names, l)
	}
	slices.SortFunc(names, func(a, b stream.LaneID) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })

	owner := owners(in, lanes, ours.Lanes)
	have := map[*candidate]int{}
	for _, m := range owner {
		have[m]++
	}
	slices.SortFunc(in, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.Plan, a.Plan), cmp.Compare(have[b], have[a]), cmp.Compare(a.id, b.id))
	})
	share := map[*candidate]int{}
	for i, m := range in {
		share[m] = len(names) / len(in)
		if i < len(names)%len(in) {
			share[m]++
		}
	}
	out := map[string][]topicPartition{}
	give := func(m *candidate, l stream.LaneID) {
		share[m]--
		for _, tp := range lanes[l] {
			if m.topics[tp.topic] {
				out[m.id] = append(out[m.id], tp)
			}
		}
	}
	var free []stream.LaneID
	for _, l := range names {
		if m := owner[l]; m != nil && share[m] > 0 {
			give(m, l)
		} else {
			free = append(free, l)
		}
	}
	for _, m := range in {
		for share[m] > 0 && len(free) > 0 {
			give(m, free[0])
			free = free[1:]
		}
	}
	for _, tps := range out {
		slices.SortFunc(tps, compare)
	}
	return out
}

// owners tells who has each lane: the member with most of its partitions. Of two claims the one of the later generation
// holds; the other member missed a rebalance.
func owners(in []*candidate, lanes map[stream.LaneID][]topicPartition, n int) map[stream.LaneID]*candidate {
	claim := map[topicPartition]*candidate{}
	for _, m := range in {
		for _, tp := range m.owned {
			old := claim[tp]
			if old == nil || m.generation > old.generation || m.generation == old.generation && m.id < old.id {
				claim[tp] = m
			}
		}
	}
	count := map[stream.LaneID]map[*candidate]int{}
	for tp, m := range claim {
		l := tp.lane(n)
		if _, ok := lanes[l]; !ok {
			continue
		}
		if count[l] == nil {
			count[l] = map[*candidate]int{}
		}
		count[l][m]++
	}
	owner := map[stream.LaneID]*candidate{}
	for l, by := range count {
		for m, c := range by {
			if o := owner[l]; o == nil || c > by[o] || c == by[o] && m.id < o.id {
				owner[l] = m
			}
		}
	}
	return owner
}

// balancer is balance in the clothes of franz-go.
type balancer struct {
	ours memberData
	log  *slog.Logger
}

var (
	_ kgo.GroupBalancer           = (*balancer)(nil)
	_ kgo.ConsumerBalancerBalance = (*balancer)(nil)
)

func (*balancer) ProtocolName() string { return balancerName }
func (*balancer) IsCooperative() bool  { return true }

func (b *balancer) JoinGroupMetadata(topics []string, current map[string][]int32, generation int32) []byte {
	meta := kmsg.NewConsumerMemberMetadata()
	meta.Version = 3
	meta.Topics = topics
	meta.UserData, _ = json.Marshal(b.ours) //nolint:errchkjson // strings and numbers
	meta.Generation = generation
	for topic, ps := range current {
		t := kmsg.NewConsumerMemberMetadataOwnedPartition()
		t.Topic, t.Partitions = topic, ps
		meta.OwnedPartitions = append(meta.OwnedPartitions, t)
	}
	slices.SortFunc(meta.OwnedPartitions, func(x, y kmsg.ConsumerMemberMetadataOwnedPartition) int { return cmp.Compare(x.Topic, y.Topic) })
	return meta.AppendTo(nil)
}

func (*balancer) ParseSyncAssignment(a []byte) (map[string][]int32, error) {
	return kgo.ParseConsumerSyncAssignment(a)
}

// MemberBalancer never fails: a leader that cannot balance stops every healthy member. Who says what cannot be read is taken
// for a stranger.
func (b *balancer) MemberBalancer(members []kmsg.JoinGroupResponseMember) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	clean := slices.Clone(members)
	for i := range clean {
		var meta kmsg.ConsumerMemberMetadata
		meta.Default()
		if meta.ReadFrom(clean[i].ProtocolMetadata) != nil {
			stranger := kmsg.NewConsumerMemberMetadata()
			clean[i].ProtocolMetadata = stranger.AppendTo(nil)
		}
	}
	cb, err := kgo.NewConsumerBalancer(b, clean)
	return cb, cb.MemberTopics(), err
}

func (b *balancer) Balance(cb *kgo.ConsumerBalancer, topics map[string]int32) kgo.IntoSyncAssignment {
	plan := cb.NewPlan()
	var cs []candidate
	byID := map[string]*kmsg.JoinGroupResponseMember{}
	cb.EachMember(func(m *kmsg.JoinGroupResponseMember, meta *kmsg.ConsumerMemberMetadata) {
		c := readCandidate(m.MemberID, meta)
		byID[m.MemberID] = m
		if c.Incarnation != b.ours.Incarnation || c.Lanes != b.ours.Lanes {
			b.log.Warn("a member of the group belongs to another ledger and gets nothing",
				"member", m.MemberID, "session", c.Session, "incarnation", c.Incarnation, "lanes", c.Lanes)
		}
		cs = append(cs, c)
	})
	wanted := balance(b.ours, cs, topics)
	for id, tps := range wanted {
		for _, tp := range tps {
			plan.AddPartition(byID[id], tp.topic, tp.n)
		}
	}
	plan.AdjustCooperative(cb) // takes out what its owner has to give up first
	whole(plan.AsMemberIDMap(), cs, wanted, b.ours.Lanes)
	return plan
}

// whole takes lanes out of the plan that would reach a new owner in pieces. Something of such a lane is still being given up by
// another member, who joins again when it has: then the lane comes whole.
func whole(plan map[string]map[string][]int32, cs []candidate, wanted map[string][]topicPartition, lanes int) {
	for _, c := range cs {
		missing := map[stream.LaneID]bool{}
		for _, tp := range wanted[c.id] {
			if !slices.Contains(plan[c.id][tp.topic], tp.n) {
				missing[tp.lane(lanes)] = true
			}
		}
		for _, tp := range c.owned {
			delete(missing, tp.lane(lanes)) // it has the lane; what is new of it may follow
		}
		if len(missing) == 0 {
			continue
		}
		for topic, ps := range plan[c.id] {
			ps = slices.DeleteFunc(ps, func(n int32) bool { return missing[topicPartition{topic, n}.lane(lanes)] })
			if plan[c.id][topic] = ps; len(ps) == 0 {
				delete(plan[c.id], topic)
			}
		}
	}
}

func readCandidate(id string, meta *kmsg.ConsumerMemberMetadata) candidate {
	c := candidate{id: id, topics: map[string]bool{}, generation: meta.Generation}
	if json.Unmarshal(meta.UserData, &c.memberData) != nil {
		c.memberData = memberData{}
	}
	for _, t := range meta.Topics {
		c.topics[t] = true
	}
	for _, o := range meta.OwnedPartitions {
		for _, n := range o.Partitions {
			c.owned = append(c.owned, topicPartition{o.Topic, n})
		}
	}
	return c
}
