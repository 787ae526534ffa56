package protocol

import (
	"bytes"
	"encoding/json"

	"github.com/millrace/millrace/stream"
)

// Record is one worker's change of pipeline.json.
//
// It has many writers, so that it decides by content. Change is asked on each state that was read: when it changes nothing,
// what was wanted is there, by whoever; when it refuses, what the change started from no longer holds and the caller
// decides; else its result is written on condition of the ETag just read. So Change must leave alone a state that holds
// its result already. Nothing here ever halts.
type Record struct {
	Phase  Phase // Free, Reading, Swapping, Deciding or Over
	Nonce  string
	Change func(*stream.PipelineState) error
	State  stream.PipelineState // as last read or written
	ETag   string
	Off    Guard
}

// PutPipeline writes pipeline.json on condition that its ETag is IfMatch; empty: that it is not there.
type PutPipeline struct {
	State   stream.PipelineState
	IfMatch string
	Again   bool
}

func (PutPipeline) effect() {}

// Begin is the first event: what was read is not needed for it.
type Begin struct{}

func (Begin) event() {}

// Swap is the outcome of reading pipeline.json for a change.
type Swap struct {
	PipelineRead
	ETag  string
	Nonce string
}

func (Swap) event() {}

// StepPipeline is the protocol of pipeline.json. Its effects are ReadPipeline, PutPipeline and Done; it understands Begin,
// Swap, Put and Stop.
func StepPipeline(r Record, e Event) (Record, Effect) {
	switch e := e.(type) {
	case Begin:
		r.Phase = Reading
		return r, ReadPipeline{}
	case Stop:
		sent := r.Phase == Deciding || r.Phase == Swapping
		r.Phase = Over
		return r, Done{pipelineStopped(sent)}
	case Put:
		if r.Phase != Swapping {
			return r, nil
		}
		if e.OK && e.ETag != "" || r.Off&OffReread != 0 {
			r.ETag = e.ETag
			return r.done(nil)
		}
		r.Phase = Deciding
		return r, ReadPipeline{}
	case Swap:
		if r.Phase == Reading || r.Phase == Deciding {
			return r.swap(e)
		}
	}
	return r, nil
}

func (r Record) swap(e Swap) (Record, Effect) {
	switch {
	case !e.Found:
		return r.done(NoPipeline())
	case e.Fault != nil:
		return r.done(e.Fault)
	case e.ETag == "":
		return r.done(noETag(PipelineKey))
	}
	if r.Phase == Deciding && e.State.Nonce == r.Nonce { // landed, only the answer was lost
		r.State, r.ETag = e.State, e.ETag
		return r.done(nil)
	}
	again := r.Phase == Deciding
	want := Copy(e.State)
	if err := r.Change(&want); err != nil {
		r.State, r.ETag = e.State, e.ETag
		return r.done(err)
	}
	want.Nonce = e.State.Nonce
	if bytes.Equal(Encode(want), Encode(e.State)) {
		r.State, r.ETag = e.State, e.ETag
		return r.done(nil)
	}
	want.Nonce = e.Nonce
	r.State, r.Nonce, r.Phase = want, e.Nonce, Swapping
	p := PutPipeline{want, e.ETag, again}
	if r.Off&OffETag != 0 {
		p.IfMatch = ""
	}
	return r, p
}

func (r Record) done(err error) (Record, Effect) {
	r.Phase = Over
	return r, Done{err}
}

// Copy is a deep copy.
func Copy(p stream.PipelineState) stream.PipelineState {
	var c stream.PipelineState
	if err := json.Unmarshal(Encode(p), &c); err != nil {
		panic("protocol: a state that cannot be read back: " + err.Error())
	}
	return c
}
