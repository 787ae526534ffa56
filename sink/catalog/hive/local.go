package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/stream"
)

// local is one table of a catalog that is a folder; the format is in doc.go.
type local struct {
	dir  string // of the database
	name string // of the table
}

type localTable struct {
	Format     int               `json:"format"`
	Version    uint64            `json:"version"`
	Location   string            `json:"location"`
	Columns    []column          `json:"columns"`
	Keys       []column          `json:"partition_keys"`
	Properties map[string]string `json:"properties"`
}

type localPartitions struct {
	Format     int         `json:"format"`
	Partitions []partition `json:"partitions"`
}

// lockPatience is how long a lock may be held by another process; it takes milliseconds unless that one was stopped.
const lockPatience = 30 * time.Second

func openLocal(c stream.CatalogRef) (*local, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("catalog: the local catalog's path %q is not absolute: %w", c.Path, stream.ErrPermanent)
	}
	return &local{filepath.Join(c.Path, c.Database), c.Table}, nil
}

func (l *local) tableFile() string { return filepath.Join(l.dir, l.name+".json") }

func (l *local) partitionsFile() string { return filepath.Join(l.dir, l.name+".partitions.json") }

func (l *local) Table(ctx context.Context) (e *entry, err error) {
	err = l.locked(ctx, unix.LOCK_SH, func() error {
		t, err := l.load()
		if err == nil {
			e = &entry{Location: t.Location, Columns: t.Columns, Keys: t.Keys, Properties: t.Properties, version: strconv.FormatUint(t.Version, 10)}
		}
		return err
	})
	return e, err
}

func (l *local) Create(ctx context.Context, e *entry) error {
	if err := os.MkdirAll(l.dir, 0o777); err != nil { //nolint:gosec // the user's umask decides
		return fileError(err)
	}
	if err := syncDir(filepath.Dir(l.dir)); err != nil {
		return fileError(err)
	}
	return l.locked(ctx, unix.LOCK_EX, func() error {
		_, err := l.load()
		if err == nil {
			return errExists
		}
		if !errors.Is(err, errMissing) {
			return err
		}
		// Partitions of a table that somebody deleted by hand do not belong to this one.
		if err := os.Remove(l.partitionsFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(err)
		}
		return l.save(l.tableFile(), localTable{stream.Format, 1, e.Location, nonNil(e.Columns), nonNil(e.Keys), e.Properties})
	})
}

func (l *local) Update(ctx context.Context, e *entry) error {
	return l.locked(ctx, unix.LOCK_EX, func() error {
		t, err := l.load()
		if err != nil {
			return err
		}
		if strconv.FormatUint(t.Version, 10) != e.version {
			return errConflict
		}
		t.Version++
		t.Columns, t.Properties = nonNil(e.Columns), e.Properties
		return l.save(l.tableFile(), t)
	})
}

func (l *local) Add(ctx context.Context, _ *entry, ps []partition) (existing []partition, err error) {
	err = l.locked(ctx, unix.LOCK_EX, func() error {
		if _, err := l.load(); err != nil {
			return err
		}
		all, err := l.loadPartitions()
		if err != nil {
			return err
		}
		known := map[string]bool{}
		for _, p := range all {
			known[p.key()] = true
		}
		before := len(all)
		for _, p := range ps {
			if known[p.key()] {
				existing = append(existing, p)
			} else {
				all = append(all, p)
			}
		}
		if len(all) == before {
			return nil
		}
		slices.SortFunc(all, func(a, b partition) int { return slices.Compare(a.Values, b.Values) })
		return l.save(l.partitionsFile(), localPartitions{stream.Format, all})
	})
	return existing, err
}

func (l *local) Locations(ctx context.Context, ps []partition) (map[string]string, error) {
	at := map[string]string{}
	err := l.locked(ctx, unix.LOCK_SH, func() error {
		all, err := l.loadPartitions()
		for _, p := range all {
			at[p.key()] = p.Location
		}
		return err
	})
	return at, err
}

// locked runs f while no other process writes the database (LOCK_EX: or reads it).
func (l *local) locked(ctx context.Context, how int, f func() error) error {
	lock, err := os.OpenFile(filepath.Join(l.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o666) //nolint:gosec // the user's umask decides
	if errors.Is(err, fs.ErrNotExist) {
		return errMissing // no such database
	}
	if err != nil {
		return fileError(err)
	}
	defer lock.Close()
	wait := time.Millisecond
	for deadline := time.Now().Add(lockPatience); ; wait = min(2*wait, 100*time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), how|unix.LOCK_NB) //nolint:gosec // a descriptor
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fileError(fmt.Errorf("lock %s: %w", lock.Name(), err))
		}
		if time.Now().After(deadline) {
			err := fmt.Errorf("another process has held %s for %s: %w", lock.Name(), lockPatience, stream.ErrUnavailable)
			return stream.WithNext(err, "look for a stopped millrace process: `fuser %s`", lock.Name())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("lock %s: %w: %w", lock.Name(), stream.ErrUnavailable, ctx.Err())
		case <-time.After(wait):
		}
	}
	return f()
}

func (l *local) load() (t localTable, err error) {
	return t, readJSON(l.tableFile(), &t, &t.Format)
}

func (l *local) loadPartitions() ([]partition, error) {
	var p localPartitions
	err := readJSON(l.partitionsFile(), &p, &p.Format)
	if errors.Is(err, errMissing) {
		err = nil
	}
	return p.Partitions, err
}

func readJSON(name string, into any, format *int) error {
	b, err := os.ReadFile(name) //nolint:gosec // below the catalog's folder
	if errors.Is(err, fs.ErrNotExist) {
		return errMissing
	}
	if err != nil {
		return fileError(err)
	}
	if err := json.Unmarshal(b, into); err != nil || *format < 1 {
		err := fmt.Errorf("%s is not a file of a catalog: %w", name, stream.ErrPermanent)
		return stream.WithNext(err, "put the file right, or move it away: millrace makes it anew")
	}
	if *format > stream.Format {
		err := fmt.Errorf("%s has format %d, this program knows %d: %w", name, *format, stream.Format, stream.ErrPermanent)
		return stream.WithNext(err, "run the newer millrace that wrote it")
	}
	return nil
}

// save replaces a file as a whole, so that neither a reader nor a power cut ever sees half of it.
func (l *local) save(name string, v any) (err error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w: %w", name, stream.ErrPermanent, err)
	}
	tmp := filepath.Join(l.dir, "."+filepath.Base(name)+".tmp")           // one writer at a time: the lock is held
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666) //nolint:gosec // the user's umask decides
	if err != nil {
		return fileError(err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err == nil {
		err = syncDir(l.dir)
	}
	return fileError(err)
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // below the catalog's folder
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// fileError gives an error of the file system its class.
func fileError(err error) error {
	class := stream.ErrUnavailable
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		class = stream.ErrFull
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		class = stream.ErrDenied
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		class = stream.ErrPermanent
	}
	return fmt.Errorf("%w: %w", class, err)
}

func nonNil(cs []column) []column {
	if cs == nil {
		return []column{}
	}
	return cs
}
