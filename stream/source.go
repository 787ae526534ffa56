package stream

import (
	"context"
	"errors"
)

// ErrEnd is what a Reader returns when bounded input is done.
var ErrEnd = errors.New("end of input")

// Bookmark is where reading of a partition goes on. It is kept in the lane's head and changes only by a commit.
type Bookmark struct {
	Partition   PartitionID `json:"-"`
	Position    Position    `json:"position"`
	TopicID     string      `json:"topic_id,omitempty"` // hex; checked against the broker's; empty: the broker has none
	Generation  uint64      `json:"generation"`         // counts rewinds
	LeaderEpoch int32       `json:"leader_epoch"`       // of the last record consumed; -1 unknown
	Watermark   Micros      `json:"watermark,omitempty"`
	Idle        bool        `json:"idle,omitempty"`
	Closed      bool        `json:"closed,omitempty"`
}

// Start is a partition that exists, with the position where a new pipeline begins to read it.
type Start struct {
	Bookmark
	ID   PartitionID
	Slot uint32 // the partition belongs to lane Slot mod lanes
}

// Member is what a worker tells the others of its group.
type Member struct {
	Session     string // one life of one worker; for logs only
	Incarnation string // of the ledger: members of another get nothing
	Plan        uint64 // epoch of the plan that this worker runs
	Lanes       int    // number of lanes of the pipeline
}

// Grant is a lane and the partitions of it that exist now, each at its beginning. A partition that the lane's head knows
// goes on from there instead.
type Grant struct {
	Lane       LaneID
	Partitions []Start
}

// Change is one turn of the assignment.
type Change struct {
	Generation int32   // of the group
	Granted    []Grant // lanes that are this worker's now
	Added      []Grant // new partitions of lanes that it has already
	Revoked    []LaneID
	Lost       []LaneID // somebody else may have them already
}

// Source reads one input. It is safe for concurrent use. Implementations: kafka.
type Source interface {
	// Discover lists the partitions that exist now, start_at resolved to positions.
	Discover(ctx context.Context) ([]Start, error)
	// Assign takes part in the group until ctx is over, and then leaves it. It calls f for each turn, one at a time; f
	// returns from a turn with Revoked when those lanes are flushed and released, or given up, and then they may go to others.
	// Before leaving it calls f with everything still held as Revoked. It returns an error only if the group cannot be used at all.
	Assign(ctx context.Context, m Member, f func(context.Context, Change) error) error
	// Open starts reading a lane at its bookmarks. A partition whose position cannot be read is reported by Next.
	Open(ctx context.Context, lane LaneID, at []Bookmark) (Reader, error)
	Close() error
}

// Reader reads one lane. It is used by one goroutine.
type Reader interface {
	// Next waits for records, or for a position that moved without any, until ctx is over. The batches of a partition tile:
	// each From is the To before it. Once after Open or Seek, an empty batch (From equal to To) with AtEnd may tell that there is
	// nothing to read yet. The caller releases each. An error that is a *PartitionError concerns one partition,
	// which delivers nothing more until it is sought; the others go on with the next call. ErrEnd: bounded input is done.
	Next(ctx context.Context) (*RawBatch, error)
	// Seek adds partitions, or moves those that are there.
	Seek(ctx context.Context, to []Bookmark) error
	// Pause stops fetching, so that memory stays bounded while the lane waits; Next still hands out what was fetched.
	Pause(on bool)
	// Ack tells lag tools outside how far this lane has committed (W10). It is never read back.
	Ack(ctx context.Context, at []Bookmark) error
	Close() error
}

// PartitionError is a fault that halts one partition and leaves the others alone.
type PartitionError struct {
	Partition PartitionID
	Code      string // topic_recreated, truncated, out_of_retention, fewer_partitions, other_cluster, corrupt_batch
	Err       error
}

func (e *PartitionError) Error() string { return string(e.Partition) + ": " + e.Err.Error() }

func (e *PartitionError) Unwrap() error { return e.Err }
