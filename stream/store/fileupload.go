package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
	"golang.org/x/sys/unix"
)

// An upload is two files in the staging folder: <id>.log, lines of JSON (what it is, then its parts as they arrived), and
// <id>.data, the parts one after the other in that order. Parts that arrived in their final order, each once, are the
// finished file, and completing is a rename; otherwise it is a copy first. The log is locked by whoever changes either.

type logHead struct {
	Key     string            `json:"key"`
	Meta    map[string]string `json:"meta,omitempty"`
	Started int64             `json:"started"` // nanoseconds since 1970
}

type logPart struct {
	N    int32  `json:"n"`
	ETag string `json:"etag"`
	Off  int64  `json:"off"`
	Size int64  `json:"size"`
	CRC  uint64 `json:"crc"`
}

// upload is an open log, locked.
type upload struct {
	log   *os.File
	data  string // path
	head  logHead
	parts []logPart
	end   int64 // of the log, without a line that a crash cut off
}

func (s *fileStore) logPath(id string) string  { return s.root + "/" + staging + "/" + id + ".log" }
func (s *fileStore) dataPath(id string) string { return s.root + "/" + staging + "/" + id + ".data" }

func (s *fileStore) Create(ctx context.Context, key string, meta map[string]string) (id string, err error) {
	defer s.metrics.seen("create_upload", time.Now(), &err)
	path, err := s.path("create upload", key)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	low := make(map[string]string, len(meta))
	for k, v := range meta {
		low[strings.ToLower(k)] = v
	}
	line, err := json.Marshal(logHead{key, low, time.Now().UnixNano()})
	if err != nil {
		return "", fileFault("create upload", path, err)
	}
	id = rand.Text()
	tmp, err := s.temp(append(line, '\n'))
	if err == nil {
		err = os.Rename(tmp, s.logPath(id))
	}
	if err == nil {
		err = os.WriteFile(s.dataPath(id), nil, 0o644) //nolint:gosec // tables are read by others
	}
	if err != nil {
		_ = os.Remove(tmp)
		_ = os.Remove(s.logPath(id))
		return "", fileFault("create upload", path, err)
	}
	return id, nil
}

// begin locks the upload and reads its log.
func (s *fileStore) begin(ctx context.Context, op, key, id string) (*upload, error) {
	path, err := s.path(op, key)
	if err != nil {
		return nil, err
	}
	gone := fmt.Errorf("store: %s %s: %w: %q", op, path, ErrNoUpload, id)
	if !validID(id) {
		return nil, gone
	}
	f, err := lock(ctx, s.logPath(id), unix.LOCK_EX)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, gone
	}
	if err != nil {
		return nil, fileFault(op, path, err)
	}
	u := &upload{log: f, data: s.dataPath(id)}
	b, err := io.ReadAll(f)
	if err != nil {
		_ = f.Close()
		return nil, fileFault(op, path, err)
	}
	if !u.read(b) || u.head.Key != key {
		_ = f.Close()
		return nil, gone
	}
	return u, nil
}

func validID(id string) bool {
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) < 0
}

// read parses a log. Of a part that was sent again the last line counts.
func (u *upload) read(b []byte) bool {
	line, rest, ok := bytes.Cut(b, []byte{'\n'})
	if !ok || json.Unmarshal(line, &u.head) != nil {
		return false
	}
	u.end = int64(len(line)) + 1
	for {
		if line, rest, ok = bytes.Cut(rest, []byte{'\n'}); !ok {
			return true
		}
		var p logPart
		if json.Unmarshal(line, &p) != nil {
			return true
		}
		u.end += int64(len(line)) + 1
		u.parts = append(u.parts, p)
	}
}

// latest is the valid line of part n.
func (u *upload) latest(n int32) (logPart, bool) {
	for _, p := range slices.Backward(u.parts) {
		if p.N == n {
			return p, true
		}
	}
	return logPart{}, false
}

func (s *fileStore) Part(ctx context.Context, key, id string, n int32, body []byte) (part Part, err error) {
	defer s.metrics.seen("upload_part", time.Now(), &err)
	if n < 1 || n > maxParts {
		return Part{}, badPartNumber(key, n)
	}
	u, err := s.begin(ctx, "upload part", key, id)
	if err != nil {
		return Part{}, err
	}
	defer u.log.Close() // synced before
	crc := CRC64NVME(0, body)
	p := logPart{N: n, ETag: fmt.Sprintf(`"%016x-%x"`, crc, len(body)), Size: int64(len(body)), CRC: crc}
	if len(u.parts) > 0 {
		last := u.parts[len(u.parts)-1]
		p.Off = last.Off + last.Size
	}
	if err := s.append(u, p, body); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return Part{}, fmt.Errorf("store: upload part %s: %w: %q", key, ErrNoUpload, id)
		}
		return Part{}, fileFault("upload part", u.data, err)
	}
	return Part{N: n, ETag: p.ETag, Size: p.Size, CRC64NVME: EncodeCRC(crc)}, nil
}

