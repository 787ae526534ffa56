package store

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// leftover is the age at which what a crash left half-written in the staging folder is swept away.
const leftover = 24 * time.Hour

func (s *fileStore) Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		start := time.Now()
		ups, err := s.uploads(ctx, prefix)
		s.metrics.seen("list_uploads", start, &err)
		if err != nil {
			yield(Upload{}, err)
			return
		}
		for _, u := range ups {
			if !yield(u, nil) {
				return
			}
		}
	}
}

func (s *fileStore) uploads(ctx context.Context, prefix string) ([]Upload, error) {
	dir := s.root + "/" + staging
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileFault("list uploads", dir, err)
	}
	var ups []Upload
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		path := filepath.Join(dir, e.Name())
		id, isLog := strings.CutSuffix(e.Name(), ".log")
		if isLog {
			b, err := os.ReadFile(path) //nolint:gosec // in the staging folder
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fileFault("list uploads", path, err)
			}
			var u upload
			if u.read(b) {
				if strings.HasPrefix(u.head.Key, prefix) {
					ups = append(ups, Upload{Key: u.head.Key, ID: id, Started: time.Unix(0, u.head.Started)})
				}
				continue
			}
		}
		if isLog || strings.HasSuffix(e.Name(), ".tmp") {
			s.sweep(path, e)
		}
	}
	slices.SortFunc(ups, func(a, b Upload) int { return cmp.Or(cmp.Compare(a.Key, b.Key), a.Started.Compare(b.Started)) })
	return ups, nil
}

// sweep removes what no process can be writing any more.
func (s *fileStore) sweep(path string, e fs.DirEntry) {
	st, err := e.Info()
	if err != nil || time.Since(st.ModTime()) < leftover {
		return
	}
	if err := os.Remove(path); err == nil {
		s.log.Info("removed what a crash left behind", "path", path)
	}
	if data, ok := strings.CutSuffix(path, ".log"); ok {
		_ = os.Remove(data + ".data")
	}
}

func (s *fileStore) Parts(ctx context.Context, key, id string) (parts []Part, err error) {
	defer s.metrics.seen("list_parts", time.Now(), &err)
	u, err := s.begin(ctx, "list parts", key, id)
	if err != nil {
		return nil, err
	}
	defer u.log.Close() // only read
	for _, p := range u.parts {
		if l, _ := u.latest(p.N); l.Off == p.Off {
			parts = append(parts, Part{N: p.N, ETag: p.ETag, Size: p.Size, CRC64NVME: EncodeCRC(p.CRC)})
		}
	}
	slices.SortFunc(parts, func(a, b Part) int { return cmp.Compare(a.N, b.N) })
	return parts, nil
}
