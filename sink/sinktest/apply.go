package sinktest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/stream"
)

// Escape writes a partition value into a folder's name as Hive does.
func Escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == 0x7f || strings.IndexByte("\"#%'*/:=?\\{[]^", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const hiveNull = "__HIVE_DEFAULT_PARTITION__"

// Values gives every partition column of ref its value.
func Values(ref stream.TableRef, values ...string) []stream.PartitionValue {
	var out []stream.PartitionValue
	for i, v := range values {
		out = append(out, stream.PartitionValue{Column: ref.Partitions[i].Name, Value: v})
	}
	return out
}

func folder(p []stream.PartitionValue) string {
	dir := ""
	for _, v := range p {
		val := Escape(v.Value)
		if v.Null || val == "" {
			val = hiveNull
		}
		dir += v.Column + "=" + val + "/"
	}
	return dir
}

// Manifest is transaction n of the suite's pipeline with a file in each of the partitions.
func Manifest(ref stream.TableRef, n uint64, partitions ...[]stream.PartitionValue) stream.Manifest {
	m := stream.Manifest{
		Format: stream.Format, Incarnation: Owner().Incarnation, Lane: "0", Epoch: 1, N: n,
		Tables: map[string]stream.TableRef{ref.Name: ref},
	}
	for i, p := range partitions {
		m.Files = append(m.Files, stream.File{
			Table: ref.Name, Key: folder(p) + fmt.Sprintf("%s-%d.parquet", m.ID(), i), Partition: p, Rows: 1, Bytes: 1,
		})
	}
	return m
}

// wantPartitions checks that exactly these partitions are registered, each with its folder.
func wantPartitions(t *testing.T, c Catalog, ref stream.TableRef, want ...[]stream.PartitionValue) {
	t.Helper()
	var got, exp []string
	for _, p := range read(t, c, ref).Partitions {
		got = append(got, fmt.Sprintf("%q %s", p.Values, strings.TrimRight(p.Location, "/")))
	}
	for _, p := range want {
		var vs []string
		for _, v := range p {
			if v.Null || v.Value == "" {
				v.Value = hiveNull
			}
			vs = append(vs, v.Value)
		}
		exp = append(exp, fmt.Sprintf("%q %s", vs, strings.TrimRight(ref.Location+folder(p), "/")))
	}
	slices.Sort(got)
	slices.Sort(exp)
	if !slices.Equal(got, exp) {
		t.Errorf("partitions:\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(exp, "\n     "))
	}
}

func apply(t *testing.T, tab stream.Table, ms ...stream.Manifest) {
	t.Helper()
	if err := tab.Apply(t.Context(), ms); err != nil {
		t.Fatalf("Apply: %v", err)
	}
}

func testApplyAgain(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "country")
	tab := opened(t, c, ref, Columns("a", "country"))
	de, fr := Values(ref, "DE"), Values(ref, "FR")
	m1, m2 := Manifest(ref, 1, de, de), Manifest(ref, 2, de, fr)
	apply(t, tab, m1)
	wantPartitions(t, c, ref, de)
	apply(t, tab, m1, m2)
	apply(t, tab, m2)
	apply(t, c.Open(t, ref), m1, m2) // another worker, which knows nothing
	apply(t, tab)
	apply(t, tab, Manifest(ref, 3))
	wantPartitions(t, c, ref, de, fr)
}

func testManyPartitions(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "country", "city")
	tab := opened(t, c, ref, Columns("a", "country", "city"))
	var all [][]stream.PartitionValue
	for i := range 250 {
		all = append(all, Values(ref, fmt.Sprintf("c%d", i%7), fmt.Sprintf("city %d", i)))
	}
	apply(t, tab, Manifest(ref, 1, all[:30]...), Manifest(ref, 2, all...))
	wantPartitions(t, c, ref, all...)
	apply(t, c.Open(t, ref), Manifest(ref, 2, all...))
	wantPartitions(t, c, ref, all...)
}

func testAwkwardValues(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v", "w")
	tab := opened(t, c, ref, Columns("a", "v", "w"))
	var all [][]stream.PartitionValue
	for _, v := range []string{
		"a/b", "=", "k=v", "../../x", "100%", "%2F", "🦀", "grüße", "two words", "'quoted'", `back\slash`, "tab\there", "a:b", "{x}", "[y]", "A", "a", " ",
	} {
		all = append(all, Values(ref, v, "x"), Values(ref, "x", v))
	}
	apply(t, tab, Manifest(ref, 1, all...))
	apply(t, c.Open(t, ref), Manifest(ref, 1, all...))
	wantPartitions(t, c, ref, all...)
}

func testNullValues(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	tab := opened(t, c, ref, Columns("a", "v"))
	null := []stream.PartitionValue{{Column: "v", Null: true}}
	apply(t, tab, Manifest(ref, 1, null))
	apply(t, tab, Manifest(ref, 2, Values(ref, "")))
	apply(t, c.Open(t, ref), Manifest(ref, 3, null))
	wantPartitions(t, c, ref, null)
}