// append makes a part durable: first its bytes, then its line.
func (s *fileStore) append(u *upload, p logPart, body []byte) error {
	data, err := os.OpenFile(u.data, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = data.WriteAt(body, p.Off)
	if err == nil {
		err = data.Sync()
	}
	if e := data.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(u.log.Name(), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err = w.Truncate(u.end); err == nil {
		_, err = w.WriteAt(append(line, '\n'), u.end)
	}
	if err == nil {
		err = w.Sync()
	}
	if e := w.Close(); err == nil {
		err = e
	}
	if err != nil || len(u.parts) > 0 {
		return err
	}
	return syncPath(s.root + "/" + staging)
}

func syncPath(dir string) error {
	f, err := os.Open(dir) //nolint:gosec // a folder of the store
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	return syncDir(f)
}

// Complete renames the upload into place and refuses to replace what is there already (ErrPrecondition).
func (s *fileStore) Complete(ctx context.Context, key, id string, parts []Part) (err error) {
	defer s.metrics.seen("complete_upload", time.Now(), &err)
	u, err := s.begin(ctx, "complete", key, id)
	if err != nil {
		return err
	}
	defer u.log.Close() // only read
	path := s.root + "/" + key
	lines, err := u.choose(path, parts)
	if err != nil {
		return err
	}
	switch err = s.finish(ctx, u, id, path, lines); {
	case errors.Is(err, errTaken):
		return fmt.Errorf("store: complete %s: %w: another object is there", path, ErrPrecondition)
	case errors.Is(err, errLost):
		return fmt.Errorf("store: complete %s: %w: %q", path, ErrNoUpload, id)
	case err != nil:
		return fileFault("complete", path, err)
	}
	_ = os.Remove(u.data) // there if it was copied or linked
	if err := os.Remove(u.log.Name()); err != nil {
		return fileFault("complete", path, err)
	}
	return nil
}

var (
	errTaken = errors.New("another object is there")
	errLost  = errors.New("the staged file is gone")
)

// choose finds the lines of the parts that the caller names, by the rules that S3 has too.
func (u *upload) choose(path string, parts []Part) ([]logPart, error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("store: complete %s: %w: %s", path, stream.ErrPermanent, fmt.Sprintf(format, args...))
	}
	if len(parts) == 0 {
		return nil, refuse("no parts are named")
	}
	lines := make([]logPart, len(parts))
	for i, p := range parts {
		l, ok := u.latest(p.N)
		switch {
		case i > 0 && p.N <= parts[i-1].N:
			return nil, refuse("part %d comes after part %d", p.N, parts[i-1].N)
		case !ok || l.ETag != p.ETag:
			return nil, refuse("part %d with tag %s was not uploaded", p.N, p.ETag)
		case i < len(parts)-1 && l.Size < MinPart:
			return nil, refuse("part %d has %d bytes, fewer than %d, and is not the last", p.N, l.Size, MinPart)
		}
		lines[i] = l
	}
	return lines, nil
}

// finish moves the data to path, durably. Every step may have been done by an earlier call that was cut off.
func (s *fileStore) finish(ctx context.Context, u *upload, id, path string, lines []logPart) error {
	dir, unlock, err := s.exclusive(ctx, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	if done, err := s.isOurs(path, u.head.Key, id); err != nil || done {
		if err == nil {
			err = syncDir(dir)
		}
		return err
	}
	src, err := u.arrange(lines)
	if errors.Is(err, fs.ErrNotExist) {
		return errLost
	}
	if err != nil {
		return err
	}
	n := note{Meta: u.head.Meta, Upload: id}
	var crc uint64
	for _, l := range lines {
		crc = CombineCRC(crc, l.CRC, l.Size)
	}
	n.CRC = EncodeCRC(crc)
	f, err := os.OpenFile(src, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() // synced
	if err := os.Chtimes(src, time.Time{}, time.Now()); err != nil {
		return err
	}
	if err := s.attach(f, u.head.Key, n); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := renameNew(src, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return errTaken
		}
		return err
	}
	return syncDir(dir)
}

// isOurs tells whether the upload has reached its place already. What is there and is not ours stays: errTaken.
func (s *fileStore) isOurs(path, key, id string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) //nolint:gosec // a key of ours
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() // only read
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !st.Mode().IsRegular() || s.note(f, key, etagOf(st)).Upload != id {
		return false, errTaken
	}
	return true, nil
}

// arrange returns a file that holds exactly lines, in their order.
func (u *upload) arrange(lines []logPart) (string, error) {
	var off int64
	inOrder := true
	for _, l := range lines {
		inOrder = inOrder && l.Off == off
		off += l.Size
	}
	if inOrder {
		return u.data, os.Truncate(u.data, off)
	}
	from, err := os.Open(u.data)
	if err != nil {
		return "", err
	}
	defer from.Close()
	name := strings.TrimSuffix(u.data, ".data") + ".whole"
	to, err := os.Create(name) //nolint:gosec // in the staging folder
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if _, err = from.Seek(l.Off, io.SeekStart); err == nil {
			_, err = io.CopyN(to, from, l.Size)
		}
		if err != nil {
			break
		}
	}
	if e := to.Close(); err == nil {
		err = e
	}
	return name, err
}

func (s *fileStore) Abort(ctx context.Context, key, id string) (err error) {
	defer s.metrics.seen("abort_upload", time.Now(), &err)
	u, err := s.begin(ctx, "abort", key, id)
	if err != nil {
		return err
	}
	defer u.log.Close()
	for _, name := range []string{u.data, strings.TrimSuffix(u.data, ".data") + ".whole", u.log.Name()} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileFault("abort", name, err)
		}
	}
	return nil
}
