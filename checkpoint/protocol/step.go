package protocol

import "github.com/millrace/millrace/stream"

// Step is the protocol of one head. It is a pure function.
func Step(s State, e Event) (State, Effect) {
	switch e := e.(type) {
	case Stop:
		return s.stop()
	case Collected:
		s.Cut = max(s.Cut, e.Cut)
		return s, nil
	case Acquire:
		if s.Phase == Free {
			s.Phase = Reading
			return s, ReadHead{}
		}
	case Again:
		if s.Phase == PuttingOff {
			s.Phase, s.Impatient = Reading, e.Impatient
			return s, ReadHead{}
		}
	case Commit, Mark, Release:
		return s.wish(e)
	case Read:
		switch s.Phase {
		case Reading:
			return s.take(e)
		case Deciding:
			return s.decide(e)
		case Confirming:
			return s.confirm(e)
		}
	case Put:
		if s.Phase == Swapping {
			// Without an ETag the next PUT would have no condition: what is there has to be read.
			if e.OK && e.ETag != "" || s.Off&OffReread != 0 {
				return s.landed(e.ETag)
			}
			s.Phase = Deciding
			return s, ReadHead{}
		}
	case ManifestWritten:
		if s.Phase == Writing {
			if !e.Same {
				return s.over(fenced(&s, "another manifest has the name "+ManifestKey(s.Lane, Name{s.Want.N, s.Want.Epoch})))
			}
			return s.swap(false)
		}
	case PipelineRead:
		if s.Phase == Opening {
			return s.open(e)
		}
	case Listed:
		if s.Phase == Listing {
			return s.beyond(e.Names)
		}
	case Looked:
		if s.Phase == Looking {
			if e.Visible == "" {
				return s.hold()
			}
			if s.Off&OffConfirm != 0 {
				return s.over(olderThanData(&s))
			}
			s.Phase = Confirming
			return s, ReadHead{}
		}
	}
	return s, nil
}

// wish begins a swap of a lane that is held.
func (s State) wish(e Event) (State, Effect) {
	if s.Phase == Over {
		return s, Done{ended(&s)}
	}
	if s.Phase != Held {
		return s, nil
	}
	switch e := e.(type) {
	case Commit:
		h := s.Head
		if s.Off&OffDense != 0 {
			h.N++
		}
		m, body, want, err := commit(h, e.Txn, e.Nonce, &s)
		if err != nil {
			return s, Done{err}
		}
		s.Kind, s.Want, s.Manifest, s.Phase = Committing, want, m, Writing
		return s, WriteManifest{m, body}
	case Mark:
		want, err := marked(s.Head, e.Mark, e.Nonce, &s)
		if err != nil {
			return s, Done{err}
		}
		s.Kind, s.Want = Marking, want
	case Release:
		s.Kind, s.Want = Releasing, released(s.Head, e.Nonce, &s)
	}
	return s.swap(false)
}

// take begins to acquire, from the head just read.
func (s State) take(r Read) (State, Effect) {
	if err := s.fault(r); err != nil {
		return s.over(err)
	}
	if r.Head.Plan > s.Plan && s.Off&OffPlan == 0 {
		return s.over(lowerPlan(&s, &r.Head))
	}
	if r.Live && !s.Impatient && r.Head.Owner != "" && r.Head.Owner != s.Owner && r.Head.GroupGeneration > s.Generation {
		s.Phase = PuttingOff
		return s, PutOff{r.Head.Owner, r.Head.GroupGeneration}
	}
	s.Head, s.ETag = r.Head, r.ETag
	s.Kind, s.Want = Acquiring, acquired(r.Head, &s, r.Nonce)
	return s.swap(false)
}

// swap sends the one PUT. Whether it landed is decided before anything else is sent.
func (s State) swap(again bool) (State, Effect) {
	s.Phase = Swapping
	p := PutHead{s.Want, s.ETag, again}
	if s.Off&OffETag != 0 {
		p.IfMatch = ""
	}
	return s, p
}