func testPartitionElsewhere(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	opened(t, c, ref, Columns("a", "v"))
	e := read(t, c, ref)
	e.Partitions = []Partition{{Values: []string{"x"}, Location: "s3://somebody/else/v=x/"}}
	c.Write(t, ref, *e)
	tab := c.Open(t, ref)
	for range 2 { // and again: it must not be taken for known
		err := tab.Apply(t.Context(), []stream.Manifest{Manifest(ref, 1, Values(ref, "x"), Values(ref, "y"))})
		wantRefusal(t, err, stream.ErrForeign, "s3://somebody/else/v=x/", ref.Location)
	}
	if got := read(t, c, ref).Partitions; !slices.ContainsFunc(got, func(p Partition) bool { return p.Location == "s3://somebody/else/v=x/" }) {
		t.Errorf("the other's partition was changed: %+v", got)
	}
}

func testConcurrentApply(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	shared := opened(t, c, ref, Columns("a", "v"))
	var all [][]stream.PartitionValue
	for i := range 150 {
		all = append(all, Values(ref, fmt.Sprint(i)))
	}
	together(t, 8, func(i int) error {
		tab := shared
		if i%2 == 0 {
			tab = c.Open(t, ref)
		}
		return tab.Apply(t.Context(), []stream.Manifest{Manifest(ref, uint64(i+1), all[i*10:i*10+80]...)}) //nolint:gosec // small
	})
	wantPartitions(t, c, ref, all...)
}

func testMissing(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	opened(t, c, ref, Columns("a", "v"))
	c.Drop(t, ref)
	err := c.Open(t, ref).Apply(t.Context(), []stream.Manifest{Manifest(ref, 1, Values(ref, "x"))})
	wantRefusal(t, err, stream.ErrPermanent, ref.Catalog.Table, "missing")
	plain := c.Ref(t) // one without partitions is looked after as well
	err = c.Open(t, plain).Apply(t.Context(), []stream.Manifest{Manifest(plain, 1, nil)})
	wantRefusal(t, err, stream.ErrPermanent, plain.Catalog.Table, "missing")
}

func testReplaced(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	tab := opened(t, c, ref, Columns("a", "v"))
	apply(t, tab, Manifest(ref, 1, Values(ref, "x")))
	e := read(t, c, ref)
	c.Drop(t, ref)

	other := *e
	other.Keys, other.Partitions = []Column{{"w", "string"}}, nil
	c.Write(t, ref, other)
	err := tab.Apply(t.Context(), []stream.Manifest{Manifest(ref, 2, Values(ref, "y"))})
	wantRefusal(t, err, stream.ErrPermanent, "partitioned by")

	foreign := *e
	foreign.Properties, foreign.Partitions = map[string]string{}, nil
	c.Write(t, ref, foreign)
	err = tab.Apply(t.Context(), []stream.Manifest{Manifest(ref, 2, Values(ref, "y"))})
	wantRefusal(t, err, stream.ErrForeign, ref.Catalog.Table)

	// Made anew by another worker of ours: what was known of the old one counts no more.
	c.Drop(t, ref)
	opened(t, c, ref, Columns("a", "v"))
	apply(t, tab, Manifest(ref, 2, Values(ref, "y")))
	apply(t, tab, Manifest(ref, 1, Values(ref, "x")))
	wantPartitions(t, c, ref, Values(ref, "x"), Values(ref, "y"))
}

func testOtherTables(t *testing.T, c Catalog) {
	ref, other := partitioned(c.Ref(t), "v"), partitioned(c.Ref(t), "v")
	other.Name += "_other"
	tab := opened(t, c, ref, Columns("a", "v"))
	m, n := Manifest(ref, 1, Values(ref, "x")), Manifest(other, 1, Values(other, "y"))
	m.Files = append(m.Files, n.Files...)
	m.Tables[other.Name] = other
	apply(t, tab, m)
	wantPartitions(t, c, ref, Values(ref, "x"))
	// The name of a sink, given to a table elsewhere since: manifests tell which is meant.
	renamed := other
	renamed.Name = ref.Name
	apply(t, tab, Manifest(renamed, 2, Values(renamed, "z")))
	wantPartitions(t, c, ref, Values(ref, "x"))
}

func testPartitionColumns(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "v")
	tab := opened(t, c, ref, Columns("a", "v"))
	apply(t, tab, Manifest(ref, 1, Values(ref, "x")))
	if _, err := c.Open(t, ref).Ensure(t.Context(), Columns("a", "v", "fresh")); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	apply(t, tab, Manifest(ref, 2, Values(ref, "y")))
	for _, p := range read(t, c, ref).Partitions {
		if p.Columns != nil && p.Values[0] == "y" {
			wantColumns(t, "columns of a new partition", p.Columns, []Column{{"a", "string"}, {"fresh", "string"}})
		}
	}
}
