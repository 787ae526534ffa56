package store

import (
	"context"
	"errors"
	"hash/maphash"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The locks of a folder store are flocks of the folders themselves: there are no lock files to create, to leave behind or
// to lack permission for. Each holder has a descriptor of its own, so they hold between goroutines as between processes,
// and the kernel drops them when a process dies.

const (
	lockLeast = 50 * time.Microsecond
	lockMost  = 10 * time.Millisecond
	// settleAge is how long after its writing an object may still be in the kernel's memory only. Kernels write back after
	// 30 s; this is generous.
	settleAge = 2 * time.Minute
)

// lock takes the flock of path, shared or exclusive, and returns the file that holds it; closing lets go. It never blocks
// in the kernel, so that ctx counts. Who waited may hold a name that was removed meanwhile: then it starts over, and gets
// fs.ErrNotExist if the name is gone.
func lock(ctx context.Context, path string, how int) (*os.File, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, err := os.Open(path) //nolint:gosec // below the location, see checkKey
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f, how); err != nil {
			_ = f.Close()
			return nil, err
		}
		mine, err := f.Stat()
		if err == nil {
			var there fs.FileInfo
			if there, err = os.Stat(path); err == nil && os.SameFile(mine, there) {
				return f, nil
			}
		}
		_ = f.Close()
		if err != nil {
			return nil, err
		}
	}
}

func flock(ctx context.Context, f *os.File, how int) error {
	for wait := lockLeast; ; wait = min(2*wait, lockMost) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil || (!errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR)) {
			return err
		}
		t := time.NewTimer(wait/2 + rand.N(wait)) //nolint:gosec // jitter
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// turns queues the goroutines of one process before they compete for a folder's flock with others, which polls.
type turns struct {
	seed  maphash.Seed
	slots [64]chan struct{}
}

func newTurns() *turns {
	t := &turns{seed: maphash.MakeSeed()}
	for i := range t.slots {
		t.slots[i] = make(chan struct{}, 1)
	}
	return t
}

// exclusive holds folder dir against every other writer and reader. The folder is created when missing.
func (s *fileStore) exclusive(ctx context.Context, dir string) (held *os.File, unlock func(), err error) {
	slot := s.turns.slots[maphash.String(s.turns.seed, dir)%uint64(len(s.turns.slots))]
	select {
	case slot <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	for {
		if err = s.mkdirs(dir); err != nil {
			break
		}
		if held, err = lock(ctx, dir, unix.LOCK_EX); err == nil {
			return held, func() { _ = held.Close(); <-slot }, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		s.forget(dir) // removed as empty by another writer
	}
	<-slot
	return nil, nil, err
}

// settle returns once what a reader saw in dir is durable: a writer that is between rename and fsync holds the lock, and
// what a writer that was killed there left behind is synced now. Without it a reader could act on a state that a power cut
// takes back.
func (s *fileStore) settle(ctx context.Context, dir string, modified time.Time) error {
	f, err := lock(ctx, dir, unix.LOCK_SH)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	if time.Since(modified) > settleAge {
		return nil
	}
	return syncDir(f)
}

// syncDir makes the entries of a folder durable. Read-only file systems have nothing to sync, and say so with an error.
func syncDir(f *os.File) error {
	if err := f.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EROFS) {
		return err
	}
	return nil
}

// mkdirs creates dir and everything above it down from the root of the file system, durably. Folders that this process has
// seen durable are remembered.
func (s *fileStore) mkdirs(dir string) error {
	s.mu.Lock()
	known := s.known[dir]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // tables are read by others
		return err
	}
	for d := dir; len(d) > len(s.anchor); d = filepath.Dir(d) {
		f, err := os.Open(filepath.Dir(d))
		if err != nil {
			return err
		}
		err = syncDir(f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= 4096 {
		clear(s.known) // bounds the memory; they are learned again
	}
	s.known[dir] = true
	return nil
}

func (s *fileStore) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, dir)
}
