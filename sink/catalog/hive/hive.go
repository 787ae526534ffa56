package hive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Properties of a table that is ours.
const (
	propOwner = "millrace.owner" // pipeline, incarnation and ledger, with a blank between
	propID    = "millrace.id"    // fresh for every creation, so that a table dropped and made again is told apart
)

// Deps is what a Table works with.
type Deps struct {
	// Store is opened at the table's location; the claim is kept there.
	Store store.Client
	// AWS gives credentials, region and HTTP client for Glue; nil: the SDK's usual chain. It is asked once per Open, so a
	// process with many tables hands in one that remembers its answer.
	AWS     func(ctx context.Context) (aws.Config, error)
	Log     *slog.Logger // nil: silent
	Metrics *Metrics     // nil: not counted
}

// Table is a stream.Table over one of the catalogs. It is safe for concurrent use.
type Table struct {
	ref     stream.TableRef
	store   store.Client
	cat     catalog // nil: none
	log     *slog.Logger
	metrics *Metrics

	mu    sync.Mutex
	owner *stream.Owner // once claimed
	seen  seen
}

// seen is what was last read of the catalog: it saves asking again for every transaction.
type seen struct {
	id    string // propID of the table that the rest is about
	at    time.Time
	known map[string]struct{} // keys of registered partitions
}

var _ stream.Table = (*Table)(nil)

var safeName = regexp.MustCompile(`^[a-z0-9_-]{1,255}$`)

// Open prepares the table that ref names. It asks neither store nor catalog yet.
func Open(ctx context.Context, ref stream.TableRef, d Deps) (*Table, error) {
	t := &Table{ref: ref, store: d.Store, log: d.Log, metrics: d.Metrics}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.metrics == nil {
		t.metrics = NewMetrics(nil)
	}
	if !strings.HasSuffix(t.ref.Location, "/") {
		t.ref.Location += "/"
	}
	c := &t.ref.Catalog
	c.Database, c.Table = strings.ToLower(c.Database), strings.ToLower(c.Table)
	if c.Kind != "" && (!safeName.MatchString(c.Database) || !safeName.MatchString(c.Table)) {
		return nil, stream.WithNext(fmt.Errorf("catalog: %q is not a name for a table: %w", c.Database+"."+c.Table, stream.ErrPermanent),
			"use letters, digits, \"_\" and \"-\" for catalog.%s.database and .table", c.Kind)
	}
	switch c.OnSchemaChange {
	case "", "fail", "add_columns", "evolve":
	default:
		return nil, stream.WithNext(fmt.Errorf("catalog: on_schema_change %q: %w", c.OnSchemaChange, stream.ErrPermanent), "use fail or add_columns")
	}
	var err error
	switch c.Kind {
	case "":
	case "local":
		t.cat, err = openLocal(*c)
	case "glue":
		t.cat, err = openGlue(ctx, *c, d.AWS)
	default:
		err = fmt.Errorf("catalog: kind %q is not known: %w", c.Kind, stream.ErrPermanent)
	}
	if err != nil {
		return nil, err
	}
	if t.cat != nil {
		t.cat = &measured{t.cat, t.metrics}
	}
	return t, nil
}

// name of the table for people.
func (t *Table) name() string {
	if t.cat == nil {
		return t.ref.Location
	}
	return t.ref.Catalog.Database + "." + t.ref.Catalog.Table
}

// fail says what was being done to which table. A cause without a class is a server that is away.
func (t *Table) fail(doing string, err error) error {
	if stream.Kind(err) == "internal" {
		return fmt.Errorf("catalog: %s %s: %w: %w", doing, t.name(), stream.ErrUnavailable, err)
	}
	return fmt.Errorf("catalog: %s %s: %w", doing, t.name(), err)
}

// read is the table's entry, checked to be ours and where our files are. errMissing: there is none.
func (t *Table) read(ctx context.Context, o stream.Owner) (*entry, error) {
	e, err := t.cat.Table(ctx)
	if errors.Is(err, errMissing) {
		return nil, err
	}
	if err != nil {
		return nil, t.fail("read table", err)
	}
	if err := t.checkOwner(e, o); err != nil {
		return nil, err
	}
	if !samePlace(e.Location, t.ref.Location) {
		err := fmt.Errorf("catalog: table %s is at %s, but the sink writes to %s: %w", t.name(), e.Location, t.ref.Location, stream.ErrPermanent)
		return nil, stream.WithNext(err, "set the sink's location back, or give the new location a table name of its own")
	}
	return e, nil
}
