package kafka

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

func ours(lanes int) memberData { return memberData{Plan: 1, Incarnation: "i1", Lanes: lanes} }

func TestSlotsNeverChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		tp   topicPartition
		slot uint32
		lane stream.LaneID
	}{
		{topicPartition{"orders", 0}, 845059820, "4"},
		{topicPartition{"orders", 1}, 845059821, "5"},
		{topicPartition{"a.b-c_d", 7}, 531586082, "2"},
	} {
		if got := c.tp.slot(); got != c.slot || c.tp.lane(8) != c.lane {
			t.Errorf("%v: got slot %d, lane %s; want %d, %s", c.tp, got, c.tp.lane(8), c.slot, c.lane)
		}
	}
}

// TestBalanceProperties checks random groups in random histories: every partition is given to exactly one member that may have
// it, lanes are whole, shares are equal, and nothing moves that need not.
func TestBalanceProperties(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		lanes := 1 + r.IntN(12)
		topics := map[string]int32{}
		for i := range 1 + r.IntN(3) {
			topics[fmt.Sprintf("t%d", i)] = int32(1 + r.IntN(9))
		}
		all := map[string]bool{}
		for n := range topics {
			all[n] = true
		}
		var cs []candidate
		next := 0
		join := func() {
			c := candidate{id: fmt.Sprintf("m%d", next), memberData: ours(lanes), topics: all}
			next++
			c.Plan = uint64(1 + r.IntN(2))
			if r.IntN(6) == 0 {
				c.Incarnation = "stranger"
			}
			cs = append(cs, c)
		}
		join()
		for step := range 8 {
			switch {
			case len(cs) < 2 || r.IntN(2) == 0:
				join()
			default:
				i := r.IntN(len(cs))
				cs = slices.Delete(cs, i, i+1)
			}
			if r.IntN(4) == 0 {
				topics["t0"]++
			}
			at := fmt.Sprintf("seed %d step %d", seed, step)
			before := holders(cs, lanes)
			got := balance(ours(lanes), cs, topics)
			checkBalance(t, at, cs, topics, lanes, got)
			moved, spare := 0, 0
			for i := range cs {
				cs[i].owned, cs[i].generation = got[cs[i].id], int32(step)
			}
			after := holders(cs, lanes)
			for l, m := range before {
				if after[l] != m {
					moved++
				}
			}
			// A move is needed only to fill a member that has less than its share.
			count := map[string]int{}
			for _, m := range before {
				count[m]++
			}
			in := 0
			for _, c := range cs {
				if c.Incarnation == "i1" {
					in++
				}
			}
			if in > 0 {
				floor := len(after) / in
				for _, c := range cs {
					if c.Incarnation == "i1" {
						spare += max(0, floor+1-count[c.id])
					}
				}
			}
			if moved > spare {
				t.Fatalf("%s: %d lanes moved, at most %d had to", at, moved, spare)
			}
			if again := balance(ours(lanes), cs, topics); !maps.EqualFunc(got, again, slices.Equal[[]topicPartition]) {
				t.Fatalf("%s: balancing again moves something:\n%v\n%v", at, got, again)
			}
		}
	}
}

func holders(cs []candidate, lanes int) map[stream.LaneID]string {
	h := map[stream.LaneID]string{}
	for _, c := range cs {
		for _, tp := range c.owned {
			h[tp.lane(lanes)] = c.id
		}
	}
	return h
}

func checkBalance(t *testing.T, at string, cs []candidate, topics map[string]int32, lanes int, got map[string][]topicPartition) {
	t.Helper()
	owner := map[stream.LaneID]string{}
	seen := map[topicPartition]bool{}
	count := map[string]int{}
	in := 0
	for _, c := range cs {
		if c.Incarnation != "i1" {
			if len(got[c.id]) > 0 {
				t.Fatalf("%s: the stranger %s got %v", at, c.id, got[c.id])
			}
			continue
		}
		in++
		for _, tp := range got[c.id] {
			if seen[tp] {
				t.Fatalf("%s: %v is given twice", at, tp)
			}
			seen[tp] = true
			l := tp.lane(lanes)
			if o, ok := owner[l]; ok && o != c.id {
				t.Fatalf("%s: lane %s is torn between %s and %s", at, l, o, c.id)
			} else if !ok {
				count[c.id]++
			}
			owner[l] = c.id
		}
	}
	if in == 0 {
		if len(got) > 0 {
			t.Fatalf("%s: nobody is ours, got %v", at, got)
		}
		return
	}
	total := 0
	for _, n := range topics {
		total += int(n)
	}
	if len(seen) != total {
		t.Fatalf("%s: %d of %d partitions are given", at, len(seen), total)
	}
	for _, c := range cs {
		if c.Incarnation != "i1" {
			continue
		}
		if n := count[c.id]; n < len(owner)/in || n > (len(owner)+in-1)/in {
			t.Fatalf("%s: %s has %d of %d lanes among %d members", at, c.id, n, len(owner), in)
		}
	}
}

func TestNewPlanBreaksTies(t *testing.T) {
	t.Parallel()
	all := map[string]bool{"t": true}
	old := candidate{id: "a", memberData: ours(3), topics: all, owned: []topicPartition{{"t", 0}, {"t", 1}, {"t", 2}}}
	young := candidate{id: "b", memberData: ours(3), topics: all}
	young.Plan = 2
	got := balance(ours(3), []candidate{old, young}, map[string]int32{"t": 3})
	if len(got["a"]) != 1 || len(got["b"]) != 2 {
		t.Errorf("got %v, want the larger share with the newer plan, and not all of it", got)
	}
}

