package kafka

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

// group turns the group's callbacks, which speak of partitions, into turns about lanes.
type group struct {
	s      *Source
	ours   memberData
	f      func(context.Context, stream.Change) error
	fatal  chan error
	topics []string // subscribed; only run uses it

	mu      sync.Mutex // one turn at a time
	left    bool
	broken  bool                                      // f has failed: it is told nothing more
	held    map[stream.LaneID]map[topicPartition]bool // what the group has assigned
	pending map[topicPartition]bool                   // of it, what the lane's owner was not told of yet
	told    map[stream.LaneID]bool                    // lanes that were granted
}

// resolveTimeout bounds the questions for the beginnings of assigned partitions. What is not known by then follows later.
const resolveTimeout = 5 * time.Second

func (g *group) reset() {
	g.held = map[stream.LaneID]map[topicPartition]bool{}
	g.pending = map[topicPartition]bool{}
	g.told = map[stream.LaneID]bool{}
}

func flatten(m map[string][]int32) []topicPartition {
	var tps []topicPartition
	for topic, ps := range m {
		for _, n := range ps {
			tps = append(tps, topicPartition{topic, n})
		}
	}
	slices.SortFunc(tps, compare)
	return tps
}

// assigned: franz-go calls it with an empty map after each rebalance that brings nothing.
func (g *group) assigned(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
	g.s.setTrouble(nil)
	if len(m) == 0 {
		return
	}
	for topic := range m {
		cl.PauseFetchTopics(topic)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left {
		return
	}
	g.s.m.rebalances.Inc()
	for _, tp := range flatten(m) {
		l := tp.lane(g.ours.Lanes)
		if g.held[l] == nil {
			g.held[l] = map[topicPartition]bool{}
		}
		g.held[l][tp] = true
		g.pending[tp] = true
	}
	g.announce(ctx, cl)
}

// retry announces what could not be resolved when it was assigned.
func (g *group) retry(ctx context.Context, cl *kgo.Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) > 0 && !g.left {
		g.announce(ctx, cl)
	}
}

// announce finds the beginnings of pending partitions and tells of their lanes. The mutex is held.
func (g *group) announce(ctx context.Context, cl *kgo.Client) {
	starts, err := g.s.beginnings(ctx, g.pending)
	if err != nil {
		g.s.d.Log.Warn("cannot find where assigned partitions begin; asking again", "err", err, "next", stream.Next(err))
	}
	if len(starts) == 0 {
		return
	}
	by := map[stream.LaneID][]stream.Start{}
	for _, st := range starts {
		tp, err := parseID(st.ID)
		if err != nil {
			continue
		}
		delete(g.pending, tp)
		l := tp.lane(g.ours.Lanes)
		by[l] = append(by[l], st)
	}
	_, generation := cl.GroupMetadata()
	c := stream.Change{Generation: generation}
	for _, l := range sortedLanes(by) {
		grant := stream.Grant{Lane: l, Partitions: by[l]}
		if g.told[l] {
			c.Added = append(c.Added, grant)
		} else {
			g.told[l] = true
			c.Granted = append(c.Granted, grant)
		}
	}
	g.turn(ctx, c)
}

// revoked waits for the flush. The group waits meanwhile, and heartbeats go on.
func (g *group) revoked(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
	g.drop(ctx, cl, m, func(c *stream.Change, lanes []stream.LaneID) { c.Revoked = lanes })
}

// lost: somebody else may have the partitions already.
func (g *group) lost(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
	g.drop(ctx, cl, m, func(c *stream.Change, lanes []stream.LaneID) { c.Lost = lanes })
}

func (g *group) drop(ctx context.Context, cl *kgo.Client, m map[string][]int32, put func(*stream.Change, []stream.LaneID)) {
	if len(m) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left {
		return
	}
	g.s.m.rebalances.Inc()
	gone := map[stream.LaneID]bool{}
	for _, tp := range flatten(m) {
		l := tp.lane(g.ours.Lanes)
		delete(g.held[l], tp)
		delete(g.pending, tp)
		if len(g.held[l]) > 0 { // lanes move whole: a part that goes is a topic that was deleted
			continue
		}
		delete(g.held, l)
		if g.told[l] {
			delete(g.told, l)
			gone[l] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	_, generation := cl.GroupMetadata()
	c := stream.Change{Generation: generation}
	put(&c, sortedLanes(gone))
	ctx, cancel := g.flush(ctx)
	defer cancel()
	g.turn(ctx, c)
}

// flush bounds a turn that gives lanes up: half the time that the group waits, as its clock may already be running.
func (g *group) flush(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), g.s.d.RebalanceTimeout/2)
}

// leave gives everything up while heartbeats still go on, as they stop once leaving has begun.
func (g *group) leave(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = true
	lanes := sortedLanes(g.told)
	g.reset()
	if len(lanes) == 0 {
		return
	}
	ctx, cancel := g.flush(ctx)
	defer cancel()
	g.turn(ctx, stream.Change{Revoked: lanes})
}

func (g *group) turn(ctx context.Context, c stream.Change) {
	if g.broken {
		return
	}
	g.s.d.Log.Debug("assignment", "generation", c.Generation, "granted", grants(c.Granted), "added", grants(c.Added), "revoked", c.Revoked, "lost", c.Lost)
	if err := g.f(ctx, c); err != nil {
		g.broken = true
		g.fail(err)
	}
}

func grants(gs []stream.Grant) []stream.LaneID {
	var ls []stream.LaneID
	for _, g := range gs {
		ls = append(ls, g.Lane)
	}
	return ls
}

func sortedLanes[V any](m map[stream.LaneID]V) []stream.LaneID {
	var ls []stream.LaneID
	for l := range m {
		ls = append(ls, l)
	}
	slices.SortFunc(ls, func(a, b stream.LaneID) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return ls
}

// beginnings resolves the log starts of partitions, as far as their leaders answer.
func (s *Source) beginnings(ctx context.Context, of map[topicPartition]bool) ([]stream.Start, error) {
	ctx, cancelAsk, adm, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer cancelAsk()
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var names []string
	for tp := range of {
		if !slices.Contains(names, tp.topic) {
			names = append(names, tp.topic)
		}
	}
	m, err := adm.Metadata(ctx, names...)
	if err != nil {
		return nil, s.classify("describe assigned topics", err)
	}
	if err := s.sameCluster(m.Cluster); err != nil {
		return nil, err
	}
	starts, missing, err := s.starts(ctx, m.Topics, of, adm.ListStartOffsets)
	if err == nil && len(missing) > 0 {
		s.d.Log.Warn("the leaders of some assigned partitions are away; asking again", "partitions", len(missing))
	}
	return starts, s.classify("find where assigned partitions begin", err)
}
