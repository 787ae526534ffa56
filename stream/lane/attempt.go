package lane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/stream"
)

// A record may kill the process: by memory, by a fault of a library in a goroutine that nobody can guard. Whoever takes a lane
// from an owner that never released it counts that in the head (Attempt); a commit clears the count. After crashLimit such
// ends at the same positions the lane goes on with caution: before a raw batch is taken, its records are tried out, and the
// head names those that are being tried. An owner that ends then leaves their names, and the next one tries half as many of
// them. A record that was tried alone and ended the process is a dead letter, undecoded.

const (
	// crashLimit is how many unclean ends without a commit make a lane cautious.
	crashLimit = 3
	// trialRecords is how many records are tried at a time while none is suspected: 13 ends more isolate one of them.
	trialRecords = 8192
	// cautionFor is how long a lane stays cautious. The killer may lie far behind the positions; but all that is taken until
	// then is committed, so that every three ends begin closer to it.
	cautionFor = 2 * time.Minute
)

// caution is what a hold knows of crashes.
type caution struct {
	attempt stream.Attempt
	until   time.Time     // zero: there is no reason for it
	suspect *stream.Trial // ended the process: Records of it are left to try
	at      int           // so many at a time
}

// unclean tells whether the lane's owner never released it. It is asked before the lane is taken, as that names a new owner.
func (h *hold) unclean(ctx context.Context) (bool, error) {
	heads, err := h.w.d.Ledger.Heads(ctx, []stream.LaneID{h.r.id})
	if err != nil {
		return false, fmt.Errorf("look at the owner of lane %s: %w", h.r.id, err)
	}
	return heads[0].Owner != "" && heads[0].Owner != h.w.d.Session, nil
}

// recall notes an unclean end in the head, and finds out whether the lane must be cautious.
func (h *hold) recall(ctx context.Context, head stream.Head, unclean bool) error {
	at := map[stream.PartitionID]stream.Position{}
	for id, b := range head.Partitions {
		at[id] = b.Position
	}
	a := stream.Attempt{Positions: at}
	if old := head.Attempt; old != nil && maps.Equal(old.Positions, at) {
		a.Count, a.Killers = old.Count, old.Killers
		if unclean && old.Trial != nil {
			if old.Trial.Records <= 1 {
				a.Killers = append(slices.Clone(old.Killers), *old.Trial)
			} else {
				h.care.suspect, h.care.at = old.Trial, (old.Trial.Records+1)/2
			}
		}
	}
	if unclean {
		a.Count++
	}
	if unclean || head.Attempt != nil && head.Attempt.Trial != nil {
		if err := h.lane.Mark(ctx, stream.Mark{Attempt: &a}); err != nil {
			return fmt.Errorf("note the unclean end of lane %s's owner: %w", h.r.id, err)
		}
	}
	h.care.attempt = a
	if a.Count >= crashLimit {
		h.care.until = time.Now().Add(cautionFor)
		h.w.d.Log.Warn("owners of this lane have ended again and again without a commit; its records are tried out before they are taken",
			"pipeline", h.w.p.Name, "lane", h.r.id, "ends", a.Count, "isolated", len(a.Killers))
	}
	return nil
}

// cautious tells whether records must be tried out.
func (h *hold) cautious() bool {
	return !h.care.until.IsZero() && (h.care.suspect != nil || time.Now().Before(h.care.until))
}

// convicted tells whether record i of raw has ended the process when it was tried alone.
func (h *hold) convicted(raw *stream.RawBatch, i int) bool {
	return slices.ContainsFunc(h.care.attempt.Killers, func(k stream.Trial) bool {
		return k.Partition == raw.Partition && k.Offset == raw.Records[i].Offset
	})
}

// chunk is the end of the records from number from on that are tried together.
func (h *hold) chunk(raw *stream.RawBatch, from int) int {
	to := min(from+trialRecords, len(raw.Records))
	if s := h.care.suspect; s != nil && s.Partition == raw.Partition {
		switch first := raw.Records[from].Offset; {
		case first < s.Offset: // up to the suspects, which are tried among themselves
			for i := from + 1; i < to; i++ {
				if raw.Records[i].Offset >= s.Offset {
					to = i
				}
			}
		default:
			to = min(from+min(h.care.at, s.Records), len(raw.Records))
			left := *s
			if left.Records -= to - from; left.Records > 0 {
				h.care.suspect = &left
			} else {
				h.care.suspect = nil
			}
		}
	}
	for i := from + 1; i < to; i++ {
		if h.convicted(raw, i) {
			return i
		}
	}
	return to
}

// trying names records [from, to) in the head.
func (h *hold) trying(ctx context.Context, raw *stream.RawBatch, from, to int) error {
	return h.name(ctx, &stream.Trial{Partition: raw.Partition, Offset: raw.Records[from].Offset, Records: to - from})
}

// tried takes the names out of the head: an end from now on has another cause.
func (h *hold) tried(ctx context.Context) error { return h.name(ctx, nil) }

func (h *hold) name(ctx context.Context, t *stream.Trial) error {
	a := h.care.attempt
	a.Trial = t
	a.Positions = map[stream.PartitionID]stream.Position{}
	for id, b := range h.lane.Head().Partitions {
		a.Positions[id] = b.Position
	}
	if err := h.lane.Mark(ctx, stream.Mark{Attempt: &a}); err != nil {
		return fmt.Errorf("name the records that are tried in lane %s: %w", h.r.id, err)
	}
	return nil
}
