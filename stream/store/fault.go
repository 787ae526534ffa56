package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/millrace/millrace/stream"
	"golang.org/x/sys/unix"
)

// fileFault gives an error of the file system its class and, where a person can do something, advice.
func fileFault(op, path string, err error) error {
	if err == nil {
		return nil
	}
	wrap := func(class error) error { return fmt.Errorf("store: %s %s: %w: %w", op, path, class, err) }
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("store: %s %s: %w", op, path, err) // the caller's own
	case errors.Is(err, fs.ErrNotExist):
		return wrap(ErrNotFound)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return stream.WithNext(wrap(stream.ErrFull), "make room on the disk of %s", path)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
		return stream.WithNext(wrap(stream.ErrDenied), "give the user of this process the right to read and write %s", path)
	case errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EISDIR),
		errors.Is(err, unix.ELOOP), errors.Is(err, unix.EINVAL):
		return wrap(stream.ErrPermanent)
	case errors.Is(err, unix.EXDEV):
		return stream.WithNext(wrap(stream.ErrPermanent), "keep everything below a location on one file system: files are renamed into place")
	}
	return wrap(stream.ErrUnavailable)
}
