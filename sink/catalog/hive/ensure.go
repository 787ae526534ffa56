package hive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// races is how many lost races in a row Ensure takes. Each is another worker's progress, and all of them want the same
// columns, so a handful is many.
const races = 32

// maxTypeBytes and maxNameBytes are Glue's limits for a column.
const (
	maxTypeBytes = 131072
	maxNameBytes = 255
)

// Ensure creates the table, or adds to it the columns and nested fields of s that it lacks, by the policy
// on_schema_change. It returns s without the partition columns: the schema of files. A table whose columns or partition
// keys do not fit is stream.ErrPermanent and is left as it is. Claim comes before; a table that was claimed by an earlier
// process will do.
func (t *Table) Ensure(ctx context.Context, s *arrow.Schema) (*arrow.Schema, error) {
	want, files, err := t.describe(s)
	if err != nil {
		return nil, err
	}
	if t.cat == nil {
		return files, nil
	}
	o, err := t.claimed(ctx)
	if err != nil {
		return nil, err
	}
	for range races {
		have, err := t.read(ctx, o)
		create := errors.Is(err, errMissing)
		if err != nil && !create {
			return nil, err
		}
		var doing string
		var next *entry
		if create {
			doing, next = "create", t.fresh(want, o)
			err = t.cat.Create(ctx, next)
		} else {
			var added []string
			if next, added, err = t.evolve(have, want); err != nil {
				return nil, err
			}
			if len(added) == 0 {
				t.see(have)
				return files, nil
			}
			doing = "add " + strings.Join(added, ", ") + " to"
			err = t.cat.Update(ctx, next)
		}
		switch {
		case err == nil:
			t.log.Info("catalog changed", "table", t.name(), "change", doing+" table")
			t.see(next)
			return files, nil
		case errors.Is(err, errConflict), errors.Is(err, errExists), errors.Is(err, errMissing):
			continue // another was first: what is there now decides
		}
		// Whether it was done is not known. Reading tells; if not, the caller tries again.
		if now, again := t.read(ctx, o); again == nil {
			if _, added, bad := t.evolve(now, want); bad == nil && len(added) == 0 {
				t.see(now)
				return files, nil
			}
		}
		return nil, t.fail(doing, err)
	}
	return nil, t.fail("change", fmt.Errorf("lost %d races for it: %w", races, stream.ErrUnavailable))
}

// describe translates s: what the catalog is to hold, and the schema of files.
func (t *Table) describe(s *arrow.Schema) (*entry, *arrow.Schema, error) {
	e := &entry{Location: t.ref.Location}
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }

	keys := map[string]bool{}
	for _, k := range t.ref.Partitions {
		keys[k.Name] = true
		typ, err := keyType(s, k)
		if err != nil {
			fault("partition column %q: %s", k.Name, err)
		}
		e.Keys = append(e.Keys, column{strings.ToLower(k.Name), typ})
	}
	var fields []arrow.Field
	for _, f := range s.Fields() {
		if keys[f.Name] {
			continue
		}
		fields = append(fields, f)
		typ, err := hiveOf(f.Type)
		if err != nil {
			fault("column %q: %s", f.Name, err)
			continue
		}
		if len(typ.String()) > maxTypeBytes {
			fault("column %q: its type takes %d characters, a catalog takes %d", f.Name, len(typ.String()), maxTypeBytes)
		}
		e.Columns = append(e.Columns, column{strings.ToLower(f.Name), typ.String()})
	}
	if len(fields) == 0 {
		fault("no column is left beside the partition columns")
	}
	folded := map[string]bool{}
	for _, c := range append(e.Columns[:len(e.Columns):len(e.Columns)], e.Keys...) {
		if folded[c.Name] {
			fault("two columns are called %q in lower case, and catalogs know lower case only", c.Name)
		}
		folded[c.Name] = true
		if c.Name == "" || len(c.Name) > maxNameBytes || strings.ContainsAny(c.Name, ",\r\n\t\x00") {
			fault("column %q: a catalog takes names of 1 to %d bytes without commas and control characters", c.Name, maxNameBytes)
		}
	}
	if len(faults) > 0 && t.cat != nil {
		err := fmt.Errorf("catalog: table %s cannot be described: %s: %w", t.name(), strings.Join(faults, "; "), stream.ErrPermanent)
		return nil, nil, stream.WithNext(err, "rename, cast or drop these columns in a step")
	}
	md := s.Metadata()
	return e, arrow.NewSchema(fields, &md), nil
}

