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

// encodeOverhead is what encoding a row group takes besides its rows: pages of a column, a compressor, dictionaries.
const encodeOverhead = 4 << 20

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
	parts   int64 // of mem, what the upload holds
	evicted bool

	stamp atomic.Int64 // pool's clock at the last write
	mem   atomic.Int64 // counted in the budget
	plain atomic.Int64 // of mem, rows that are not encoded

	// Of the pool, under its mu.
	leaving int64 // what closing it is expected to give back
	easing  int64 // what ending its row group is expected to give back; 0: it is not being ended
	easedAt int64 // stamp when that was last done
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
	n, err := f.staged.Write(p)
	f.countParts()
	return n, err
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
	plain := f.enc.Buffered()
	mem, size := fileOverhead+plain, f.enc.Written()+plain
	if f.staged != nil {
		f.parts = f.staged.Buffered()
		mem += f.parts
	}
	f.plain.Store(plain)
	grown = mem - f.mem.Swap(mem)
	f.s.deps.Pool.reserve(grown)
	f.w.size.Add(size - f.size)
	f.size = size
	return grown
}

// countParts is count for the upload alone, while the encoder is at work.
func (f *file) countParts() {
	n := f.staged.Buffered()
	f.mem.Add(n - f.parts)
	f.s.deps.Pool.reserve(n - f.parts)
	f.parts = n
}

// release gives back what the file still counts.
func (f *file) release() {
	f.enc = nil
	f.s.deps.Pool.reserve(-f.mem.Swap(0))
}

// encode runs do when fewer than one encoder a core are at work, and counts what it needs meanwhile.
func (f *file) encode(ctx context.Context, do func() error) error {
	select {
	case f.s.encoding <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	f.s.deps.Pool.reserve(encodeOverhead)
	defer func() {
		f.s.deps.Pool.reserve(-encodeOverhead)
		<-f.s.encoding
	}()
	return do()
}

// flush ends the file's row group, unless the file has been taken meanwhile: then there is nothing to be done.
func (f *file) flush(ctx context.Context) error {
	return f.encode(ctx, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.taken {
			return nil
		}
		err := f.enc.Flush()
		f.count()
		if err != nil {
			return fmt.Errorf("sink %s: %s: %w", f.s.cfg.Ref.Name, f.key, err)
		}
		return nil
	})
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
	var rows int64
	err := f.encode(ctx, func() (err error) {
		if rows, err = f.enc.Close(meta); err != nil {
			err = fmt.Errorf("sink %s: %s: %w", f.s.cfg.Ref.Name, f.key, err)
		}
		f.count()
		return err
	})
	if err != nil {
		return err
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
