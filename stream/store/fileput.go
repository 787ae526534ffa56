package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Put writes the body to a file of its own first and renames it into place while it holds the folder: the condition is
// looked at and the name changes as one act, for goroutines and processes alike. It returns when a power cut cannot undo it.
func (s *fileStore) Put(ctx context.Context, key string, body []byte, c Cond) (etag string, err error) {
	defer s.metrics.seen("put", time.Now(), &err)
	path, err := s.path("put", key)
	if err != nil {
		return "", err
	}
	if _, err := s.allowed(path, c); err != nil { // spares losers the writing; looked at again below
		return "", err
	}
	tmp, err := s.temp(body)
	if err != nil {
		return "", fileFault("put", path, err)
	}
	defer os.Remove(tmp) // gone if it was renamed
	dir, unlock, err := s.exclusive(ctx, filepath.Dir(path))
	if err != nil {
		return "", fileFault("put", path, err)
	}
	defer unlock()
	old, err := s.allowed(path, c)
	if err != nil {
		return "", err
	}
	st, err := later(tmp, old)
	if err != nil {
		return "", fileFault("put", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fileFault("put", path, err)
	}
	if err := syncDir(dir); err != nil {
		return "", fileFault("put", path, err)
	}
	return etagOf(st), nil
}

// allowed checks a condition and returns the file that is there now, or nil.
func (s *fileStore) allowed(path string, c Cond) (fs.FileInfo, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR):
		if c.IfMatch != "" {
			return nil, fmt.Errorf("store: put %s: %w: %w", path, ErrPrecondition, ErrNotFound)
		}
		return nil, nil
	case err != nil:
		return nil, fileFault("put", path, err)
	case st.IsDir():
		return nil, fileFault("put", path, unix.EISDIR)
	case c.IfNone || (c.IfMatch != "" && c.IfMatch != etagOf(st)):
		return nil, fmt.Errorf("store: put %s: %w", path, ErrPrecondition)
	}
	return st, nil
}

// temp writes b durably to a nameless object.
func (s *fileStore) temp(b []byte) (string, error) {
	dir := s.root + "/" + staging
	if err := s.mkdirs(dir); err != nil {
		return "", err
	}
	name := dir + "/" + rand.Text() + ".tmp"
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // tables are read by others
	if errors.Is(err, fs.ErrNotExist) {
		s.forget(dir) // somebody cleaned up by hand
		if err = s.mkdirs(dir); err == nil {
			f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as above
		}
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err == nil {
		err = os.Chtimes(name, time.Time{}, time.Now()) // the kernel's own time is coarser
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(name)
		return "", err
	}
	return name, nil
}

// later makes sure that the file at path is newer than old, in steps as coarse as the file system needs.
func later(path string, old fs.FileInfo) (fs.FileInfo, error) {
	st, err := os.Stat(path)
	if err != nil || old == nil || st.ModTime().After(old.ModTime()) {
		return st, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // synced before
	for _, step := range []time.Duration{1, time.Microsecond, time.Millisecond, time.Second, 3 * time.Second} {
		if err := os.Chtimes(path, time.Time{}, old.ModTime().Add(step)); err != nil {
			return nil, err
		}
		if st, err = f.Stat(); err != nil || st.ModTime().After(old.ModTime()) {
			break
		}
	}
	if err == nil && !st.ModTime().After(old.ModTime()) {
		err = fmt.Errorf("the file system keeps no usable time of files: %w", unix.EINVAL)
	}
	if err == nil {
		err = f.Sync()
	}
	return st, err
}

func (s *fileStore) Delete(ctx context.Context, key string) (err error) {
	defer s.metrics.seen("delete", time.Now(), &err)
	path, err := s.path("delete", key)
	if err != nil {
		return err
	}
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || (err == nil && st.IsDir()) {
		return nil
	}
	if err != nil {
		return fileFault("delete", path, err)
	}
	dir, unlock, err := s.exclusive(ctx, filepath.Dir(path))
	if err != nil {
		return fileFault("delete", path, err)
	}
	err = unix.Unlink(path) // and never a folder, as os.Remove would
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = syncDir(dir)
	}
	unlock()
	if err != nil {
		return fileFault("delete", path, err)
	}
	_ = os.Remove(s.sidecar(key))
	s.prune(filepath.Dir(path))
	return nil
}

// prune removes folders that have become empty, up to the location. Whoever waits for the lock of one finds it gone and
// creates it again; one that is held stays.
func (s *fileStore) prune(dir string) {
	for ; len(dir) > len(s.root); dir = filepath.Dir(dir) {
		f, err := os.Open(dir)
		if err != nil {
			return
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			s.forget(dir)
			err = unix.Rmdir(dir)
		} else {
			err = unix.EBUSY
		}
		_ = f.Close()
		if err != nil {
			return
		}
	}
}
