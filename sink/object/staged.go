package object

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

const (
	firstPart   = store.MinPart
	doubleAfter = 1000 // parts
	maxParts    = 10_000
	// Waits between tries of a request: 0.1 s, doubling up to 5 s, half of it by chance.
	waitLeast, waitMost = 100 * time.Millisecond, 5 * time.Second
)

// partSize is the size of part n.
func partSize(n int32) int { return firstPart << ((n - 1) / doubleAfter) }

// staged is a file being uploaded. Write, Seal and Abort are called by one goroutine; at most one other sends a part.
type staged struct {
	u      *Uploads
	key    string
	txn    string
	ctx    context.Context //nolint:containedctx // of the whole life of the file, as the contract says
	cancel context.CancelFunc

	buf  []byte // the part being filled
	next int32  // its number
	size int64
	crc  uint64
	held atomic.Int64 // capacity of buf and of the part on its way

	sending sync.WaitGroup
	mu      sync.Mutex // of what the sender writes
	id      string
	started time.Time
	parts   []stream.PartRef
	err     error
	ended   bool
}

// Stage begins a file. Nothing is sent before the first part is full, or the file is sealed.
func (u *Uploads) Stage(ctx context.Context, key string, m stream.UploadMeta) (stream.Staged, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("object: stage %s: %w", key, err)
	}
	s := &staged{u: u, key: key, txn: m.Txn.String(), next: 1}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s, nil
}

// Buffered is the memory that the file's parts take, exactly: the capacity of the buffers.
func (s *staged) Buffered() int64 { return s.held.Load() }

// Write takes p over into the part being filled. When that is full it is sent, as soon as the one before it has arrived.
func (s *staged) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		room := partSize(s.next) - len(s.buf)
		if room == 0 {
			if err := s.send(s.ctx); err != nil {
				return n - len(p), err
			}
			continue
		}
		if len(p) < room {
			room = len(p)
		}
		s.grow(len(s.buf) + room)
		s.buf = append(s.buf, p[:room]...)
		s.crc = store.CRC64NVME(s.crc, p[:room])
		s.size += int64(room)
		p = p[room:]
	}
	return n, nil
}

// grow makes room for n bytes, in steps that double, so that a thousand small files do not hold a thousand whole parts.
func (s *staged) grow(n int) {
	if n <= cap(s.buf) {
		return
	}
	b := s.u.o.Gate.take(min(max(n, 2*cap(s.buf)), partSize(s.next)))
	s.held.Add(int64(cap(b) - cap(s.buf)))
	b = append(b, s.buf...)
	s.u.o.Gate.give(s.buf)
	s.buf = b
}

// send waits for the part on its way and sends the one that was being filled.
func (s *staged) send(ctx context.Context) error {
	s.sending.Wait()
	if err := s.failed(); err != nil {
		return err
	}
	if s.next > maxParts {
		return stream.WithNext(fmt.Errorf("object: %s: %w: a file has at most %d parts", s.key, stream.ErrPermanent, maxParts), "set a smaller file size")
	}
	body, n := s.buf, s.next
	s.buf, s.next = nil, s.next+1
	s.sending.Go(func() {
		defer func() {
			s.held.Add(-int64(cap(body)))
			s.u.o.Gate.give(body)
		}()
		if err := s.part(ctx, n, body); err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
	})
	return nil
}

func (s *staged) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// part uploads one part, and begins the upload before the first.
func (s *staged) part(ctx context.Context, n int32, body []byte) error {
	if n == 1 {
		err := s.u.persist(ctx, "begin", s.key, func() error {
			started := time.Now() // before the store's own idea of it
			id, err := s.u.c.Create(ctx, s.key, map[string]string{txnMeta: s.txn})
			if err == nil {
				s.mu.Lock()
				s.id, s.started = id, started
				s.mu.Unlock()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.u.persist(ctx, "upload", s.key, func() error {
		p, err := s.u.c.Part(ctx, s.key, s.id, n, body)
		if err == nil {
			s.mu.Lock()
			s.parts = append(s.parts, stream.PartRef{N: p.N, ETag: p.ETag, Size: p.Size, CRC64NVME: p.CRC64NVME})
			s.mu.Unlock()
		}
		return err
	})
}

// persist repeats a request while the store is unavailable, with growing waits, until patience is over.
func (u *Uploads) persist(ctx context.Context, op, key string, do func() error) error {
	begin := time.Now()
	for wait := waitLeast; ; wait = min(2*wait, waitMost) {
		err := u.o.Gate.pass(ctx, do) // which is left while waiting: another store may be well
		if err == nil {
			return nil
		}
		err = u.fault(op, key, err)
		if !errors.Is(err, stream.ErrUnavailable) || ctx.Err() != nil || time.Since(begin) > u.o.Patience {
			return err
		}
		u.o.Log.Warn("store is unavailable, will retry", "path", u.c.Location()+key, "operation", op, "in", wait, "err", err, "next", stream.Next(err))
		t := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // jitter
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// Seal sends the rest, waits until all of it has arrived, and checks the store's answers against what was written. With an
// error the file cannot be used: Abort.
func (s *staged) Seal(ctx context.Context) (stream.StagedRef, error) {
	if s.ended {
		return stream.StagedRef{}, fmt.Errorf("object: seal %s: %w: it was sealed or aborted before", s.key, stream.ErrPermanent)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.ctx, stop)()
	defer context.AfterFunc(ctx, s.cancel)() // ends the part on its way, too
	var err error
	if len(s.buf) > 0 || s.next == 1 { // an empty file has one part without bytes
		err = s.send(ctx)
	}
	s.sending.Wait()
	if err == nil {
		err = s.failed()
	}
	if err != nil {
		return stream.StagedRef{}, err
	}
	s.ended = true
	s.cancel()
	r := stream.StagedRef{Key: s.key, UploadID: s.id, Parts: s.parts, Bytes: s.size, CRC64NVME: store.EncodeCRC(s.crc), Txn: s.txn,
		Started: stream.Micros(s.started.UnixMicro())}
	var arrived int64
	for i, p := range r.Parts {
		if p.N != int32(i+1) { //nolint:gosec // at most maxParts
			return r, fmt.Errorf("object: seal %s: %w: part %d stands at place %d", s.key, stream.ErrPermanent, p.N, i+1)
		}
		arrived += p.Size
	}
	if crc, ok := wholeCRC(r.Parts); arrived != r.Bytes || (ok && crc != r.CRC64NVME) {
		return r, stream.WithNext(fmt.Errorf("object: seal %s: %w: %d bytes with checksum %s were written, %d with %s have arrived",
			s.key, stream.ErrUnavailable, r.Bytes, r.CRC64NVME, arrived, crc), "if it comes again, check this machine's memory")
	}
	return r, nil
}

// Abort drops the upload. An answer that was lost at its beginning leaves an upload that only garbage collection finds.
func (s *staged) Abort(ctx context.Context) error {
	s.ended = true
	s.cancel()
	s.sending.Wait()
	s.held.Add(-int64(cap(s.buf)))
	s.u.o.Gate.give(s.buf)
	s.buf = nil
	if s.id == "" {
		return nil
	}
	return s.u.Discard(ctx, stream.StagedRef{Key: s.key, UploadID: s.id})
}
