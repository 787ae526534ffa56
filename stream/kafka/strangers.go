package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/stream"
)

const (
	// stableWait is how long the check before joining waits for a group that is just rebalancing: only in a stable one do
	// brokers show what its members said. Whoever joins unchecked is caught by the second check.
	stableWait = 5 * time.Second
	stablePoll = 250 * time.Millisecond
)

// checkGroup refuses to join a group in which members of another ledger, or of another application, live.
func (s *Source) checkGroup(ctx context.Context, ours memberData) error {
	for until := time.Now().Add(stableWait); ; {
		g, err := s.describeGroup(ctx)
		if err != nil {
			return err
		}
		if len(g.Members) == 0 {
			return nil
		}
		if g.State == "Stable" {
			for _, m := range g.Members {
				if other := s.readMember(m); other.Incarnation != ours.Incarnation || other.Lanes != ours.Lanes {
					return s.strange(m, other, ours)
				}
			}
			return nil
		}
		if !time.Now().Before(until) {
			return nil
		}
		t := time.NewTimer(stablePoll)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
	}
}

// stranger looks, as long as this member has nothing, whether those who have something belong to another ledger: two that joined
// an empty group at the same moment have not seen each other.
func (g *group) stranger(ctx context.Context) error {
	g.mu.Lock()
	idle := len(g.held) == 0
	g.mu.Unlock()
	if !idle {
		return nil
	}
	d, err := g.s.describeGroup(ctx)
	if err != nil || d.State != "Stable" {
		return nil //nolint:nilerr // asked again at the next tick
	}
	var found error
	for _, m := range d.Members {
		a, ok := m.Assigned.AsConsumer()
		if !ok || len(a.Topics) == 0 {
			continue
		}
		other := g.s.readMember(m)
		if other.Incarnation == g.ours.Incarnation && other.Lanes == g.ours.Lanes {
			return nil
		}
		found = g.s.strange(m, other, g.ours)
	}
	return found
}

func (s *Source) describeGroup(ctx context.Context) (kadm.DescribedGroup, error) {
	ctx, cancel, adm, err := s.ask(ctx)
	if err != nil {
		return kadm.DescribedGroup{}, err
	}
	defer cancel()
	gs, err := adm.DescribeGroups(ctx, s.c.Group)
	if err != nil && len(gs) == 0 {
		return kadm.DescribedGroup{}, s.classify("describe the group "+s.c.Group, err)
	}
	g := gs[s.c.Group]
	if errors.Is(g.Err, kerr.GroupIDNotFound) {
		return kadm.DescribedGroup{}, nil // nobody is there yet
	}
	return g, s.classify("describe the group "+s.c.Group, g.Err)
}

func (s *Source) readMember(m kadm.DescribedGroupMember) memberData {
	var d memberData
	if j, ok := m.Join.AsConsumer(); ok && json.Unmarshal(j.UserData, &d) != nil {
		d = memberData{}
	}
	return d
}

func (s *Source) strange(m kadm.DescribedGroupMember, other, ours memberData) error {
	who := fmt.Sprintf("client %s on %s", m.ClientID, m.ClientHost)
	switch {
	case other.Incarnation == "":
		err := fmt.Errorf("kafka: group %s is used by another application (%s): %w", s.c.Group, who, stream.ErrPermanent)
		return stream.WithNext(err, "write another name under source.kafka.group, or stop that application")
	case other.Incarnation != ours.Incarnation:
		err := fmt.Errorf("kafka: in group %s lives a worker of another ledger (%s, incarnation %s; this one is %s): %w", s.c.Group, who, other.Incarnation, ours.Incarnation, stream.ErrPermanent)
		return stream.WithNext(err, "both would read everything: stop that worker, or give one of the pipelines another name or source.kafka.group")
	}
	err := fmt.Errorf("kafka: in group %s lives a worker with %d lanes (%s; here there are %d): %w", s.c.Group, other.Lanes, who, ours.Lanes, stream.ErrPermanent)
	return stream.WithNext(err, "stop that worker first")
}
