package protocol

import "github.com/millrace/millrace/stream"

// committed notes in the list of epochs that e has committed n. Epochs that commit nothing get no entry.
func committed(list [][2]uint64, e, n uint64) [][2]uint64 {
	out := append(make([][2]uint64, 0, len(list)+1), list...)
	if last := len(out) - 1; last >= 0 && out[last][0] == e {
		out[last][1] = n
		return out
	}
	return append(out, [2]uint64{e, n})
}

// cut drops the entries below epoch to. The newest stays, and so does every entry that a pending number may lie in: names
// of pending manifests follow from the list.
func cut(h *stream.Head, to uint64, off Guard) [][2]uint64 {
	list, i := h.Epochs, 0
	for i < len(list)-1 && list[i][0] < to && list[i][0] < h.Epoch && (list[i][1] <= h.Retired || off&OffCut != 0) {
		i++
	}
	return list[i:]
}

// Pending names the committed transactions that are not retired, oldest first.
func Pending(h *stream.Head) []Name {
	var names []Name
	for n := h.Retired + 1; n <= h.N; n++ {
		names = append(names, Name{N: n, Epoch: h.EpochOf(n)})
	}
	return names
}

// Verdict is what garbage collection may do with something that carries a transaction's name.
type Verdict uint8

// The verdicts.
const (
	Keep    Verdict = iota
	Aged            // may go once it is older than the history that is kept
	Garbage         // of a transaction that was never committed, and never will be
)

// Uploads decides about an open upload of the lane, from a head that its owner has just read. That the owner has seen
// nothing beyond the head comes first.
func Uploads(h *stream.Head, n Name) Verdict { return uploads(h, n, 0) }

func uploads(h *stream.Head, n Name, off Guard) Verdict {
	switch {
	case n.Epoch > h.Epoch && off&OffGarbageNewer == 0:
		return Keep // of an owner that came after me
	case n.N <= h.Retired:
		return Garbage // published, or never committed: a creation sent twice leaves a second upload
	case n.Epoch == h.Epoch && off&OffGarbageOwn == 0:
		return Keep
	case off&OffGarbageEpochs != 0:
		return Garbage
	case n.Epoch < h.Epochs[0][0]:
		return Garbage // the epoch of everything pending is in the list
	case h.EpochOf(n.N) == n.Epoch:
		return Keep
	}
	return Garbage
}

// Objects decides about a manifest or an object of state. What the head or a manifest that is kept names as state stays, in
// any case; that is for the caller to know.
func Objects(h *stream.Head, n Name) Verdict {
	switch {
	case n.Epoch > h.Epoch || n.N == h.N && h.EpochOf(n.N) == n.Epoch:
		return Keep
	case n.Epoch < h.Epochs[0][0]:
		return Aged // whether it was committed is no longer known
	case h.EpochOf(n.N) == n.Epoch:
		if n.N > h.Retired {
			return Keep
		}
		return Aged
	case n.Epoch == h.Epoch:
		return Keep // being made
	}
	return Garbage
}
