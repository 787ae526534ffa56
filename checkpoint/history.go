package checkpoint

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// errAged ends a walk into what is no longer kept.
var errAged = errors.New("aged out")

// History reads a lane's committed manifests from number from on. Each is checked by the hash that its successor, or the
// head, has of it before it is handed out. Retired manifests that have aged out are left out at the beginning; a hole
// anywhere else is an error, the last thing yielded.
func (l *Ledger) History(ctx context.Context, id stream.LaneID, from uint64) iter.Seq2[stream.Manifest, error] {
	return func(yield func(stream.Manifest, error) bool) {
		heads, err := l.Heads(ctx, []stream.LaneID{id})
		if err != nil {
			yield(stream.Manifest{}, err)
			return
		}
		h := &heads[0]
		names, err := l.names(ctx, h, max(from, 1))
		if err != nil {
			yield(stream.Manifest{}, err)
			return
		}
		var m stream.Manifest // read, and to be handed out when its hash is confirmed
		var sum string
		held := false
		for _, n := range names {
			next, nextSum, err := l.manifest(ctx, h, n)
			if errors.Is(err, errAged) && !held {
				continue
			}
			if errors.Is(err, errAged) && l.cutOff(ctx, id, n.N) {
				err = fmt.Errorf("ledger: number %d of lane %s aged out while it was to be read; read again: %w", n.N, id, stream.ErrUnavailable)
			}
			if err == nil && held && next.PrevSHA256 != sum {
				err = mismatch(protocol.ManifestKey(id, protocol.Name{N: m.N, Epoch: m.Epoch}), "the manifest after it")
			}
			if err != nil {
				yield(stream.Manifest{}, err)
				return
			}
			if held && !yield(m, nil) {
				return
			}
			m, sum, held = next, nextSum, true
		}
		if !held {
			return
		}
		if sum != h.ManifestSHA256 {
			yield(stream.Manifest{}, mismatch(protocol.ManifestKey(id, protocol.Name{N: m.N, Epoch: m.Epoch}), protocol.HeadKey(id)))
			return
		}
		yield(m, nil)
	}
}

// cutOff tells whether garbage collection has passed number n: it deletes manifests in their order.
func (l *Ledger) cutOff(ctx context.Context, id stream.LaneID, n uint64) bool {
	all, err := l.list(ctx, "list_manifests", protocol.ManifestPrefix(id), "")
	if err != nil || len(all) == 0 {
		return false
	}
	oldest, ok := protocol.ParseManifest(id, all[0].Key)
	return ok && oldest.N > n
}

// names lists the committed names from number from to the head's. Those of pending numbers follow from the head alone.
func (l *Ledger) names(ctx context.Context, h *stream.Head, from uint64) ([]protocol.Name, error) {
	var names []protocol.Name
	if from <= h.Retired && from <= h.Epochs[0][1] {
		all, err := l.list(ctx, "list_manifests", protocol.ManifestPrefix(h.Lane), protocol.BeyondManifest(h.Lane, from-1))
		if err != nil {
			return nil, err
		}
		// Below the cut the head no longer knows in which epoch a number was committed. Only a manifest that a
		// worker, fenced long ago, has written since could be there besides the right one.
		for _, o := range all {
			n, ok := protocol.ParseManifest(h.Lane, o.Key)
			if !ok || n.N > h.Epochs[0][1] {
				continue
			}
			if k := len(names); k > 0 && names[k-1].N == n.N {
				keep, err := l.rightful(ctx, h, names[k-1], n)
				if err != nil {
					return nil, err
				}
				names[k-1] = keep
				continue
			}
			names = append(names, n)
		}
		from = h.Epochs[0][1] + 1
	}
	for n := from; n <= h.N; n++ {
		names = append(names, protocol.Name{N: n, Epoch: h.EpochOf(n)})
	}
	return names, nil
}

// rightful tells which of two manifests of one number the chain goes through: the one whose hash a manifest of the next has.
func (l *Ledger) rightful(ctx context.Context, h *stream.Head, a, b protocol.Name) (protocol.Name, error) {
	want := map[string]bool{}
	if a.N == h.N {
		want[h.ManifestSHA256] = true
	}
	next, err := l.list(ctx, "list_manifests", protocol.ManifestPrefix(h.Lane), protocol.BeyondManifest(h.Lane, a.N))
	if err != nil {
		return a, err
	}
	for _, o := range next {
		n, ok := protocol.ParseManifest(h.Lane, o.Key)
		if !ok || n.N != a.N+1 {
			break
		}
		m, _, err := l.manifest(ctx, h, n)
		if err != nil {
			return a, err
		}
		want[m.PrevSHA256] = true
	}
	_, sum, err := l.manifest(ctx, h, b)
	if err != nil {
		return a, err
	}
	if want[sum] {
		return b, nil
	}
	return a, nil
}

// manifest reads one manifest and its hash. One that should be there and is not is lost, unless it may have aged out.
func (l *Ledger) manifest(ctx context.Context, h *stream.Head, n protocol.Name) (stream.Manifest, string, error) {
	key := protocol.ManifestKey(h.Lane, n)
	b, _, found, err := l.get(ctx, "read_manifest", key, false)
	if err != nil {
		return stream.Manifest{}, "", err
	}
	if !found {
		lost := stream.WithNext(
			fmt.Errorf("ledger: %s is missing, and lane %s has committed it: %w: %w", key, h.Lane, stream.ErrLost, stream.ErrPermanent),
			"put it back from the store's versions or a backup")
		if n.N <= h.Retired {
			return stream.Manifest{}, "", fmt.Errorf("%w: %w", errAged, lost)
		}
		return stream.Manifest{}, "", lost
	}
	m, err := protocol.DecodeManifest(key, b)
	if err == nil && (m.Incarnation != h.Incarnation || m.Lane != h.Lane || m.N != n.N || m.Epoch != n.Epoch) {
		err = stream.WithNext(
			fmt.Errorf("ledger: %s is the manifest of %s: %w: %w", key, m.ID(), stream.ErrForeign, stream.ErrPermanent),
			"something other than millrace has written it; put the right one back")
	}
	return m, protocol.Sum(b), err
}

func mismatch(key, by string) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s has not the hash that %s has of it: %w: %w", key, by, stream.ErrLost, stream.ErrPermanent),
		"it was changed after it was committed; put its first version back")
}

// Get opens an immutable object of the ledger. Its last Read fails if the bytes have not the hash of ref.
func (l *Ledger) Get(ctx context.Context, ref stream.BlobRef) (io.ReadCloser, error) {
	var r io.ReadCloser
	err := l.again(ctx, "read_state", ref.Name, false, func(context.Context) (err error) {
		r, _, err = l.o.Store.Get(ctx, ref.Name, 0, -1) // the caller's context: it covers reading
		if errors.Is(err, store.ErrNotFound) {
			return stream.WithNext(
				fmt.Errorf("ledger: %s is missing, and the head names it: %w: %w", ref.Name, stream.ErrLost, stream.ErrPermanent),
				"put it back from the store's versions or a backup; starting from empty state would give wrong rows")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &checked{r, sha256.New(), ref}, nil
}

// checked gives up at the end of an object that is not what it should be.
type checked struct {
	io.ReadCloser
	sum hash.Hash
	ref stream.BlobRef
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.sum.Sum(nil)) != c.ref.SHA256 {
		err = stream.WithNext(
			fmt.Errorf("ledger: %s has not the hash that the head has of it: %w: %w", c.ref.Name, stream.ErrLost, stream.ErrPermanent),
			"it was changed after it was written; put its first version back")
	}
	return n, err
}
