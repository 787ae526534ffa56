package protocol

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/stream"
)

// missing: a head is gone. It is never made again, as nobody knows what it said.
func missing(lane stream.LaneID) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s is missing, and the pipeline exists: %w: %w", HeadKey(lane), stream.ErrLost, stream.ErrPermanent),
		"put the object back from the store's versions or a backup; without it nobody knows what lane %s has committed", lane)
}

// Missing is the error of a head that is not there although the pipeline is ready.
func Missing(lane stream.LaneID) error { return missing(lane) }

// noETag: a write on condition of nothing would overwrite whatever is there.
func noETag(key string) error {
	return stream.WithNext(
		fmt.Errorf("ledger: the store gave %s without an ETag: %w", key, stream.ErrPermanent),
		"keep the ledger in a store that gives ETags, and let no proxy take them out of its answers")
}

func foreignHead(s *State, h *stream.Head) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s is the head of lane %s of incarnation %s, and this is lane %s of incarnation %s: %w: %w",
			HeadKey(s.Lane), h.Lane, h.Incarnation, s.Lane, s.Incarnation, stream.ErrForeign, stream.ErrPermanent),
		"a ledger was copied or restored over this one; give each pipeline a ledger of its own")
}

// ErrLowerPlan is in the error of a lane that has a higher plan than this worker.
var ErrLowerPlan = errors.New("this worker has an older plan")

func lowerPlan(s *State, h *stream.Head) error {
	return stream.WithNext(
		fmt.Errorf("ledger: lane %s runs plan %d, and this worker has plan %d: %w: %w", s.Lane, h.Plan, s.Plan, ErrLowerPlan, stream.ErrPermanent),
		"restart this worker with the configuration that the others run; going back to an old one is a new plan, too")
}

func fenced(s *State, why string) error {
	return fmt.Errorf("ledger: lane %s, epoch %d: %s: %w", s.Lane, s.Want.Epoch, why, stream.ErrFenced)
}

func fencedBy(s *State, h *stream.Head) error {
	owner := h.Owner
	if owner == "" {
		owner = "nobody any more"
	}
	return fmt.Errorf("ledger: lane %s: epoch %d is owned by %s: %w", s.Lane, h.Epoch, owner, stream.ErrFenced)
}

func intruder(s *State, h *stream.Head) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s was changed in my own epoch %d by somebody else (nonce %s): %w: %w",
			HeadKey(s.Lane), h.Epoch, h.Nonce, stream.ErrForeign, stream.ErrPermanent),
		"something other than millrace writes, copies or restores objects of this ledger; stop it, then start again")
}

func olderThanData(s *State) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s says that lane %s has committed up to %d, and files of transaction %d (epoch %d) are in their table: %w: %w",
			HeadKey(s.Lane), s.Lane, s.Head.N, s.Beyond[0].N, s.Beyond[0].Epoch, stream.ErrLost, stream.ErrPermanent),
		"the head is older than its data, as after restoring a backup; put back its newest version, as going on would double records")
}

func stopped(s *State) error {
	return fmt.Errorf("ledger: stopped before lane %s was taken and checked: %w", s.Lane, stream.ErrUnavailable)
}

func undecided(s *State) error {
	what := map[Kind]string{Acquiring: "taking", Committing: "a commit in", Marking: "a note in", Releasing: "the release of"}[s.Kind]
	return fmt.Errorf("ledger: stopped while %s lane %s was undecided: %w", what, s.Lane, stream.ErrUnknown)
}

func ended(s *State) error {
	if s.Why != nil {
		return s.Why
	}
	return fmt.Errorf("ledger: lane %s was released in epoch %d; acquire it again: %w", s.Lane, s.Head.Epoch, stream.ErrFenced)
}

func pipelineFault(incarnation string, r PipelineRead) error {
	switch {
	case !r.Found:
		return NoPipeline()
	case r.Fault != nil:
		return r.Fault
	case r.State.Incarnation != incarnation:
		return stream.WithNext(
			fmt.Errorf("ledger: %s is of incarnation %s, and this worker joined %s: %w: %w",
				PipelineKey, r.State.Incarnation, incarnation, stream.ErrForeign, stream.ErrPermanent),
			"the ledger was made anew under a running pipeline; restart the worker if that was meant")
	case r.State.State != Ready:
		return fmt.Errorf("ledger: %s went back to %q: %w: %w", PipelineKey, r.State.State, stream.ErrForeign, stream.ErrPermanent)
	}
	return nil
}

// NoPipeline is the error of a ledger whose pipeline.json is gone.
func NoPipeline() error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s is missing, and the ledger is not empty: %w: %w", PipelineKey, stream.ErrLost, stream.ErrPermanent),
		"put it back from the store's versions or a backup; or give the pipeline a new ledger and new tables")
}

func pipelineStopped(sent bool) error {
	if sent {
		return fmt.Errorf("ledger: stopped while a change of %s was undecided: %w", PipelineKey, stream.ErrUnknown)
	}
	return fmt.Errorf("ledger: stopped before %s was changed: %w", PipelineKey, stream.ErrUnavailable)
}
