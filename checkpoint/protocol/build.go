package protocol

import (
	"fmt"
	"maps"

	"github.com/millrace/millrace/stream"
)

// The states of a pipeline.
const (
	Creating = "creating"
	Ready    = "ready"
)

// NewHead is the head of a lane at the creation of the pipeline, made from pipeline.json alone.
func NewHead(p *stream.PipelineState, lane int, nonce string) stream.Head {
	h := stream.Head{
		Format: stream.Format, Nonce: nonce, Incarnation: p.Incarnation, Plan: p.Plan.Epoch,
		Lane:       stream.LaneID(fmt.Sprint(lane)),
		Epochs:     [][2]uint64{{0, 0}},
		Tables:     map[string]uint64{},
		Partitions: map[stream.PartitionID]stream.Bookmark{},
	}
	for id, b := range p.Starts {
		if p.Slots[id]%uint32(p.Lanes) == uint32(lane) {
			h.Partitions[id] = b
		}
	}
	return h
}

// acquired is the head after its lane was taken.
func acquired(h stream.Head, s *State, nonce string) stream.Head {
	h.Epoch++
	h.Owner, h.Plan, h.GroupGeneration, h.Nonce = s.Owner, s.Plan, s.Generation, nonce
	return h
}

// marked is the head after a note.
func marked(h stream.Head, m stream.Mark, nonce string, s *State) (stream.Head, error) {
	var err error
	if h.Retired, err = retire(&h, m.Retired); err != nil {
		return h, err
	}
	if m.Attempt != nil {
		h.Attempt = m.Attempt
		if m.Attempt.Count == 0 {
			h.Attempt = nil
		}
	}
	h.Nonce = nonce
	h.Epochs = cut(&h, s.Cut, s.Off)
	return h, nil
}

func retire(h *stream.Head, to uint64) (uint64, error) {
	if to > h.N {
		return h.Retired, broken(h, "number %d is to be retired, and %d is the last one committed", to, h.N)
	}
	return max(h.Retired, to), nil
}

// released is the head after its owner gave it up.
func released(h stream.Head, nonce string, s *State) stream.Head {
	h.Owner, h.Nonce = "", nonce
	h.Epochs = cut(&h, s.Cut, s.Off)
	return h
}

// commit makes manifest and head of the next transaction. The head's ManifestSHA256 is of the bytes returned.
func commit(h stream.Head, t stream.Txn, nonce string, s *State) (stream.Manifest, []byte, stream.Head, error) {
	fail := func(err error) (stream.Manifest, []byte, stream.Head, error) {
		return stream.Manifest{}, nil, stream.Head{}, err
	}
	partitions, err := moved(&h, &t)
	if err != nil {
		return fail(err)
	}
	next := h
	next.N, next.Nonce, next.Attempt = h.N+1, nonce, nil
	next.Partitions = partitions
	next.Watermark = max(h.Watermark, t.Watermark)
	next.Tables = maps.Clone(h.Tables)
	if next.Tables == nil {
		next.Tables = map[string]uint64{}
	}
	if t.State != nil {
		next.State = t.State
	}
	if next.Retired, err = retire(&h, t.Retired); err != nil {
		return fail(err)
	}
	next.Epochs = committed(h.Epochs, h.Epoch, next.N)
	next.Epochs = cut(&next, s.Cut, s.Off)

	m := stream.Manifest{
		Format: stream.Format, Incarnation: h.Incarnation, Lane: h.Lane, Epoch: h.Epoch, N: next.N, Plan: h.Plan,
		PrevSHA256: h.ManifestSHA256, Time: t.Time, Ranges: t.Ranges, Files: t.Files,
		State: next.State, Watermark: next.Watermark, Counts: t.Counts,
	}
	for _, f := range t.Files {
		ref, ok := t.Tables[f.Table]
		if !ok {
			return fail(broken(&h, "file %s is of table %q, which the transaction does not describe", f.Key, f.Table))
		}
		if m.Tables == nil {
			m.Tables, m.PrevN = map[string]stream.TableRef{}, map[string]uint64{}
		}
		m.Tables[f.Table] = ref
		m.PrevN[f.Table] = h.Tables[f.Table]
		next.Tables[f.Table] = next.N
	}
	name(&m)
	body := Encode(m)
	next.ManifestSHA256 = Sum(body)
	return m, body, next, nil
}

// moved gives the partitions after t. Ranges must start where the head stands and tile, and each partition that moved must
// have a bookmark at the end of its last range; a partition that the head does not know starts where the transaction says.
func moved(h *stream.Head, t *stream.Txn) (map[stream.PartitionID]stream.Bookmark, error) {
	at := make(map[stream.PartitionID]stream.Range, len(t.Ranges))
	for _, r := range t.Ranges {
		from, gen := r.From, r.Generation
		if last, ok := at[r.Partition]; ok {
			from, gen = last.To, last.Generation
		} else if b, ok := h.Partitions[r.Partition]; ok {
			from, gen = b.Position, b.Generation
		}
		if r.From != from || r.Generation != gen {
			return nil, broken(h, "partition %s is at %s (generation %d), and the transaction read from %s (generation %d)",
				r.Partition, from, gen, r.From, r.Generation)
		}
		at[r.Partition] = r
	}
	partitions := maps.Clone(h.Partitions)
	if partitions == nil {
		partitions = map[stream.PartitionID]stream.Bookmark{}
	}
	seen := make(map[stream.PartitionID]bool, len(t.Bookmarks))
	for _, b := range t.Bookmarks {
		old, known := h.Partitions[b.Partition]
		position, gen := old.Position, old.Generation
		r, read := at[b.Partition]
		if read {
			position, gen = r.To, r.Generation
		}
		if (read || known) && (b.Position != position || b.Generation != gen) {
			return nil, broken(h, "partition %s was read up to %s (generation %d), and its bookmark says %s (generation %d)",
				b.Partition, position, gen, b.Position, b.Generation)
		}
		if known && old.TopicID != "" && b.TopicID != "" && old.TopicID != b.TopicID {
			return nil, broken(h, "partition %s is of topic id %s, and the transaction read topic id %s", b.Partition, old.TopicID, b.TopicID)
		}
		if seen[b.Partition] {
			return nil, broken(h, "partition %s has two bookmarks", b.Partition)
		}
		seen[b.Partition] = true
		b.Watermark = max(b.Watermark, old.Watermark)
		if b.TopicID == "" {
			b.TopicID = old.TopicID
		}
		partitions[b.Partition] = b
	}
	for p := range at {
		if !seen[p] {
			return nil, broken(h, "partition %s was read, and the transaction has no bookmark for it", p)
		}
	}
	return partitions, nil
}

// broken is a fault of the caller: nothing was sent.
func broken(h *stream.Head, format string, args ...any) error {
	return stream.WithNext(
		fmt.Errorf("ledger: lane %s, transaction %d: %s: %w", h.Lane, h.N+1, fmt.Sprintf(format, args...), stream.ErrPermanent),
		"nothing was committed; this is a fault of millrace, please report it with this line")
}