// decide finds out what became of a PUT that was not answered by 200.
func (s State) decide(r Read) (State, Effect) {
	if err := s.fault(r); err != nil {
		return s.over(err)
	}
	mine := r.Head.Nonce == s.Want.Nonce
	if s.Off&OffNonce != 0 {
		mine = r.Head.Epoch == s.Want.Epoch && r.Head.N == s.Want.N
	}
	switch {
	case mine:
		return s.landed(r.ETag)
	case r.ETag == s.ETag:
		return s.swap(true)
	case s.Kind == Acquiring && s.Off&OffRetake == 0 && (r.Head.Epoch < s.Want.Epoch || r.Head.Epoch == s.Want.Epoch && r.Head.Owner == s.Owner):
		// Its former owner has changed it meanwhile, or a try of this very session that was given up has landed
		// late: whoever that was, taking the lane from what is there now fences it.
		return s.take(r)
	case s.Off&OffEpoch != 0:
		s.ETag = r.ETag
		return s.swap(true)
	case r.Head.Epoch > s.Want.Epoch || r.Head.Epoch == s.Want.Epoch && r.Head.Owner != s.Owner:
		return s.over(fencedBy(&s, &r.Head))
	}
	return s.over(intruder(&s, &r.Head))
}

// landed goes on after the swap is known to be in the head.
func (s State) landed(etag string) (State, Effect) {
	s.Head, s.ETag, s.Want = s.Want, etag, stream.Head{}
	switch s.Kind {
	case Acquiring:
		s.Phase = Opening
		return s, ReadPipeline{}
	case Releasing:
		s.Phase = Over
		return s, Done{}
	}
	return s.hold()
}

// open goes on when pipeline.json was read after the lane was taken: an operation on several heads that was begun before
// cannot slip through.
func (s State) open(r PipelineRead) (State, Effect) {
	if err := pipelineFault(s.Incarnation, r); err != nil {
		return s.over(err)
	}
	if s.Off&OffBeyond != 0 {
		return s.hold()
	}
	s.Phase = Listing
	return s, ListBeyond{s.Head.N}
}

func (s State) beyond(names []Name) (State, Effect) {
	s.Beyond = nil
	for _, n := range names {
		if n.N > s.Head.N {
			s.Beyond = append(s.Beyond, n)
		}
	}
	if len(s.Beyond) == 0 {
		return s.hold()
	}
	s.Phase = Looking
	return s, LookFor{s.Beyond}
}

// confirm decides about a visible file of a manifest that the head does not know: it is older than its data, if it is still
// mine; else its new owner has committed meanwhile, and it is for them.
func (s State) confirm(r Read) (State, Effect) {
	if err := s.fault(r); err != nil {
		return s.over(err)
	}
	switch {
	case r.Head.Nonce == s.Head.Nonce:
		return s.over(olderThanData(&s))
	case r.Head.Epoch > s.Head.Epoch || r.Head.Epoch == s.Head.Epoch && r.Head.Owner != s.Owner:
		return s.over(fencedBy(&s, &r.Head))
	}
	return s.over(intruder(&s, &r.Head))
}

func (s State) hold() (State, Effect) {
	s.Phase, s.Beyond = Held, nil
	return s, Done{}
}

func (s State) over(err error) (State, Effect) {
	s.Phase, s.Why = Over, err
	return s, Done{err}
}

// stop gives up waiting. What was sent may still land, so that nothing else may be sent from this state.
func (s State) stop() (State, Effect) {
	switch s.Phase {
	case Free, Held, Over:
		return s, nil
	case Reading, PuttingOff, Opening, Listing, Looking, Confirming:
		return s.over(stopped(&s))
	}
	if s.Off&OffOver != 0 && s.Kind != Acquiring {
		s.Phase = Held
		return s, Done{undecided(&s)}
	}
	return s.over(undecided(&s))
}

// fault is what no head may be.
func (s *State) fault(r Read) error {
	switch {
	case !r.Found:
		return missing(s.Lane)
	case r.Fault != nil:
		return r.Fault
	case r.ETag == "":
		return noETag(HeadKey(s.Lane))
	case r.Head.Incarnation != s.Incarnation || r.Head.Lane != s.Lane:
		return foreignHead(s, &r.Head)
	}
	return nil
}
