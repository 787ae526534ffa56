package object

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// txnMeta is the metadata of an object that names the transaction that made it.
const txnMeta = "millrace-txn"

// listAfter is the age from which Verify asks the store what it still has: nothing of ours is aborted before.
const listAfter = time.Hour

// Options for Uploads; the zero value will do.
type Options struct {
	// Gate bounds the parts being sent at a time; one is shared by all tables of a process. nil: one of its own, of 32.
	Gate *Gate
	// Patience is how long a part is tried again before the file is given up; 0: a minute. The lane then reads again.
	Patience time.Duration
	// AbortAge is the age at which the store aborts uploads (store.ProbeResult has it); 0: 24 hours. Verify refuses uploads
	// that are older than half of it, so that the other half is left for publishing.
	AbortAge time.Duration
	Log      *slog.Logger
}

// Uploads implements stream.Uploads on a store.
type Uploads struct {
	c store.Client
	o Options
}

var _ stream.Uploads = (*Uploads)(nil)

// New returns the uploads of the table at c's location. It is safe for concurrent use.
func New(c store.Client, o Options) *Uploads {
	if o.Gate == nil {
		o.Gate = NewGate(32)
	}
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	if o.AbortAge == 0 {
		o.AbortAge = 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Uploads{c, o}
}

// Verify compares what the reference says with itself, and, if the upload is older than an hour, with what the store has.
// stream.ErrNoUpload: it is gone, or changed, or too old to be committed; throw the transaction away and read again.
func (u *Uploads) Verify(ctx context.Context, r stream.StagedRef) error {
	var size int64
	for _, p := range r.Parts {
		size += p.Size
	}
	if crc, ok := wholeCRC(r.Parts); size != r.Bytes || (ok && crc != r.CRC64NVME) {
		return fmt.Errorf("object: verify %s: %w: its parts do not add up to %d bytes with checksum %s", r.Key, stream.ErrUnavailable, r.Bytes, r.CRC64NVME)
	}
	age := time.Since(time.UnixMicro(int64(r.Started)))
	if age < listAfter {
		return nil
	}
	if age > u.o.AbortAge/2 {
		return stream.WithNext(fmt.Errorf("object: verify %s: %w: it was begun %s ago and the store may abort it %s after its beginning",
			r.Key, stream.ErrNoUpload, age.Round(time.Second), u.o.AbortAge), "commit more often")
	}
	parts, err := u.c.Parts(ctx, r.Key, r.UploadID)
	if err != nil {
		return u.fault("verify", r.Key, err)
	}
	if !sameParts(parts, r.Parts) {
		return fmt.Errorf("object: verify %s: %w: the store has %d other parts", r.Key, stream.ErrNoUpload, len(parts))
	}
	return nil
}

// sameParts tells whether the store has the bytes of ours. Checksums decide where it tells them: an encrypted part that was
// sent twice, as after an answer that was lost, has another tag each time.
func sameParts(there []store.Part, ours []stream.PartRef) bool {
	return slices.EqualFunc(there, ours, func(p store.Part, q stream.PartRef) bool {
		if p.N != q.N || p.Size != q.Size {
			return false
		}
		if p.CRC64NVME != "" && q.CRC64NVME != "" {
			return p.CRC64NVME == q.CRC64NVME
		}
		return strings.Trim(p.ETag, `"`) == strings.Trim(q.ETag, `"`) // lists leave the quotes out, here and there
	})
}

// wholeCRC puts the checksums of parts together, if the store answered all of them.
func wholeCRC(parts []stream.PartRef) (string, bool) {
	var crc uint64
	for _, p := range parts {
		c, ok := store.DecodeCRC(p.CRC64NVME)
		if !ok {
			return "", false
		}
		crc = store.CombineCRC(crc, c, p.Size)
	}
	return store.EncodeCRC(crc), true
}

// Publish looks whether the object is there already, then completes the upload, without a condition. It tries once: who
// publishes backs off and repeats, on stream.ErrUnavailable without end.
func (u *Uploads) Publish(ctx context.Context, r stream.StagedRef) error {
	switch done, err := u.published(ctx, r); {
	case err != nil:
		return err
	case done:
		return nil
	}
	parts := make([]store.Part, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = store.Part{N: p.N, ETag: p.ETag, Size: p.Size, CRC64NVME: p.CRC64NVME}
	}
	err := u.c.Complete(ctx, r.Key, r.UploadID, parts)
	if errors.Is(err, stream.ErrPermanent) {
		// A part that was sent twice may have the tag of the one that came late. The same bytes will do.
		there, perr := u.c.Parts(ctx, r.Key, r.UploadID)
		if perr == nil && sameParts(there, r.Parts) {
			for i := range parts {
				parts[i].ETag = there[i].ETag
			}
			err = u.c.Complete(ctx, r.Key, r.UploadID, parts)
		}
	}
	if errors.Is(err, store.ErrNoUpload) || errors.Is(err, store.ErrPrecondition) {
		// Completed by another meanwhile, or by us with the answer lost; or somebody took the name.
		done, herr := u.published(ctx, r)
		if herr != nil {
			return herr
		}
		if done {
			return nil
		}
		if errors.Is(err, store.ErrPrecondition) { // it has just been taken away again
			return fmt.Errorf("object: publish %s: %w: %w", r.Key, stream.ErrUnavailable, err)
		}
	}
	if err != nil {
		return u.fault("publish", r.Key, err)
	}
	return nil
}

// published tells whether the object is there and is ours. Another's is stream.ErrForeign.
func (u *Uploads) published(ctx context.Context, r stream.StagedRef) (bool, error) {
	o, err := u.c.Head(ctx, r.Key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, u.fault("publish", r.Key, err)
	}
	if txn := o.Meta[txnMeta]; txn != r.Txn || o.Size != r.Bytes || (o.CRC64NVME != "" && o.CRC64NVME != r.CRC64NVME) {
		what := "no transaction id"
		if txn != "" {
			what = "transaction id " + txn
		}
		return false, stream.WithNext(fmt.Errorf("object: publish %s%s: %w: an object of %d bytes with %s is there, ours has %d bytes and id %s",
			u.c.Location(), r.Key, stream.ErrForeign, o.Size, what, r.Bytes, r.Txn),
			"find out who wrote it, then move it away; millrace never overwrites it")
	}
	return true, nil
}

// Discard drops an upload. One that is gone is dropped.
func (u *Uploads) Discard(ctx context.Context, r stream.StagedRef) error {
	err := u.c.Abort(ctx, r.Key, r.UploadID)
	if err != nil && !errors.Is(err, store.ErrNoUpload) {
		return u.fault("discard", r.Key, err)
	}
	return nil
}

// Pending lists open uploads: key, upload id and beginning; their keys say whose they are.
func (u *Uploads) Pending(ctx context.Context, prefix string) iter.Seq2[stream.StagedRef, error] {
	return func(yield func(stream.StagedRef, error) bool) {
		for p, err := range u.c.Uploads(ctx, prefix) {
			if err != nil {
				yield(stream.StagedRef{}, u.fault("list uploads below", prefix, err))
				return
			}
			if !yield(stream.StagedRef{Key: p.Key, UploadID: p.ID, Started: stream.Micros(p.Started.UnixMicro())}, nil) {
				return
			}
		}
	}
}

// fault gives what the store decides by a class that a lane can decide by.
func (u *Uploads) fault(op, key string, err error) error {
	if errors.Is(err, store.ErrNoUpload) {
		return fmt.Errorf("object: %s %s: %w: %w", op, key, stream.ErrNoUpload, err)
	}
	return fmt.Errorf("object: %s %s: %w", op, key, err)
}
