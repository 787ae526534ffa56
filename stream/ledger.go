package stream

import (
	"context"
	"errors"
	"io"
	"iter"
	"strconv"
)

// Format is the version of every stored object of the ledger. A newer one is refused.
const Format = 1

// ErrCreating means that the pipeline's heads are not all there yet and this worker could not carry the creation on.
var ErrCreating = errors.New("the pipeline is being created")

// TxnID names a transaction: number N of Lane, made in Epoch. N counts densely from 1.
type TxnID struct {
	Incarnation string
	Lane        LaneID
	Epoch, N    uint64
}

// String is the id as it stands in object metadata, file footers and file names: <incarnation>-<lane>-<epoch>-<n>.
func (t TxnID) String() string {
	return t.Incarnation + "-" + string(t.Lane) + "-" + strconv.FormatUint(t.Epoch, 10) + "-" + strconv.FormatUint(t.N, 10)
}

// Plan is the configuration as far as the ledger has to know it.
type Plan struct {
	Pipeline string     `json:"pipeline"`
	Epoch    uint64     `json:"epoch"` // set by Join; one more for every compatible change
	Hash     string     `json:"hash"`  // of the configuration's meaning
	Lanes    int        `json:"-"`     // wanted at creation; afterwards the ledger's number holds
	Source   string     `json:"-"`     // what must never change under a ledger: kind, cluster id
	Tables   []TableRef `json:"-"`
}

// Head is a lane's one small record, lanes/<lane>.json. It changes only by conditional PUT.
type Head struct {
	Format          int                      `json:"format"`
	Nonce           string                   `json:"nonce"` // fresh for every swap, kept by its repeats
	Incarnation     string                   `json:"incarnation"`
	Plan            uint64                   `json:"plan"`
	Lane            LaneID                   `json:"lane"`
	Owner           string                   `json:"owner"` // session; empty after a release
	Epoch           uint64                   `json:"epoch"`
	GroupGeneration int32                    `json:"group_generation"`
	N               uint64                   `json:"n"`
	Retired         uint64                   `json:"retired"`
	Epochs          [][2]uint64              `json:"epochs"` // [epoch, last number it committed]
	ManifestSHA256  string                   `json:"manifest_sha256,omitempty"`
	Tables          map[string]uint64        `json:"tables"` // per table the last number that touched it
	Partitions      map[PartitionID]Bookmark `json:"partitions"`
	State           map[string]StateRef      `json:"state,omitempty"`
	Watermark       Micros                   `json:"watermark,omitempty"`
	Attempt         *Attempt                 `json:"attempt"`
}

// EpochOf tells in which epoch number n was committed; 0: it was not. Of numbers older than
// the first entry nothing is known; that entry is named for them.
func (h *Head) EpochOf(n uint64) uint64 {
	if n == 0 || n > h.N {
		return 0
	}
	for _, e := range h.Epochs {
		if n <= e[1] {
			return e[0]
		}
	}
	return 0
}

// Next is the id of the transaction that the head's owner makes next.
func (h *Head) Next() TxnID { return TxnID{h.Incarnation, h.Lane, h.Epoch, h.N + 1} }

// StateRef names an operator's state: a base and what was added since, each an immutable object.
type StateRef struct {
	Base   string   `json:"base"`
	Deltas []string `json:"deltas"`
	SHA256 []string `json:"sha256"`
}

// Attempt is what a lane notes before it tries again after an unclean end, so that a record that kills the process is found.
type Attempt struct {
	Positions map[PartitionID]Position `json:"positions"`
	Count     int                      `json:"count"`             // unclean ends at these positions
	Trial     *Trial                   `json:"trial,omitempty"`   // being tried out: an end blames these records
	Killers   []Trial                  `json:"killers,omitempty"` // single records that ended the process
}

// Trial names records of a partition: so many from an offset on.
type Trial struct {
	Partition PartitionID `json:"partition"`
	Offset    int64       `json:"offset"`
	Records   int         `json:"records"`
}

// BlobRef names an immutable object of the ledger with its hash.
type BlobRef struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Range is what a transaction read of one partition: [From, To).
type Range struct {
	Partition   PartitionID `json:"partition"`
	Generation  uint64      `json:"generation"`
	From        Position    `json:"from"`
	To          Position    `json:"to"`
	TopicID     string      `json:"topic_id,omitempty"`
	LeaderEpoch int32       `json:"leader_epoch"`
	Records     int64       `json:"records"`
	Gap         string      `json:"gap,omitempty"` // a loss that was accepted: its reason
}

// Counts is the conservation of one transaction: Records = Skipped + Dead + Dropped + rows into the first step, and so on.
type Counts struct {
	Records int64            `json:"records"`
	Skipped int64            `json:"skipped"`
	Dead    int64            `json:"dead"`
	Removed map[string]int64 `json:"removed,omitempty"` // rows taken out, by step and reason: "0:filter"
	Rows    map[string]int64 `json:"rows"`              // written, by table
}

