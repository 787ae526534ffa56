package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

const (
	// leaveTimeout bounds the goodbye: the group finds out by itself that a member is gone.
	leaveTimeout = 5 * time.Second
	// joinRetry is how often a cluster that is away is asked again before the group is joined.
	joinRetry = 2 * time.Second
	// heartbeats in a session: three may be missed before the group takes a worker for dead.
	heartbeats = 5
)

// Assign takes part in the consumer group until ctx is over. It returns an error if the group is another ledger's or another
// application's, if this user may not use it, or if f fails.
func (s *Source) Assign(ctx context.Context, m stream.Member, f func(context.Context, stream.Change) error) error {
	ours := memberData{Plan: m.Plan, Incarnation: m.Incarnation, Lanes: m.Lanes, Session: m.Session}
	topics, err := s.prepare(ctx, ours)
	if ctx.Err() != nil {
		return nil // asked to end before anything was held
	}
	if err != nil {
		return err
	}
	g := &group{s: s, ours: ours, f: f, fatal: make(chan error, 1), topics: topics}
	g.reset()
	// The client gets a context of its own: cancelling it is the only way to close a client that waits in a join.
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	cl, err := s.connect("group",
		kgo.WithContext(life),
		kgo.ConsumerGroup(s.c.Group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(&balancer{ours, s.d.Log}),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(s.d.SessionTimeout),
		kgo.RebalanceTimeout(s.d.RebalanceTimeout),
		kgo.HeartbeatInterval(s.d.SessionTimeout/heartbeats),
		kgo.MetadataMaxAge(s.d.MetadataAge),
		kgo.MetadataMinAge(min(s.d.MetadataAge, metadataMinAge)),
		kgo.ConsumeResetOffset(kgo.NoResetOffset().AtStart()),
		kgo.OnPartitionsAssigned(g.assigned),
		kgo.OnPartitionsRevoked(g.revoked),
		kgo.OnPartitionsLost(g.lost),
		kgo.WithHooks(g),
	)
	if err != nil {
		return err
	}
	cl.PauseFetchTopics(topics...) // this client never reads
	s.mu.Lock()
	s.group = cl
	s.mu.Unlock()

	err = g.run(ctx, cl)
	g.leave(ctx)
	s.mu.Lock()
	s.group = nil
	s.mu.Unlock()
	bye, cancel := context.WithTimeout(life, leaveTimeout)
	defer cancel()
	if lerr := cl.LeaveGroupContext(bye); lerr != nil {
		s.d.Log.Debug("the group was left without its answer", "group", s.c.Group, "err", lerr)
		end()
	}
	cl.Close()
	return err
}

// prepare waits for the cluster, and refuses a group that is not ours.
func (s *Source) prepare(ctx context.Context, ours memberData) ([]string, error) {
	for {
		topics, err := s.names(ctx)
		if err == nil {
			err = s.checkGroup(ctx, ours)
		}
		if err == nil || !errors.Is(err, stream.ErrUnavailable) {
			s.setTrouble(nil)
			return topics, err
		}
		s.setTrouble(err)
		s.d.Log.Warn("cannot join the group yet", "group", s.c.Group, "err", err, "next", stream.Next(err))
		t := time.NewTimer(joinRetry)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

func (s *Source) names(ctx context.Context) ([]string, error) {
	ctx, cancel, adm, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	topics, err := s.topics(ctx, adm)
	return topics.Names(), err
}

// run waits for the end, and meanwhile looks for new topics and for what could not be resolved at once.
func (g *group) run(ctx context.Context, cl *kgo.Client) error {
	t := time.NewTicker(g.s.d.MetadataAge)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-g.fatal:
			return err
		case <-t.C:
		}
		cl.PollFetches(nil) //nolint:staticcheck // nil: returns at once. Takes out the errors that the group leaves for pollers
		if err := g.stranger(ctx); err != nil {
			return err
		}
		g.newTopics(ctx, cl)
		g.retry(ctx, cl)
	}
}

// newTopics subscribes to topics that have come to match the pattern.
func (g *group) newTopics(ctx context.Context, cl *kgo.Client) {
	if g.s.c.TopicPattern == "" {
		return
	}
	names, err := g.s.names(ctx)
	if err != nil {
		g.s.d.Log.Debug("cannot look for new topics", "err", err)
		return
	}
	for _, n := range names {
		if !slices.Contains(g.topics, n) {
			g.topics = append(g.topics, n)
			g.s.d.Log.Info("a new topic matches topic_pattern", "topic", n)
			cl.PauseFetchTopics(n)
			cl.AddConsumeTopics(n)
		}
	}
}

// OnGroupManageError is told when the group cannot be used. Most of it heals by itself.
func (g *group) OnGroupManageError(err error) {
	class := g.s.classify("consumer group "+g.s.c.Group, err)
	switch {
	case errors.Is(err, kerr.InconsistentGroupProtocol):
		err = fmt.Errorf("kafka: group %s is used by consumers of another kind: %w: %w", g.s.c.Group, stream.ErrPermanent, err)
		g.fail(stream.WithNext(err, "write another name under source.kafka.group"))
	case errors.Is(err, kerr.InvalidSessionTimeout), errors.Is(err, kerr.GroupMaxSizeReached), errors.Is(err, kerr.InvalidGroupID), errors.Is(class, stream.ErrDenied):
		g.fail(class)
	default:
		g.s.setTrouble(class)
		g.s.d.Log.Warn("the consumer group is in trouble; it is joined again", "group", g.s.c.Group, "err", err)
	}
}

func (g *group) fail(err error) {
	select {
	case g.fatal <- err:
	default:
	}
}