// keyType is the type of a partition column: that of the column in s, or, where values are computed on the way into
// folders, that of the configuration.
func keyType(s *arrow.Schema, k stream.PartitionColumn) (string, error) {
	words := map[string]string{
		"bool": "boolean", "int32": "int", "int64": "bigint", "float64": "double", "string": "string", "date": "date", "timestamp": "timestamp",
	}
	typ := words[strings.ToLower(k.Type)]
	if strings.HasPrefix(strings.ToLower(k.Type), "decimal(") {
		typ = plainName(strings.ToLower(k.Type))
	}
	if i := s.FieldIndices(k.Name); len(i) > 0 {
		h, err := hiveOf(s.Field(i[0]).Type)
		if err != nil {
			return "", err
		}
		typ = h.String()
	}
	if typ == "" || typ == "binary" || strings.Contains(typ, "<") {
		return "", fmt.Errorf("type %q cannot be part of a folder's name", k.Type)
	}
	return typ, nil
}

// fresh is the entry of a new table.
func (t *Table) fresh(want *entry, o stream.Owner) *entry {
	e := *want
	e.Properties = map[string]string{
		"classification": "parquet",
		"EXTERNAL":       "TRUE",
		"typeOfData":     "file",
		propOwner:        ownerProperty(o),
		propID:           rand.Text(),
	}
	return &e
}

// evolve compares a table with what is wanted. It returns what to change it into and the names of what is new.
func (t *Table) evolve(have, want *entry) (*entry, []string, error) {
	if err := t.checkKeys(have, want.Keys); err != nil {
		return nil, nil, err
	}
	next := *have
	next.Columns = append([]column(nil), have.Columns...)
	next.Properties = maps.Clone(have.Properties)
	at := map[string]int{}
	for i, c := range have.Columns {
		at[strings.ToLower(c.Name)] = i
	}
	var added []string
	var bad []misfit
	for _, w := range want.Columns {
		i, ok := at[w.Name]
		if !ok {
			next.Columns = append(next.Columns, w)
			added = append(added, w.Name)
			continue
		}
		wt, err := parseType(w.Type)
		if err != nil {
			return nil, nil, t.fail("describe", fmt.Errorf("column %q: %w: %w", w.Name, stream.ErrPermanent, err))
		}
		ht, err := parseType(have.Columns[i].Type)
		if err != nil {
			bad = append(bad, misfit{w.Name, have.Columns[i].Type, w.Type})
			continue
		}
		before := len(added)
		if m := merge(w.Name, ht, wt, &added, &bad); len(added) > before {
			next.Columns[i].Type = m.String()
		}
	}
	if len(bad) > 0 {
		return nil, nil, t.incompatible(bad)
	}
	if len(added) > 0 && t.ref.Catalog.OnSchemaChange == "fail" {
		err := fmt.Errorf("catalog: table %s lacks the columns %s, and on_schema_change is fail: %w", t.name(), strings.Join(added, ", "), stream.ErrPermanent)
		return nil, nil, stream.WithNext(err, "add them to the table, drop them in a step, or set on_schema_change: add_columns")
	}
	return &next, added, nil
}

func (t *Table) incompatible(bad []misfit) error {
	var texts []string
	for _, m := range bad {
		texts = append(texts, fmt.Sprintf("column %q is %s in the catalog and %s in the pipeline", m.path, m.have, m.want))
	}
	err := fmt.Errorf("catalog: table %s: %s: %w", t.name(), strings.Join(texts, "; "), stream.ErrPermanent)
	return stream.WithNext(err, "existing files keep their type, so the catalog's is not changed: cast %q to %s in a `set` step, write it to a column of another name, or start a new table",
		bad[0].path, bad[0].have)
}

// checkKeys refuses a table that is partitioned in another way.
func (t *Table) checkKeys(have *entry, want []column) error {
	same := len(have.Keys) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = strings.EqualFold(have.Keys[i].Name, want[i].Name) && plainName(strings.ToLower(have.Keys[i].Type)) == want[i].Type
	}
	if same {
		return nil
	}
	err := fmt.Errorf("catalog: table %s is partitioned by (%s), the sink by (%s): %w", t.name(), listColumns(have.Keys), listColumns(want), stream.ErrPermanent)
	return stream.WithNext(err, "set partition_by back, or write to a new table and location: partition keys of a table cannot change")
}

func listColumns(cs []column) string {
	var s []string
	for _, c := range cs {
		s = append(s, c.Name+" "+c.Type)
	}
	return strings.Join(s, ", ")
}

// claimed is the table's owner: as claimed in this process, or as written beside the data.
func (t *Table) claimed(ctx context.Context) (stream.Owner, error) {
	t.mu.Lock()
	o := t.owner
	t.mu.Unlock()
	if o != nil {
		return *o, nil
	}
	c, err := t.readClaim(ctx)
	if err != nil {
		return stream.Owner{}, err
	}
	if c == nil {
		return stream.Owner{}, t.fail("describe", fmt.Errorf("it has not been claimed: %w", stream.ErrPermanent))
	}
	return c.Owner, nil
}

// see remembers that e is what the catalog has now.
func (t *Table) see(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if id := e.Properties[propID]; id != t.seen.id || t.seen.known == nil {
		t.seen.id, t.seen.known = id, map[string]struct{}{}
	}
	t.seen.at = time.Now()
}
