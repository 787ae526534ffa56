package hive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/millrace/millrace/stream"
)

// memCatalog holds one table in memory. before and after run around the call of that name; an error from after stands for
// a reply that was lost.
type memCatalog struct {
	table         *entry
	partitions    map[string]partition
	version       int
	calls         []string
	before, after func(call string) error
}

func (c *memCatalog) do(call string, f func() error) error {
	c.calls = append(c.calls, call)
	if c.before != nil {
		if err := c.before(call); err != nil {
			return err
		}
	}
	err := f()
	if c.after != nil {
		if lost := c.after(call); lost != nil {
			return lost
		}
	}
	return err
}

func (c *memCatalog) Table(context.Context) (e *entry, err error) {
	err = c.do("table", func() error {
		if c.table == nil {
			return errMissing
		}
		clone := *c.table
		clone.version = fmt.Sprint(c.version)
		e = &clone
		return nil
	})
	return e, err
}

func (c *memCatalog) Create(_ context.Context, e *entry) error {
	return c.do("create", func() error {
		if c.table != nil {
			return errExists
		}
		c.table, c.partitions = e, map[string]partition{}
		return nil
	})
}

func (c *memCatalog) Update(_ context.Context, e *entry) error {
	return c.do("update", func() error {
		if e.version != fmt.Sprint(c.version) {
			return errConflict
		}
		c.table = e
		c.version++
		return nil
	})
}

func (c *memCatalog) Add(_ context.Context, _ *entry, ps []partition) (existing []partition, err error) {
	err = c.do("add", func() error {
		for _, p := range ps {
			if _, ok := c.partitions[p.key()]; ok {
				existing = append(existing, p)
			} else {
				c.partitions[p.key()] = p
			}
		}
		return nil
	})
	return existing, err
}

func (c *memCatalog) Locations(_ context.Context, ps []partition) (map[string]string, error) {
	at := map[string]string{}
	err := c.do("locations", func() error {
		for _, p := range ps {
			if have, ok := c.partitions[p.key()]; ok {
				at[p.key()] = have.Location
			}
		}
		return nil
	})
	return at, err
}

var errAway = fmt.Errorf("reset by peer: %w", stream.ErrUnavailable)

func onCall(name string, errs ...error) func(string) error {
	return func(call string) error {
		if call != name || len(errs) == 0 {
			return nil
		}
		err := errs[0]
		errs = errs[1:]
		return err
	}
}

func schemaOf(names ...string) *arrow.Schema {
	var fs []arrow.Field
	for _, n := range names {
		fs = append(fs, arrow.Field{Name: n, Type: arrow.BinaryTypes.String})
	}
	return arrow.NewSchema(fs, nil)
}

func over(t *testing.T, c *memCatalog) *Table {
	t.Helper()
	tab := uncatalogued(t, newStore("/lake/orders/"))
	tab.ref.Catalog = stream.CatalogRef{Kind: "mem", Database: "db", Table: "orders"}
	tab.ref.Partitions = []stream.PartitionColumn{{Name: "day", Type: "string"}}
	tab.cat = c
	if err := tab.Claim(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	return tab
}

func txn(tab *Table, days ...string) []stream.Manifest {
	m := stream.Manifest{Incarnation: ours.Incarnation, Tables: map[string]stream.TableRef{"silver": tab.ref}}
	for _, d := range days {
		m.Files = append(m.Files, stream.File{Table: "silver", Key: "day=" + d + "/f.parquet", Partition: []stream.PartitionValue{{Column: "day", Value: d}}})
	}
	return []stream.Manifest{m}
}

func TestEnsureFaults(t *testing.T) {
	for _, tc := range []struct {
		name          string
		before, after func(string) error
		want          error
		columns       int // in the end
	}{
		{"create: lost reply", nil, onCall("create", errAway), nil, 2},
		{"create: not done", onCall("create", errAway), nil, stream.ErrUnavailable, 0},
		{"create: denied", onCall("create", stream.ErrDenied), nil, stream.ErrDenied, 0},
		{"create: cancelled, undecided", nil, onCall("create", context.Canceled), nil, 2},
		{"create: away, and away to look", onCall("create", errAway), nil, stream.ErrUnavailable, 0},
		{"read: away", onCall("table", errAway), nil, stream.ErrUnavailable, 0},
		{"read: without a class", onCall("table", errors.New("odd")), nil, stream.ErrUnavailable, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &memCatalog{}
			tab := over(t, c)
			c.before, c.after = tc.before, tc.after
			_, err := tab.Ensure(t.Context(), schemaOf("a", "b", "day"))
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if n := c.columns(); n != tc.columns {
				t.Errorf("got %d columns, want %d", n, tc.columns)
			}
			c.before, c.after = nil, nil
			if _, err := tab.Ensure(t.Context(), schemaOf("a", "b", "day")); err != nil || c.columns() != 2 {
				t.Errorf("Ensure again: %v, %d columns, want 2", err, c.columns())
			}
		})
	}
}

