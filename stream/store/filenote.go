package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// note is what the store keeps about a completed upload. It rides on the file as a user attribute, so that it moves and
// goes with it; on file systems without attributes it is a file in the staging folder, named by the hash of the key.
type note struct {
	Meta   map[string]string `json:"meta,omitempty"`
	CRC    string            `json:"crc64nvme,omitempty"`
	Upload string            `json:"upload"`
	ETag   string            `json:"etag,omitempty"` // in a sidecar only: the version of the file that it speaks of
}

const noteAttr = "user.millrace"

func (s *fileStore) sidecar(key string) string {
	h := sha256.Sum256([]byte(key))
	return s.root + "/" + staging + "/" + hex.EncodeToString(h[:16]) + ".meta"
}

// note reads what is kept about an open file; of a file that did not come from an upload, nothing.
func (s *fileStore) note(f *os.File, key, etag string) (n note) {
	b := make([]byte, 4096)
	k, err := unix.Fgetxattr(int(f.Fd()), noteAttr, b)
	if errors.Is(err, unix.ERANGE) {
		b = make([]byte, 1<<16)
		k, err = unix.Fgetxattr(int(f.Fd()), noteAttr, b)
	}
	if err == nil {
		_ = json.Unmarshal(b[:k], &n) // somebody else's attribute: as none
		return n
	}
	if b, err = os.ReadFile(s.sidecar(key)); err != nil {
		return note{}
	}
	if json.Unmarshal(b, &n) != nil || n.ETag != etag {
		return note{}
	}
	return n
}

// attach keeps n about f, which is going to be key. The caller syncs f.
func (s *fileStore) attach(f *os.File, key string, n note) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if s.noAttrs {
		err = unix.ENOTSUP
	} else {
		err = unix.Fsetxattr(int(f.Fd()), noteAttr, b, 0)
	}
	if err == nil || !(errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ERANGE)) {
		return err
	}
	var st fs.FileInfo
	if st, err = f.Stat(); err != nil {
		return err
	}
	n.ETag = etagOf(st)
	if b, err = json.Marshal(n); err != nil {
		return err
	}
	tmp, err := s.temp(b)
	if err != nil {
		return err
	}
	return os.Rename(tmp, s.sidecar(key)) // the caller syncs the folder
}
