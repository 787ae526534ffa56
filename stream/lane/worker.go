package lane

import (
	"context"
	"log/slog"
	"time"

	"github.com/millrace/millrace/stream"
)

// Pipeline is what a worker runs. All of it is shared by the lanes; the factories give each lane its own scratch memory.
type Pipeline struct {
	Name       string
	Source     stream.Source
	Bounded    bool // the source ends
	NewDecoder func() (stream.Decoder, error)
	Steps      []Step
	Sinks      []Sink
	Dead       stream.Sink // dead letters; nil only with another OnError
	OnError    OnError
	MaxRatio   float64      // dead letters per record over ten minutes; above it the lane halts. 0: no bound
	RawLimit   stream.Bytes // bytes of a record kept in its dead letter

	CommitEvery time.Duration
	CommitSize  stream.Bytes
	MaxPending  int
	Retry       Retry
	// Expected are the lanes that have partitions. A bounded run ends when each is done here or is another worker's. Empty: when
	// those are done that are held.
	Expected []stream.LaneID
}

// Step is one transform: its name in counts and dead letters, and how a lane gets its own.
type Step struct {
	Name  string
	New   func() (stream.Step, error)
	Keeps bool // it takes no row out: what comes in goes out, or is rejected
}

// Sink hangs on the chain: After is the number of steps that its rows have passed. Before, if set, is a step of the sink's
// own, which computes its partition columns.
type Sink struct {
	stream.Sink
	After  int
	Before func() (stream.Step, error)
}

// OnError says what becomes of a record that does not fit.
type OnError string

// The values of source.on_error.
const (
	DeadLetter OnError = "dead_letter"
	Drop       OnError = "drop"
	Fail       OnError = "fail"
)

// Retry is how a lane goes on after a fault that may heal.
type Retry struct {
	Initial, Max time.Duration
	GiveUpAfter  time.Duration // 0: never
}

// Deps is what a worker works with.
type Deps struct {
	Ledger  stream.Ledger
	Joined  stream.Pipeline                                   // from Ledger.Join
	Tables  stream.Tables                                     // opens what pending manifests name
	Collect func(ctx context.Context, lane stream.Lane) error // garbage of one ownership; nil: none
	Session string
	Hooks   *stream.Hooks
	Log     *slog.Logger
	Metrics *Metrics
	// Committed and Published, if set, are told of each transaction. They are called from the lanes' goroutines.
	Committed, Published func(stream.Manifest)
}

const (
	// beatEvery is how often a worker shows that it lives; others take it for dead after 45 s.
	beatEvery = 10 * time.Second
	// retireQuiet is how long a retirement waits for a commit to ride in.
	retireQuiet = 5 * time.Second
	// maxPendingAge bounds how long committed data may wait for its publication before the lane pauses.
	maxPendingAge = 15 * time.Minute
	// lostAfter is how long a committed upload that cannot be found is looked for before it is called lost.
	lostAfter = 15 * time.Minute
	// collectEvery is the time between two passes of garbage collection in one ownership.
	collectEvery = 10 * time.Minute
	// collectAgain is the first wait after a pass that failed; it doubles.
	collectAgain = 2 * time.Second
	// ackTimeout bounds W10, which is only a hint.
	ackTimeout = 2 * time.Second
	// fencedWait is how long a fenced worker that is still assigned waits before it acquires again; it doubles.
	fencedWait = 10 * time.Second
	// haltedWait is the least time after which a halted lane is tried again.
	haltedWait = 30 * time.Second
	// goodHold is how long a lane must have been held for its next fault to count as a new one.
	goodHold = 2 * time.Minute
	// slowAfter is how long a lane may be acquired, or a commit be under way, before status says so.
	slowAfter = 30 * time.Second
	// leastWait is the least time between two tries of anything.
	leastWait = time.Millisecond
	// abortTimeout bounds the dropping of open files, which garbage collection would find too.
	abortTimeout = 5 * time.Second
	// publishAtOnce is how many files of a transaction are completed at a time: each costs two round trips.
	publishAtOnce = 16
	// readerPatience is how long a reader may have nothing but faults before it is opened anew.
	readerPatience = 5 * time.Minute
)