func (c *memCatalog) columns() int {
	if c.table == nil {
		return 0
	}
	return len(c.table.Columns)
}

func TestEnsureRaces(t *testing.T) {
	c := &memCatalog{}
	tab := over(t, c)
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
		t.Fatal(err)
	}
	// Another worker adds a column between every read and update of ours, three times.
	for i := range 3 {
		next := c.before
		c.before = func(call string) error {
			if call == "update" {
				c.before = next
				e := *c.table
				e.Columns = append(slices.Clone(e.Columns), column{fmt.Sprintf("theirs%d", i), "int"})
				c.table = &e
				c.version++
			}
			return nil
		}
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "b", "day")); err != nil {
		t.Fatal(err)
	}
	if c.columns() != 5 {
		t.Errorf("got columns %v, want a, b and three of another's", c.table.Columns)
	}
	// The other adds the very column, with another type.
	c.before = func(call string) error {
		if call == "update" && c.columns() == 5 {
			e := *c.table
			e.Columns = append(slices.Clone(e.Columns), column{"c", "int"})
			c.table = &e
			c.version++
		}
		return nil
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "c", "day")); !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("got %v, want permanent: c is an int by now", err)
	}
	// Lost for ever: it must end.
	c.before = func(call string) error {
		if call == "update" {
			c.version++
		}
		return nil
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "d", "day")); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	c.before, c.after = nil, onCall("update", errAway)
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "d", "day")); err != nil {
		t.Errorf("a lost reply to an update: got %v, want success", err)
	}
}

func TestEnsureForeignMeanwhile(t *testing.T) {
	c := &memCatalog{}
	tab := over(t, c)
	c.before = func(call string) error { // another pipeline creates the table between our look and our creation
		if call == "create" {
			c.table = &entry{Location: tab.ref.Location, Properties: map[string]string{propOwner: "billing beef /x/"}}
		}
		return nil
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); !errors.Is(err, stream.ErrForeign) {
		t.Errorf("got %v, want foreign", err)
	}
}

func TestEnsureUnclaimed(t *testing.T) {
	tab := over(t, &memCatalog{})
	tab.owner, tab.store = nil, newStore("/lake/orders/")
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("got %v, want permanent: nobody owns this table", err)
	}
}

func TestEnsureRefusesSchemas(t *testing.T) {
	for name, s := range map[string]*arrow.Schema{
		"nothing beside partitions": schemaOf("day"),
		"comma in a name":           schemaOf("a,b", "day"),
		"no name":                   schemaOf("", "day"),
		"unknown type":              arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Uint64}}, nil),
		"colon in a field's name":   arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.StructOf(arrow.Field{Name: "x:y", Type: arrow.BinaryTypes.String})}}, nil),
		"struct of nothing":         arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.StructOf()}}, nil),
		"list as a partition":       arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}, {Name: "day", Type: arrow.ListOf(arrow.BinaryTypes.String)}}, nil),
	} {
		c := &memCatalog{}
		_, err := over(t, c).Ensure(t.Context(), s)
		if !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" || c.table != nil {
			t.Errorf("%s: got %v, table %v; want permanent with advice, and no table", name, err, c.table)
		}
	}
}

func TestApplyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &memCatalog{}
		tab := over(t, c)
		if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
			t.Fatal(err)
		}
		apply := func(want error, calls []string, days ...string) {
			t.Helper()
			c.calls = nil
			if err := tab.Apply(t.Context(), txn(tab, days...)); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
			if !slices.Equal(c.calls, calls) {
				t.Errorf("got calls %v, want %v", c.calls, calls)
			}
		}
		apply(nil, []string{"table", "add"}, "1", "2")
		apply(nil, nil, "1", "2") // known
		apply(nil, []string{"table", "add"}, "2", "3")
		c.after = onCall("add", errAway) // lost reply: the next try finds it there
		apply(stream.ErrUnavailable, []string{"table", "add"}, "4")
		apply(nil, []string{"table", "add", "locations"}, "4")
		c.after = onCall("add", errMissing)
		apply(stream.ErrUnavailable, []string{"table", "add"}, "5")

		time.Sleep(lookAgain + time.Second)
		apply(nil, []string{"table"}, "1") // known, but is the table still there?
		apply(nil, nil, "1")
		c.table = nil
		apply(nil, nil, "1")
		time.Sleep(lookAgain + time.Second)
		apply(stream.ErrPermanent, []string{"table"}, "1")
	})
}

