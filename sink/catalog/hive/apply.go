package hive

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

// nullValue is the partition value of a null, and of an empty string, which a folder's name cannot tell from it.
const nullValue = "__HIVE_DEFAULT_PARTITION__"

// maxKnown bounds the partitions remembered: some 20 MB. Over it all are forgotten and asked for again.
const maxKnown = 100_000

// lookAgain is after how long a table is read again although every partition is known, so that one that was dropped, or
// is another's now, halts the sink.
const lookAgain = time.Minute

// Apply registers the folders of the manifests' files in this table. Other tables' files are left out. A partition that
// exists elsewhere is stream.ErrForeign, a table that is gone stream.ErrPermanent.
func (t *Table) Apply(ctx context.Context, ms []stream.Manifest) error {
	if t.cat == nil {
		return nil
	}
	ps, incarnation, err := t.touched(ms)
	if err != nil || incarnation == "" {
		return err
	}
	if t.fullyKnown(ps) {
		return nil
	}
	e, err := t.read(ctx, t.ownerFor(incarnation))
	if errors.Is(err, errMissing) {
		err = fmt.Errorf("catalog: table %s is missing from the catalog: %w", t.name(), stream.ErrPermanent)
		return stream.WithNext(err, "bring it back, or restart the pipeline, which makes it anew, and then register the older folders with MSCK REPAIR TABLE; no file is lost")
	}
	if err != nil {
		return err
	}
	if err := t.checkKeyNames(e); err != nil {
		return err
	}
	t.see(e)
	for chunk := range slices.Chunk(t.unknown(ps), e.batch()) {
		if err := t.add(ctx, e, chunk); err != nil {
			return err
		}
	}
	return nil
}

// ownerFor is the owner that the catalog must name: all of it if the table was claimed here, else what manifests tell.
func (t *Table) ownerFor(incarnation string) stream.Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.owner != nil && t.owner.Incarnation == incarnation {
		return *t.owner
	}
	return stream.Owner{Incarnation: incarnation}
}

// touched lists the partitions of this table that the manifests' files are in, each once and in order, and the
// incarnation that wrote them; "" if none did.
func (t *Table) touched(ms []stream.Manifest) ([]partition, string, error) {
	found, incarnation := map[string]partition{}, ""
	for i := range ms {
		m := &ms[i]
		for _, f := range m.Files {
			if r, ok := m.Tables[f.Table]; !ok || !t.same(r) {
				continue
			}
			if incarnation != "" && incarnation != m.Incarnation {
				return nil, "", t.fail("register partitions of", fmt.Errorf("manifests of two ledgers, %s and %s: %w", incarnation, m.Incarnation, stream.ErrForeign))
			}
			incarnation = m.Incarnation
			p, err := t.partitionOf(f)
			if err != nil {
				return nil, "", err
			}
			if len(p.Values) > 0 {
				found[p.key()] = p
			}
		}
	}
	ps := make([]partition, 0, len(found))
	for _, p := range found {
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b partition) int { return slices.Compare(a.Values, b.Values) })
	return ps, incarnation, nil
}

// same tells whether r is this table: names of sinks may be given again.
func (t *Table) same(r stream.TableRef) bool {
	a, b := t.ref.Catalog, r.Catalog
	return samePlace(r.Location, t.ref.Location) && a.Kind == b.Kind && strings.EqualFold(a.Database, b.Database) &&
		strings.EqualFold(a.Table, b.Table) && a.Endpoint == b.Endpoint && a.Region == b.Region && a.Path == b.Path
}

// partitionOf is the partition that f lies in. Its folder is taken from the key, which is where the file really is.
func (t *Table) partitionOf(f stream.File) (partition, error) {
	fits := len(f.Partition) == len(t.ref.Partitions)
	for i := 0; fits && i < len(f.Partition); i++ {
		fits = strings.EqualFold(f.Partition[i].Column, t.ref.Partitions[i].Name)
	}
	dir := path.Dir(f.Key)
	if fits && len(f.Partition) > 0 {
		fits = strings.Count(dir, "/")+1 == len(f.Partition)
	}
	if !fits {
		return partition{}, t.fail("register partitions of", fmt.Errorf("file %s does not lie in partitions of %d columns: %w", f.Key, len(t.ref.Partitions), stream.ErrPermanent))
	}
	if len(f.Partition) == 0 {
		return partition{}, nil
	}
	p := partition{Location: t.ref.Location + dir + "/"}
	for _, v := range f.Partition {
		if v.Null || v.Value == "" {
			v.Value = nullValue
		}
		p.Values = append(p.Values, v.Value)
	}
	return p, nil
}

// checkKeyNames refuses a table that was made anew with other partition keys.
func (t *Table) checkKeyNames(e *entry) error {
	var want []column
	for i, k := range t.ref.Partitions {
		c := column{Name: strings.ToLower(k.Name), Type: k.Type}
		if i < len(e.Keys) {
			c.Type = plainName(strings.ToLower(e.Keys[i].Type)) // types are Ensure's business, which has the schema
		}
		want = append(want, c)
	}
	return t.checkKeys(e, want)
}

// fullyKnown tells that all of ps are registered, by what was seen lately.
func (t *Table) fullyKnown(ps []partition) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen.known == nil || time.Since(t.seen.at) > lookAgain {
		return false
	}
	for _, p := range ps {
		if _, ok := t.seen.known[p.key()]; !ok {
			return false
		}
	}
	return true
}

func (t *Table) unknown(ps []partition) []partition {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []partition
	for _, p := range ps {
		if _, ok := t.seen.known[p.key()]; !ok {
			out = append(out, p)
		}
	}
	return out
}

// add registers up to maxAdd partitions. Those that exist must be where ours are.
func (t *Table) add(ctx context.Context, e *entry, ps []partition) error {
	existing, err := t.cat.Add(ctx, e, ps)
	if errors.Is(err, errMissing) {
		return t.fail("register partitions of", fmt.Errorf("the table vanished meanwhile: %w", stream.ErrUnavailable)) // the next try says what it is
	}
	if err != nil {
		return t.fail("register partitions of", err)
	}
	if len(existing) > 0 {
		if err := t.checkPlaces(ctx, existing); err != nil {
			return err
		}
	}
	t.metrics.partitions.WithLabelValues(t.ref.Name).Add(float64(len(ps) - len(existing)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Properties[propID] != t.seen.id {
		return nil // another call saw a newer table
	}
	if len(t.seen.known)+len(ps) > maxKnown {
		t.seen.known = map[string]struct{}{}
	}
	for _, p := range ps {
		t.seen.known[p.key()] = struct{}{}
	}
	return nil
}

func (t *Table) checkPlaces(ctx context.Context, existing []partition) error {
	at, err := t.cat.Locations(ctx, existing)
	if err != nil {
		return t.fail("read partitions of", err)
	}
	for _, p := range existing {
		loc, ok := at[p.key()]
		if !ok {
			return t.fail("register partitions of", fmt.Errorf("partition %q came and went: %w", p.Values, stream.ErrUnavailable))
		}
		if !samePlace(loc, p.Location) {
			err := fmt.Errorf("catalog: partition %q of %s is at %s, and our files are at %s: %w", p.Values, t.name(), loc, p.Location, stream.ErrForeign)
			return stream.WithNext(err, "drop that partition from the catalog, or move it; then restart the pipeline, which registers ours")
		}
	}
	return nil
}
