package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// networkFS names the network file system that path is on, or "". Magic numbers: statfs(2). Everything that comes through
// FUSE is refused with them: most of it is remote, and drivers of object stores do not rename atomically.
func networkFS(path string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "", err
	}
	return networkKind(uint32(st.Type)), nil //nolint:gosec // 32 bits on every platform; the field's width differs
}

func networkKind(magic uint32) string {
	return map[uint32]string{
		0x6969: "nfs", 0x517b: "smb", 0xff534d42: "cifs", 0xfe534d42: "smb2", 0x5346414f: "afs", 0x6b414653: "afs",
		0x73757245: "coda", 0x01021997: "9p", 0x00c36400: "ceph", 0x0bd00bd0: "lustre", 0x01161970: "gfs2",
		0x7461636f: "ocfs2", 0x47504653: "gpfs", 0x19830326: "beegfs", 0x564c: "ncp", 0x65735546: "fuse", 0x20030528: "orangefs",
	}[magic]
}

// renameNew renames without replacing: fs.ErrExist.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return os.Link(from, to) // the caller removes the first name
	}
	return err
}
