package protocol

import "github.com/millrace/millrace/stream"

// Phase is where one worker stands with one head.
type Phase uint8

// The phases.
const (
	Free       Phase = iota // not held, nothing sent
	Reading                 // the head is being read, to take it
	PuttingOff              // polite to another live owner
	Writing                 // the manifest of a commit is being written
	Swapping                // a PUT of the head was sent
	Deciding                // it was not answered by 200: the head is being read
	Opening                 // taken: pipeline.json is being read
	Listing                 // what lies beyond the head is being listed
	Looking                 // whether its files are visible is being found out
	Confirming              // they are: the head is being read once more
	Held                    // the lane is ours until somebody fences us
	Over                    // fenced, released, halted or unknown: nothing is ever sent again
)

// Kind is what a swap is for.
type Kind uint8

// The kinds of swaps.
const (
	Acquiring Kind = iota + 1
	Committing
	Marking
	Releasing
)

// Guard is a rule that the model can switch off, to show that it is needed. In production all are on: Off is zero.
type Guard uint16

// The guards.
const (
	OffEpoch         Guard = 1 << iota // do not give way to a higher epoch or another owner
	OffNonce                           // decide by epoch and number instead of the nonce
	OffETag                            // PUT without a condition
	OffReread                          // take anything but 200 as a yes
	OffPlan                            // let an old configuration take lanes from a new one
	OffBeyond                          // do not look beyond the head
	OffGarbageEpochs                   // take everything of earlier epochs as garbage
	OffDense                           // let a number be left out
	OffConfirm                         // halt at a visible file beyond the head, without reading the head once more
	OffRetake                          // halt when a former owner's change comes before the taking of a lane
	OffOver                            // go on after giving up waiting, as if what was sent could not land any more
	OffCut                             // cut entries of epochs that something pending is of
	OffGarbageNewer                    // take what a newer owner makes as garbage
	OffGarbageOwn                      // take what is being made as garbage
)

// State is one worker's dealings with one head. Its maps and slices are never changed in place, so that copies may be kept.
type State struct {
	Lane        stream.LaneID
	Incarnation string
	Owner       string
	Plan        uint64
	Generation  int32
	Off         Guard

	Phase     Phase
	Head      stream.Head // as last decided
	ETag      string      // of Head
	Kind      Kind        // of the swap under way
	Want      stream.Head // what it writes
	Manifest  stream.Manifest
	Impatient bool   // put off long enough
	Cut       uint64 // entries of epochs below may go, with the next swap
	Beyond    []Name // manifests above the head's number
	Why       error  // it is Over; nil after a release
}

// Event is what happened: a wish of the owner, or the outcome of the effect before.
type Event interface{ event() }

// Effect is what to do next. nil: nothing, the last event was out of place.
type Effect interface{ effect() }

// Wishes of the owner. Nonces are fresh, never used before.
type (
	// Acquire takes the lane. It is the first event.
	Acquire struct{}
	// Again goes on after PutOff. Impatient: take it, whoever has it.
	Again struct{ Impatient bool }
	// Commit commits the next transaction.
	Commit struct {
		Nonce string
		Txn   stream.Txn
	}
	// Mark notes something in the head.
	Mark struct {
		Nonce string
		Mark  stream.Mark
	}
	// Release gives the lane up.
	Release struct{ Nonce string }
	// Collected tells that garbage of all epochs below Cut has been collected and is older than history.
	Collected struct{ Cut uint64 }
	// Stop ends waiting: the context is over.
	Stop struct{}
)

// Outcomes of effects. An effect that failed without an answer is repeated by the driver, PutHead apart.
type (
	// Read is a strong read of the head.
	Read struct {
		Found bool
		Head  stream.Head
		ETag  string
		Fault error  // it cannot be understood
		Live  bool   // its owner was seen alive lately
		Nonce string // for the swap that may follow
	}
	// Put answers PutHead. OK is an answer of 200, and nothing else.
	Put struct {
		OK   bool
		ETag string
	}
	// ManifestWritten answers WriteManifest. Same false: something else has its name.
	ManifestWritten struct{ Same bool }
	// PipelineRead is a strong read of pipeline.json.
	PipelineRead struct {
		Found bool
		State stream.PipelineState
		Fault error
	}
	// Listed answers ListBeyond.
	Listed struct{ Names []Name }
	// Looked answers LookFor. Visible names a file that readers can see, or is empty.
	Looked struct{ Visible string }
)

// Effects.
type (
	// ReadHead reads the head strongly.
	ReadHead struct{}
	// PutHead writes Head on condition that its ETag is IfMatch. Again: it has been sent before; back off first.
	PutHead struct {
		Head    stream.Head
		IfMatch string
		Again   bool
	}
	// ReadPipeline reads pipeline.json strongly.
	ReadPipeline struct{}
	// ListBeyond lists the lane's manifests above number N.
	ListBeyond struct{ N uint64 }
	// LookFor asks whether a file that one of these manifests names is visible to readers.
	LookFor struct{ Names []Name }
	// WriteManifest writes an immutable object.
	WriteManifest struct {
		Manifest stream.Manifest
		Body     []byte
	}
	// PutOff waits a little, then Again.
	PutOff struct {
		Owner      string
		Generation int32
	}
	// Done ends the wish that was under way. Err carries a class of package stream, and the next step.
	Done struct{ Err error }
)

func (Acquire) event()         {}
func (Again) event()           {}
func (Commit) event()          {}
func (Mark) event()            {}
func (Release) event()         {}
func (Collected) event()       {}
func (Stop) event()            {}
func (Read) event()            {}
func (Put) event()             {}
func (ManifestWritten) event() {}
func (PipelineRead) event()    {}
func (Listed) event()          {}
func (Looked) event()          {}

func (ReadHead) effect()      {}
func (PutHead) effect()       {}
func (ReadPipeline) effect()  {}
func (ListBeyond) effect()    {}
func (LookFor) effect()       {}
func (WriteManifest) effect() {}
func (PutOff) effect()        {}
func (Done) effect()          {}
