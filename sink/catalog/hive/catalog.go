package hive

import (
	"context"
	"errors"
	"strings"
)

// What a catalog answers besides the classes of package stream. Ensure and Apply decide by them.
var (
	errMissing  = errors.New("no such table")
	errExists   = errors.New("exists already")
	errConflict = errors.New("changed meanwhile")
)

// catalog is one table's entry in a catalog. Every call is tried once; an error other than those above leaves open
// whether the change was made. Safe for concurrent use.
type catalog interface {
	// Table reads the entry. errMissing: there is none.
	Table(ctx context.Context) (*entry, error)
	// Create makes the entry, and its database if need be. errExists: somebody else did.
	Create(ctx context.Context, e *entry) error
	// Update replaces columns and properties. errConflict: e is not of the current version.
	Update(ctx context.Context, e *entry) error
	// Add registers partitions, at most maxAdd, with the columns of e, and returns those that exist already.
	Add(ctx context.Context, e *entry, ps []partition) (existing []partition, err error)
	// Locations returns where partitions, at most maxAdd, are, by partition.key. One that is gone is left out.
	Locations(ctx context.Context, ps []partition) (map[string]string, error)
}

const (
	// maxAdd is Glue's limit for BatchCreatePartition.
	maxAdd = 100
	// maxAddBytes bounds such a request: each partition carries the table's columns, 500 of which take 25 kB and more.
	maxAddBytes = 1 << 20
)

// entry is what a catalog knows of a table.
type entry struct {
	Location   string
	Columns    []column
	Keys       []column
	Properties map[string]string
	version    string
	weight     int // bytes that one partition of it takes in a request, about; 0: little
	native     any // the catalog's own form, so that what we do not know of survives an update
}

type column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type partition struct {
	Values   []string `json:"values"`
	Location string   `json:"location"`
}

// batch is how many partitions of the table go into one request.
func (e *entry) batch() int { return max(1, min(maxAdd, maxAddBytes/max(1, e.weight))) }

// key tells partitions apart. NUL cannot be mistaken for a part of a value: a value with NUL is escaped here.
func (p partition) key() string {
	var b strings.Builder
	for _, v := range p.Values {
		b.WriteString(strings.ReplaceAll(v, "\x00", "\x00\x00"))
		b.WriteString("\x00;")
	}
	return b.String()
}

// samePlace compares locations: a slash at the end, and which of Hadoop's S3 clients is named, make no difference.
func samePlace(a, b string) bool { return plainLocation(a) == plainLocation(b) }

func plainLocation(s string) string {
	for _, scheme := range []string{"s3a://", "s3n://"} {
		if rest, ok := strings.CutPrefix(s, scheme); ok {
			s = "s3://" + rest
		}
	}
	if rest, ok := strings.CutPrefix(s, "file:"); ok {
		s = "/" + strings.TrimLeft(rest, "/")
	}
	return strings.TrimRight(s, "/")
}
