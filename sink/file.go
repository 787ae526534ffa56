package sink

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/stream"
)

// fileOverhead is the memory of an open file besides rows and parts: this struct, the encoder, an upload's state.
const fileOverhead = 2 << 10

// txnKey is the footer's key for the transaction; Seal's own entries come beside it.
const txnKey = "millrace.transaction"

// file is one data file on its way: open, then closing, then sealed or failed.
//
// While it is open its writer's lane appends to it under mu. Who takes it (the lane, or whoever finds it cold) owns it
// from then on, and hands it to the sink's closer.
type file struct {
	s    *Sink
	w    *writer
	slot *slot
	key  string
	n    int

	mu    sync.Mutex
	taken bool

	// Of the owner: the lane under mu while the file is open, afterwards the worker that closes it.
	enc     stream.Encoder
	staged  stream.Staged
	meta    map[string]string // footer given by Seal; nil: closed early
	ref     *stream.StagedRef
	rows    int64
	size    int64
	leaving int64
	evicted bool

	stamp atomic.Int64 // pool's clock at the last write
	mem   atomic.Int64 // counted in the budget
}

// Write stages the file when its first bytes leave, so that an open file costs the store nothing. It is the encoder's
// writer.
func (f *file) Write(p []byte) (int, error) {
	if f.staged == nil {
		st, err := f.s.deps.Uploads.Stage(f.w.ctx, f.key, stream.UploadMeta{Txn: f.w.id})
		if err != nil {
			return 0, err
		}
		f.staged = st
	}
	return f.staged.Write(p)
}

// take marks the file as closing, unless it is that already or is being written to.
func (f *file) take() bool {
	if !f.mu.TryLock() {
		return false
	}
	defer f.mu.Unlock()
	if f.taken {
		return false
	}
	f.taken = true
	return true
}

// append writes the selected rows of b and returns the file's size so far, unless the file has been taken.
func (f *file) append(b *stream.Batch) (size int64, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken {
		return 0, false, nil
	}
	err = f.enc.Write(b)
	if grown := f.count(); grown > 0 {
		f.s.deps.Pool.clock.Add(grown)
	}
	f.stamp.Store(f.s.deps.Pool.clock.Load())
	return f.size, true, err
}

// count brings the budget, and the transaction's size, up to date with what the file holds.
func (f *file) count() (grown int64) {
	mem, size := int64(fileOverhead), f.enc.Written()+f.enc.Buffered()
	mem += f.enc.Buffered()
	if f.staged != nil {
		mem += f.staged.Buffered()
	}
	grown = mem - f.mem.Swap(mem)
	f.s.deps.Pool.reserve(grown)
	f.w.size.Add(size - f.size)
	f.size = size
	return grown
}

// release gives back what the file still counts.
func (f *file) release() {
	f.enc = nil
	f.s.deps.Pool.reserve(-f.mem.Swap(0))
}

// close encodes the rest, uploads it and drops the encoder. It runs on a worker of the sink's closer.
func (f *file) close(ctx context.Context) error {
	meta := map[string]string{txnKey: f.w.id.String()}
	switch {
	case f.meta != nil:
		maps.Copy(meta, f.meta)
	case f.s.deps.Footer != nil:
		maps.Copy(meta, f.s.deps.Footer(f.w.id))
	}
	select {
	case f.s.encoding <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	rows, err := f.enc.Close(meta)
	f.count()
	<-f.s.encoding
	if err != nil {
		return fmt.Errorf("sink %s: %s: %w", f.s.cfg.Ref.Name, f.key, err)
	}
	ref, err := f.staged.Seal(ctx)
	if err != nil {
		return fmt.Errorf("sink %s: upload %s: %w", f.s.cfg.Ref.Name, f.key, err)
	}
	f.ref, f.rows = &ref, rows
	if written := f.size; ref.Bytes != written {
		return fmt.Errorf("sink %s: %s: %d bytes were written and %d uploaded: %w", f.s.cfg.Ref.Name, f.key, written, ref.Bytes, stream.ErrUnavailable)
	}
	return nil
}

func (f *file) entry() stream.File {
	return stream.File{Table: f.s.cfg.Ref.Name, Key: f.key, Partition: f.slot.values, Bytes: f.ref.Bytes, Rows: f.rows, Upload: *f.ref}
}

func fileKey(folder string, id stream.TxnID, n int) string {
	name := id.String() + "-" + strconv.Itoa(n) + ".parquet"
	if folder == "" {
		return name
	}
	return folder + "/" + name
}
