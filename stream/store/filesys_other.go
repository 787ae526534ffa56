//go:build !linux

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// networkFS names the network file system that path is on, or "". A kernel of the BSD family marks local ones.
func networkFS(path string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "", err
	}
	if st.Flags&unix.MNT_LOCAL != 0 {
		return "", nil
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}

// renameNew renames without replacing: fs.ErrExist. The caller removes the first name.
func renameNew(from, to string) error { return os.Link(from, to) }
