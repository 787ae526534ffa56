package store

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors that callers decide by. Others carry a class of package stream (unavailable, denied, full).
var (
	// ErrNotFound: no such key.
	ErrNotFound = errors.New("no such object")
	// ErrPrecondition: the condition did not hold. It is no proof: the caller's own earlier try may have landed.
	ErrPrecondition = errors.New("precondition failed")
	// ErrNoUpload: no such multipart upload: completed or aborted.
	ErrNoUpload = errors.New("no such upload")
)

// Cond is the condition of a Put. The zero value is none.
type Cond struct {
	IfMatch string // ETag that must be there
	IfNone  bool   // nothing may be there
}

// Object is what a store knows of a key.
type Object struct {
	Key       string
	Size      int64
	ETag      string
	Modified  time.Time
	Meta      map[string]string // Get and Head only; keys in lower case
	CRC64NVME string            // Head only, if the store knows it: base64 of the big-endian checksum of the whole object
}

// Store reads and writes whole objects. Every method is one request, tried once: repeating is the caller's business, as only
// it knows what an unknown outcome means.
type Store interface {
	// Get reads n bytes from off; n < 0: to the end.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error)
	// Put writes an object atomically and durably, and returns its ETag.
	Put(ctx context.Context, key string, body []byte, c Cond) (etag string, err error)
	Head(ctx context.Context, key string) (Object, error)
	// List yields keys with prefix, in order of their bytes, after the key `after`.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	// Delete removes a key; one that is not there is no error.
	Delete(ctx context.Context, key string) error
}

// Part is an uploaded part of an object.
type Part struct {
	N         int32 // from 1
	ETag      string
	Size      int64
	CRC64NVME string // base64; Complete wants it again. Empty from Parts: the store does not tell
}

// Upload is an object in the making, invisible to readers.
type Upload struct {
	Key, ID string
	Started time.Time
}

// Multipart makes objects that stay invisible until completed.
type Multipart interface {
	Create(ctx context.Context, key string, meta map[string]string) (id string, err error)
	// Part uploads part n; the same n again replaces it. Every part but the last has at least MinPart bytes.
	Part(ctx context.Context, key, id string, n int32, body []byte) (Part, error)
	// Complete makes the object visible. Completing again may succeed or answer ErrNoUpload.
	Complete(ctx context.Context, key, id string, parts []Part) error
	// Abort drops the upload; one that is gone is ErrNoUpload.
	Abort(ctx context.Context, key, id string) error
}

// Pending shows uploads that are neither completed nor aborted.
type Pending interface {
	Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]
	// Parts lists what has arrived of an upload, in order of N.
	Parts(ctx context.Context, key, id string) ([]Part, error)
}

// Client is a location in a store.
type Client interface {
	Store
	Multipart
	Pending
	// Location is the canonical name, ending in "/": s3://bucket/prefix/ or /abs/folder/.
	Location() string
}

// MinPart is the least size of every part but the last (S3's own limit).
const MinPart = 5 << 20