func TestApplyForgetsWhenFull(t *testing.T) {
	c := &memCatalog{}
	tab := over(t, c)
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
		t.Fatal(err)
	}
	for i := range maxKnown {
		tab.seen.known[fmt.Sprint(i)] = struct{}{}
	}
	if err := tab.Apply(t.Context(), txn(tab, "1")); err != nil || len(tab.seen.known) != 1 {
		t.Errorf("got %v and %d remembered, want 1", err, len(tab.seen.known))
	}
}

func TestApplyRefusesFiles(t *testing.T) {
	c := &memCatalog{}
	tab := over(t, c)
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*stream.File){
		"no partition":    func(f *stream.File) { f.Partition = nil },
		"other column":    func(f *stream.File) { f.Partition[0].Column = "month" },
		"deeper folder":   func(f *stream.File) { f.Key = "x/" + f.Key },
		"not in a folder": func(f *stream.File) { f.Key = "f.parquet"; f.Partition = append(f.Partition, f.Partition[0]) },
	} {
		ms := txn(tab, "1")
		change(&ms[0].Files[0])
		if err := tab.Apply(t.Context(), ms); !errors.Is(err, stream.ErrPermanent) {
			t.Errorf("%s: got %v, want permanent", name, err)
		}
	}
	two := append(txn(tab, "1"), txn(tab, "2")...)
	two[1].Incarnation = "beef"
	if err := tab.Apply(t.Context(), two); !errors.Is(err, stream.ErrForeign) {
		t.Errorf("manifests of two ledgers: got %v, want foreign", err)
	}
	if len(c.partitions) != 0 {
		t.Errorf("refused files registered %v", c.partitions)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range []stream.CatalogRef{
		{Kind: "nessie", Database: "d", Table: "t"},
		{Kind: "local", Path: "/c", Database: "../x", Table: "t"},
		{Kind: "local", Path: "/c", Database: "d", Table: ""},
		{Kind: "local", Path: "/c", Database: "d", Table: "t", OnSchemaChange: "always"},
	} {
		if _, err := Open(t.Context(), stream.TableRef{Location: "/x/", Catalog: c}, Deps{}); !errors.Is(err, stream.ErrPermanent) {
			t.Errorf("%+v: got %v, want permanent", c, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	c := &memCatalog{}
	tab := over(t, c)
	tab.metrics = NewMetrics(reg)
	tab.cat = &measured{c, tab.metrics}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
		t.Fatal(err)
	}
	c.after = onCall("add", errAway)
	_ = tab.Apply(t.Context(), txn(tab, "1", "2"))
	_ = tab.Apply(t.Context(), txn(tab, "1", "2", "3"))
	// The two whose reply was lost exist at the next try, and are not counted.
	if got := testutil.ToFloat64(tab.metrics.partitions.WithLabelValues("silver")); got != 1 {
		t.Errorf("partitions created: got %v, want 1", got)
	}
	if got := testutil.ToFloat64(tab.metrics.requests.WithLabelValues("add", "unavailable")); got != 1 {
		t.Errorf("failed requests: got %v, want 1", got)
	}
	if got := testutil.ToFloat64(tab.metrics.requests.WithLabelValues("read", "missing")); got != 1 {
		t.Errorf("missing: got %v, want 1", got)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v; want no problems", problems, err)
	}
}

// TestApplyOnOldTable: a table made anew while partitions went to the old one has none of them.
func TestApplyOnOldTable(t *testing.T) {
	c := &memCatalog{}
	tab := over(t, c)
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "day")); err != nil {
		t.Fatal(err)
	}
	c.after = func(call string) error {
		if call == "add" {
			tab.see(&entry{Properties: map[string]string{propID: "new"}})
		}
		return nil
	}
	if err := tab.Apply(t.Context(), txn(tab, "1")); err != nil || len(tab.seen.known) != 0 {
		t.Errorf("got %v, and %d partitions of the new table are taken for known, want 0", err, len(tab.seen.known))
	}
}