func TestTopicThatOwnerDoesNotKnowWaits(t *testing.T) {
	t.Parallel()
	a := candidate{id: "a", memberData: ours(1), topics: map[string]bool{"t": true}, owned: []topicPartition{{"t", 0}}}
	b := candidate{id: "b", memberData: ours(1), topics: map[string]bool{"t": true, "u": true}}
	got := balance(ours(1), []candidate{a, b}, map[string]int32{"t": 1, "u": 1})
	if total := len(got["a"]) + len(got["b"]); len(got["a"]) > 0 && len(got["b"]) > 0 {
		t.Errorf("got %v (%d), want the lane with one member", got, total)
	}
	for _, tp := range got["a"] {
		if tp.topic == "u" {
			t.Error("a got a partition of a topic that it does not know")
		}
	}
}

// round plays one join of a group through the balancer as franz-go and the broker do.
func round(t *testing.T, b *balancer, members map[string][]byte, topics map[string]int32) map[string]map[string][]int32 {
	t.Helper()
	var ms []kmsg.JoinGroupResponseMember
	for _, id := range slices.Sorted(maps.Keys(members)) {
		m := kmsg.NewJoinGroupResponseMember()
		m.MemberID, m.ProtocolMetadata = id, members[id]
		ms = append(ms, m)
	}
	mb, _, err := b.MemberBalancer(ms)
	if err != nil {
		t.Fatal(err)
	}
	cb, ok := mb.(*kgo.ConsumerBalancer)
	if !ok {
		t.Fatalf("got %T", mb)
	}
	plan, err := cb.BalanceOrError(topics)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string][]int32{}
	for _, a := range plan.IntoSyncAssignment() {
		if out[a.MemberID], err = b.ParseSyncAssignment(a.MemberAssignment); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestLanesMoveWholeAndOnlyWhenGivenUp(t *testing.T) {
	t.Parallel()
	b := &balancer{ours(2), slog.New(slog.DiscardHandler)}
	topics := map[string]int32{"t": 6}
	names := []string{"t"}
	odd := []int32{1, 3, 5}
	all := []int32{0, 1, 2, 3, 4, 5}
	// A second member comes: the first has everything.
	got := round(t, b, map[string][]byte{
		"a": b.JoinGroupMetadata(names, map[string][]int32{"t": all}, 1),
		"b": b.JoinGroupMetadata(names, nil, -1),
	}, topics)
	if len(got["a"]["t"]) != 3 || len(got["b"]["t"]) != 0 {
		t.Fatalf("got %v, want one lane left with a, none yet for b", got)
	}
	kept := got["a"]["t"]
	// The first has given its second lane up.
	got = round(t, b, map[string][]byte{
		"a": b.JoinGroupMetadata(names, map[string][]int32{"t": kept}, 2),
		"b": b.JoinGroupMetadata(names, nil, 2),
	}, topics)
	if !slices.Equal(got["a"]["t"], kept) || len(got["b"]["t"]) != 3 {
		t.Fatalf("got %v, want the free lane with b", got)
	}
	// The lane of 0, 2, 4 is torn: a has 0 and 2, b has 4 and the other lane. Neither gets a piece.
	got = round(t, b, map[string][]byte{
		"a": b.JoinGroupMetadata(names, map[string][]int32{"t": {0, 2}}, 3),
		"b": b.JoinGroupMetadata(names, map[string][]int32{"t": append([]int32{4}, odd...)}, 3),
	}, topics)
	if !slices.Equal(got["a"]["t"], []int32{0, 2}) || !slices.Equal(got["b"]["t"], odd) {
		t.Fatalf("got %v, want a to keep 0 and 2 until b has given up 4", got)
	}
	// c joins while only 4 of the lane is free: it must not get 4 alone.
	got = round(t, b, map[string][]byte{
		"a": b.JoinGroupMetadata(names, map[string][]int32{"t": append([]int32{0, 2}, odd...)}, 4),
		"c": b.JoinGroupMetadata(names, nil, -1),
	}, topics)
	if n := len(got["c"]["t"]); n != 0 && n != 3 {
		t.Fatalf("got %v, want c to get a whole lane or nothing", got)
	}
}

func TestStrangersDoNotStopTheGroup(t *testing.T) {
	t.Parallel()
	b := &balancer{ours(2), slog.New(slog.DiscardHandler)}
	stray := &balancer{memberData{Plan: 9, Incarnation: "i2", Lanes: 2}, slog.New(slog.DiscardHandler)}
	fewer := &balancer{memberData{Plan: 1, Incarnation: "i1", Lanes: 1}, slog.New(slog.DiscardHandler)}
	got := round(t, b, map[string][]byte{
		"a": b.JoinGroupMetadata([]string{"t"}, nil, -1),
		"s": stray.JoinGroupMetadata([]string{"t"}, nil, -1),
		"l": fewer.JoinGroupMetadata([]string{"t"}, nil, -1),
		"x": []byte("not metadata"),
		"y": nil,
	}, map[string]int32{"t": 4})
	if len(got["a"]["t"]) != 4 || len(got["s"]["t"])+len(got["x"]["t"])+len(got["y"]["t"])+len(got["l"]["t"]) != 0 {
		t.Errorf("got %v, want everything with a", got)
	}
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