// Manifest is what one transaction is made of, txn/<lane>/<n>.<e>.json. It is immutable and holds all that publishing
// needs, as the configuration may have changed since.
type Manifest struct {
	Format      int                 `json:"format"`
	Incarnation string              `json:"incarnation"`
	Lane        LaneID              `json:"lane"`
	Epoch       uint64              `json:"epoch"`
	N           uint64              `json:"n"`
	Plan        uint64              `json:"plan"`
	PrevSHA256  string              `json:"prev_sha256,omitempty"` // of the manifest before it
	Time        Micros              `json:"time"`                  // batch_time() of its rows
	Ranges      []Range             `json:"ranges"`
	Files       []File              `json:"files,omitempty"`
	Removes     []Remove            `json:"removes,omitempty"`
	Tables      map[string]TableRef `json:"tables,omitempty"` // those that Files name
	PrevN       map[string]uint64   `json:"prev_n,omitempty"`
	State       map[string]StateRef `json:"state,omitempty"`
	Watermark   Micros              `json:"watermark,omitempty"`
	Counts      Counts              `json:"counts"`
}

// ID of the transaction.
func (m *Manifest) ID() TxnID { return TxnID{m.Incarnation, m.Lane, m.Epoch, m.N} }

// Remove names a published file that a transaction takes away.
type Remove struct {
	Table string `json:"table"`
	Key   string `json:"key"`
}

// Txn is what a lane commits. The ledger adds number, epoch, hashes and prev_n.
type Txn struct {
	Time      Micros
	Ranges    []Range
	Bookmarks []Bookmark // after the transaction, for every partition that Ranges names
	Files     []File
	Tables    map[string]TableRef
	State     map[string]StateRef
	Watermark Micros
	Counts    Counts
	Retired   uint64 // W9 of earlier numbers rides along; 0: unchanged
}

// Mark is a change of a head that commits nothing.
type Mark struct {
	Retired uint64   // 0: unchanged
	Attempt *Attempt // nil: unchanged; with Count 0: cleared
}

// Hint is what helps Acquire to be polite; safety does not need it.
type Hint struct {
	Session    string
	Generation int32 // of the consumer group
	// Live tells whether a session was seen alive lately.
	Live func(session string) bool
}

// Session is one life of one worker, live/<session>.json.
type Session struct {
	ID       string   `json:"id"`
	Host     string   `json:"host"`
	PID      int      `json:"pid"`
	Plan     uint64   `json:"plan"`
	Lanes    []LaneID `json:"lanes"`
	Sequence uint64   `json:"sequence"` // changes with every beat; nothing else is looked at
}

// PipelineState is pipeline.json.
type PipelineState struct {
	Format      int                      `json:"format"`
	Nonce       string                   `json:"nonce"`
	Incarnation string                   `json:"incarnation"`
	State       string                   `json:"state"` // creating | ready
	Pipeline    string                   `json:"pipeline"`
	Source      string                   `json:"source"`
	Lanes       int                      `json:"lanes"`
	Plan        Plan                     `json:"plan"`
	Starts      map[PartitionID]Bookmark `json:"starts"`
	Slots       map[PartitionID]uint32   `json:"slots"`
	Tables      map[string]TableState    `json:"tables"`
}

// TableState is what the ledger keeps of a table: its schema versions, oldest first, and whether it has been claimed.
type TableState struct {
	Ref     TableRef `json:"ref"`
	Schemas []string `json:"schemas"` // Arrow schema as text, see table.go
	Claimed bool     `json:"claimed"`
}

// Ledger decides what is in a table. Implementations: checkpoint, over the file and the S3 store.
type Ledger interface {
	// Join creates the pipeline, or carries its creation on, or opens it. starts counts only at creation. It refuses a ledger
	// of another pipeline (ErrForeign), a newer format and an incompatible plan (ErrPermanent).
	Join(ctx context.Context, p Plan, starts []Start) (Pipeline, error)
	// Acquire takes a lane: epoch+1 fences whoever held it. It returns when the check for data beyond the head has passed.
	Acquire(ctx context.Context, lane LaneID, h Hint) (Lane, error)
	// Heads reads heads strongly.
	Heads(ctx context.Context, lanes []LaneID) ([]Head, error)
	// History reads a lane's committed manifests from number from on, checked against the chain of hashes.
	History(ctx context.Context, lane LaneID, from uint64) iter.Seq2[Manifest, error]
	Get(ctx context.Context, ref BlobRef) (io.ReadCloser, error)
}

// Pipeline is pipeline.json and live/.
type Pipeline interface {
	// State as last read or written; cheap.
	State() PipelineState
	// Update changes pipeline.json by swap: f may run several times, each on the state just read, and refuses by an error.
	Update(ctx context.Context, f func(*PipelineState) error) error
	// Beat tells that this session lives, and returns those that changed within 45 s by this observer's own clock.
	Beat(ctx context.Context, s Session) ([]Session, error)
}

// Lane is one epoch's hold on a lane. Its methods are safe for concurrent use: swaps of a head go one after the other.
type Lane interface {
	Head() Head
	// Put writes an immutable object of the next transaction (W4).
	Put(ctx context.Context, name string, b []byte) (BlobRef, error)
	// Commit writes the manifest (W5) and swaps the head (W6). nil: committed. ErrFenced: definitively another's now.
	// ErrUnknown: ctx ended while it was undecided; stop, clean nothing. Whatever it returned, once called nothing of the
	// transaction may be discarded by the caller.
	Commit(ctx context.Context, t Txn) (Manifest, error)
	// Mark swaps a note into the head: W9, attempts.
	Mark(ctx context.Context, m Mark) error
	// Release gives the lane up, so that the next owner need not wait.
	Release(ctx context.Context) error
}
