package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/stream"
	"golang.org/x/sys/unix"
)

// staging is where uploads and half-written objects live, below the location. No listing shows it.
const staging = "_millrace/staging"

// fileStore is a folder. Any number of processes of one host may use it at once.
type fileStore struct {
	root    string // absolute, without "/" at its end
	anchor  string // the part of root that was there at Open
	metrics *Metrics
	log     *slog.Logger
	turns   *turns
	noAttrs bool // tests: as if the file system had no attributes

	mu    sync.Mutex
	known map[string]bool // folders that are durable
}

var _ Client = (*fileStore)(nil)

func openFile(root string, o Options) (Client, error) {
	anchor := root
	for {
		st, err := os.Stat(anchor)
		if err == nil && !st.IsDir() {
			return nil, fmt.Errorf("store: %s: %w: %s is not a folder", root, stream.ErrPermanent, anchor)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fileFault("open", anchor, err)
		}
		anchor = filepath.Dir(anchor)
	}
	kind, err := networkFS(anchor)
	if err != nil {
		return nil, fileFault("open", anchor, err)
	}
	if kind != "" {
		return nil, stream.WithNext(fmt.Errorf("store: %s: %w: it is on a network file system (%s), where locks and renames "+
			"do not hold between hosts", root, stream.ErrPermanent, kind), "use a folder on a local disk, or s3://bucket/prefix/")
	}
	return &fileStore{root: strings.TrimSuffix(root, "/"), anchor: anchor, metrics: o.Metrics, log: o.Log,
		turns: newTurns(), known: map[string]bool{}}, nil
}

func (s *fileStore) Location() string { return s.root + "/" }

// path is the file of a key.
func (s *fileStore) path(op, key string) (string, error) {
	if err := checkKey(op, key); err != nil {
		return "", err
	}
	if key == staging || strings.HasPrefix(key, staging+"/") {
		return "", fmt.Errorf("store: %s %q: %w: the key is in the store's own folder", op, key, stream.ErrPermanent)
	}
	return s.root + "/" + key, nil
}

// etagOf tells versions of a file apart. Every writer gives a new version a later time than the one it replaces, so a tag
// never comes back, and no content has to be read for it.
func etagOf(st fs.FileInfo) string {
	return `"` + strconv.FormatInt(st.ModTime().UnixNano(), 16) + "-" + strconv.FormatInt(st.Size(), 16) + `"`
}

func (s *fileStore) Get(ctx context.Context, key string, off, n int64) (r io.ReadCloser, o Object, err error) {
	defer s.metrics.seen("get", time.Now(), &err)
	f, o, err := s.open(ctx, "get", key)
	if err != nil {
		return nil, Object{}, err
	}
	if off < 0 || off > o.Size || (off == o.Size && off > 0) {
		_ = f.Close()
		return nil, Object{}, outOfRange(f.Name(), off, o.Size)
	}
	if n < 0 || n > o.Size-off {
		n = o.Size - off
	}
	return &section{io.NewSectionReader(f, off, n), f}, o, nil
}

func outOfRange(what string, off, size int64) error {
	return fmt.Errorf("store: get %s: %w: it has %d bytes and was to be read from byte %d", what, stream.ErrPermanent, size, off)
}

type section struct {
	io.Reader
	io.Closer
}

func (s *fileStore) Head(ctx context.Context, key string) (o Object, err error) {
	defer s.metrics.seen("head", time.Now(), &err)
	f, o, err := s.open(ctx, "head", key)
	if err != nil {
		return Object{}, err
	}
	_ = f.Close()
	return o, nil
}

// open opens a version of a key that is durable. Versions are replaced by rename, never changed, so it stays as it is.
func (s *fileStore) open(ctx context.Context, op, key string) (*os.File, Object, error) {
	path, err := s.path(op, key)
	if err != nil {
		return nil, Object{}, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // a key of ours; a named pipe must not block
	if errors.Is(err, unix.ENOTDIR) {
		err = fs.ErrNotExist // "a" is a file, "a/b" was asked for
	}
	if err != nil {
		return nil, Object{}, fileFault(op, path, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = s.settle(ctx, filepath.Dir(path), st.ModTime())
	}
	if err != nil {
		_ = f.Close()
		return nil, Object{}, fileFault(op, path, err)
	}
	o := Object{Key: key, Size: st.Size(), ETag: etagOf(st), Modified: st.ModTime()}
	n := s.note(f, key, o.ETag)
	o.Meta, o.CRC64NVME = n.Meta, n.CRC
	return f, o, nil
}

func (s *fileStore) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		start := time.Now()
		var err error
		dir := ""
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i+1]
			err = checkKey("list", prefix[:i])
		}
		if err == nil && strings.ContainsRune(prefix, 0) {
			err = checkKey("list", prefix)
		}
		more := true
		if err == nil {
			more, err = s.walk(ctx, dir, prefix, after, yield)
		}
		s.metrics.seen("list", start, &err)
		if err != nil && more {
			yield(Object{}, err)
		}
	}
}

// walk yields what is in dir ("" or ending in "/"), and below. It tells whether the caller wants more.
func (s *fileStore) walk(ctx context.Context, dir, prefix, after string, yield func(Object, error) bool) (bool, error) {
	if dir == staging+"/" {
		return true, nil
	}
	if err := ctx.Err(); err != nil {
		return true, err
	}
	path := s.root + "/" + strings.TrimSuffix(dir, "/")
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return true, nil
	}
	if err != nil {
		return true, fileFault("list", path, err)
	}
	names := make([]string, 0, len(entries))
	var young time.Time
	infos := make(map[string]fs.FileInfo, len(entries))
	for _, e := range entries {
		name := dir + e.Name()
		if e.IsDir() {
			name += "/"
		}
		if !overlaps(name, prefix) || (name <= after && !(e.IsDir() && strings.HasPrefix(after, name))) {
			continue
		}
		if !e.IsDir() {
			st, err := os.Stat(path + "/" + e.Name()) // follows links to files, not to folders: those may go in circles
			if errors.Is(err, fs.ErrNotExist) || (err == nil && !st.Mode().IsRegular()) {
				continue
			}
			if err != nil {
				return true, fileFault("list", path, err)
			}
			infos[name] = st
			if st.ModTime().After(young) {
				young = st.ModTime()
			}
		}
		names = append(names, name)
	}
	if len(infos) > 0 {
		if err := s.settle(ctx, path, young); err != nil {
			return true, fileFault("list", path, err)
		}
	}
	slices.Sort(names) // folders count with their "/", as in the order of keys
	for _, name := range names {
		st := infos[name]
		if st == nil {
			if more, err := s.walk(ctx, name, prefix, after, yield); err != nil || !more {
				return more, err
			}
		} else if !yield(Object{Key: name, Size: st.Size(), ETag: etagOf(st), Modified: st.ModTime()}, nil) {
			return false, nil
		}
	}
	return true, nil
}

// overlaps tells whether name, a file or a folder with "/", has prefix or may hold names that have it.
func overlaps(name, prefix string) bool {
	return strings.HasPrefix(name, prefix) || (strings.HasSuffix(name, "/") && strings.HasPrefix(prefix, name))
}
