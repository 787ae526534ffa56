package sinktest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

func testCreate(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	ref.Partitions = []stream.PartitionColumn{{Name: "day", Type: "date"}, {Name: "shop", Type: "int32"}}
	tab := c.Open(t, ref)
	if err := tab.Claim(t.Context(), Owner()); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	files, err := tab.Ensure(t.Context(), Schema())
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	want := slices.DeleteFunc(SchemaColumns(), func(c Column) bool { return c.Name == "day" })
	var names []string
	for _, col := range want {
		names = append(names, col.Name)
	}
	wantFields(t, files, names...)
	e := read(t, c, ref)
	wantColumns(t, "columns", e.Columns, want)
	wantColumns(t, "partition keys", e.Keys, []Column{{"day", "date"}, {"shop", "int"}})
	if strings.TrimRight(e.Location, "/") != strings.TrimRight(ref.Location, "/") {
		t.Errorf("location: got %s, want %s", e.Location, ref.Location)
	}
	if e.Properties["classification"] != "parquet" || !strings.Contains(e.Properties["millrace.owner"], Owner().Incarnation) {
		t.Errorf("properties: got %v, want classification parquet and millrace.owner with the incarnation", e.Properties)
	}
}

func testEnsureAgain(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	opened(t, c, ref, Schema())
	before := read(t, c, ref)
	again := opened(t, c, ref, Schema())
	for range 3 {
		if _, err := again.Ensure(t.Context(), Schema()); err != nil {
			t.Fatalf("Ensure: %v", err)
		}
	}
	// A process that finds the claim of an earlier one need not claim again.
	if _, err := c.Open(t, ref).Ensure(t.Context(), Schema()); err != nil {
		t.Fatalf("Ensure without Claim: %v", err)
	}
	if after := read(t, c, ref); !reflect.DeepEqual(before, after) {
		t.Errorf("the table changed from %+v to %+v", before, after)
	}
}

func testEvolve(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	str, num := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64
	inner := func(fs ...arrow.Field) *arrow.Schema {
		return arrow.NewSchema([]arrow.Field{
			{Name: "id", Type: str},
			{Name: "buyer", Type: arrow.StructOf(fs...)},
			{Name: "lines", Type: arrow.ListOf(arrow.StructOf(fs...))},
			{Name: "by_key", Type: arrow.MapOf(str, arrow.StructOf(fs...))},
		}, nil)
	}
	tab := opened(t, c, ref, inner(arrow.Field{Name: "a", Type: str}))
	wider := inner(arrow.Field{Name: "b", Type: num}, arrow.Field{Name: "a", Type: str})
	wider = arrow.NewSchema(append([]arrow.Field{{Name: "extra", Type: num}}, wider.Fields()...), nil)
	files, err := tab.Ensure(t.Context(), wider)
	if err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	wantFields(t, files, "extra", "id", "buyer", "lines", "by_key")
	want := []Column{
		{"id", "string"}, {"buyer", "struct<a:string,b:bigint>"}, {"lines", "array<struct<a:string,b:bigint>>"},
		{"by_key", "map<string,struct<a:string,b:bigint>>"}, {"extra", "bigint"},
	}
	wantColumns(t, "columns", read(t, c, ref).Columns, want)
	// An older worker, or a narrower configuration, takes nothing away.
	opened(t, c, ref, inner(arrow.Field{Name: "a", Type: str}))
	wantColumns(t, "columns after a narrower schema", read(t, c, ref).Columns, want)
}

func testOthersColumns(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	tab := opened(t, c, ref, Columns("a"))
	e := read(t, c, ref)
	e.Columns = append(e.Columns, Column{"theirs", "map<string,array<tinyint>>"}, Column{"odd", "interval_day_time"})
	e.Properties["comment"] = "kept"
	c.Write(t, ref, *e)
	if _, err := tab.Ensure(t.Context(), Columns("a", "b")); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	after := read(t, c, ref)
	wantColumns(t, "columns", after.Columns, append(e.Columns, Column{"b", "string"}))
	if after.Properties["comment"] != "kept" {
		t.Errorf("properties: got %v, want comment kept", after.Properties)
	}
}

func testPolicyFail(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	ref.Catalog.OnSchemaChange = "fail"
	tab := opened(t, c, ref, Columns("a", "b"))
	_, err := tab.Ensure(t.Context(), Columns("a", "b", "fresh"))
	wantRefusal(t, err, stream.ErrPermanent, "fresh")
	wantColumns(t, "columns", read(t, c, ref).Columns, []Column{{"a", "string"}, {"b", "string"}})
	if _, err := tab.Ensure(t.Context(), Columns("b", "a")); err != nil {
		t.Errorf("Ensure of the same columns in another order: %v", err)
	}
}

func testIncompatible(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	str := arrow.BinaryTypes.String
	first := arrow.NewSchema([]arrow.Field{
		{Name: "amount", Type: arrow.PrimitiveTypes.Int32},
		{Name: "price", Type: &arrow.Decimal128Type{Precision: 9, Scale: 2}},
		{Name: "buyer", Type: arrow.StructOf(arrow.Field{Name: "id", Type: str})},
	}, nil)
	tab := opened(t, c, ref, first)
	before := read(t, c, ref)
	for _, changed := range []struct {
		field arrow.Field
		words []string
	}{
		{arrow.Field{Name: "amount", Type: str}, []string{"amount", "int", "string"}},
		{arrow.Field{Name: "amount", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32)}, []string{"amount", "array<int>"}},
		{arrow.Field{Name: "price", Type: &arrow.Decimal128Type{Precision: 9, Scale: 3}}, []string{"price", "decimal(9,2)", "decimal(9,3)"}},
		{arrow.Field{Name: "buyer", Type: arrow.StructOf(arrow.Field{Name: "id", Type: arrow.PrimitiveTypes.Int64})}, []string{"buyer.id", "bigint"}},
	} {
		fields := slices.Clone(first.Fields())
		for i := range fields {
			if fields[i].Name == changed.field.Name {
				fields[i] = changed.field
			}
		}
		fields = append(fields, arrow.Field{Name: "fresh", Type: str})
		_, err := tab.Ensure(t.Context(), arrow.NewSchema(fields, nil))
		wantRefusal(t, err, stream.ErrPermanent, changed.words...)
	}
	if after := read(t, c, ref); !reflect.DeepEqual(before, after) {
		t.Errorf("a refused change changed the table from %+v to %+v", before, after)
	}
}

func testKeysDiffer(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	opened(t, c, partitioned(ref, "country"), Columns("a", "b", "country"))
	for _, other := range []stream.TableRef{ref, partitioned(ref, "b"), partitioned(ref, "country", "b")} {
		_, err := c.Open(t, other).Ensure(t.Context(), Columns("a", "b", "country"))
		wantRefusal(t, err, stream.ErrPermanent, "partitioned by", "country string")
	}
}

func testLocationDiffers(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	opened(t, c, ref, Columns("a"))
	moved := ref
	moved.Location += "moved/"
	wantRefusal(t, c.Open(t, moved).Claim(t.Context(), Owner()), stream.ErrPermanent, moved.Location)
}

func testFolding(t *testing.T, c Catalog) {
	ref := partitioned(c.Ref(t), "Country")
	ref.Catalog.Database, ref.Catalog.Table = strings.ToUpper(ref.Catalog.Database), strings.ToUpper(ref.Catalog.Table)
	s := arrow.NewSchema(append(Columns("OrderId", "Country").Fields(),
		arrow.Field{Name: "Buyer", Type: arrow.StructOf(arrow.Field{Name: "FirstName", Type: arrow.BinaryTypes.String})}), nil)
	tab := opened(t, c, ref, s)
	files, err := tab.Ensure(t.Context(), s)
	if err != nil {
		t.Fatalf("Ensure again: %v", err)
	}
	wantFields(t, files, "OrderId", "Buyer")
	e := read(t, c, ref)
	wantColumns(t, "columns", e.Columns, []Column{{"orderid", "string"}, {"buyer", "struct<firstname:string>"}})
	wantColumns(t, "partition keys", e.Keys, []Column{{"country", "string"}})
	if err := tab.Apply(t.Context(), []stream.Manifest{Manifest(ref, 1, Values(ref, "DE"))}); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	wantPartitions(t, c, ref, Values(ref, "DE"))
}

func testFoldAlike(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	tab := c.Open(t, ref)
	if err := tab.Claim(t.Context(), Owner()); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	_, err := tab.Ensure(t.Context(), Columns("Id", "id"))
	wantRefusal(t, err, stream.ErrPermanent, "id")
	nested := arrow.StructOf(arrow.Field{Name: "Id", Type: arrow.BinaryTypes.String}, arrow.Field{Name: "ID", Type: arrow.BinaryTypes.String})
	_, err = tab.Ensure(t.Context(), arrow.NewSchema([]arrow.Field{{Name: "buyer", Type: nested}}, nil))
	wantRefusal(t, err, stream.ErrPermanent, "buyer")
	_, err = c.Open(t, partitioned(ref, "Day")).Ensure(t.Context(), Columns("a", "day", "Day"))
	wantRefusal(t, err, stream.ErrPermanent, "day")
	if e := c.Read(t, ref); e != nil {
		t.Errorf("a refused schema made a table: %+v", e)
	}
}

func testForeignTable(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	theirs := Entry{Columns: []Column{{"a", "string"}}, Location: ref.Location, Properties: map[string]string{"classification": "parquet"}}
	c.Write(t, ref, theirs)
	wantRefusal(t, c.Open(t, ref).Claim(t.Context(), Owner()), stream.ErrForeign, ref.Catalog.Table)
	if e := read(t, c, ref); e.Properties["millrace.owner"] != "" || len(e.Columns) != 1 {
		t.Errorf("a refused claim changed the table: %+v", e)
	}
	// The advice must work: with the property set, the table is ours.
	o := Owner()
	theirs.Properties["millrace.owner"] = o.Pipeline + " " + o.Incarnation + " " + o.Ledger
	c.Write(t, ref, theirs)
	opened(t, c, ref, Columns("a", "b"))
	wantColumns(t, "columns", read(t, c, ref).Columns, []Column{{"a", "string"}, {"b", "string"}})
}

func testAnotherOwner(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	opened(t, c, ref, Columns("a"))
	other := stream.Owner{Pipeline: "billing", Incarnation: "ffff0000", Ledger: "/ledgers/billing/"}
	wantRefusal(t, c.Open(t, ref).Claim(t.Context(), other), stream.ErrForeign, "orders")
	elsewhere := ref // the same name in the catalog from another folder: its claim is free, the catalog's is not
	elsewhere.Location += "elsewhere/"
	wantRefusal(t, c.Open(t, elsewhere).Claim(t.Context(), other), stream.ErrForeign, "orders")
	unregistered := ref // the same folder under another name in the catalog
	unregistered.Catalog.Table += "_2"
	wantRefusal(t, c.Open(t, unregistered).Claim(t.Context(), other), stream.ErrForeign, "orders", Owner().Ledger)
}

func testConcurrentCreate(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	together(t, 8, func(int) error {
		tab := c.Open(t, ref)
		if err := tab.Claim(t.Context(), Owner()); err != nil {
			return err
		}
		_, err := tab.Ensure(t.Context(), Schema())
		return err
	})
	wantColumns(t, "columns", read(t, c, ref).Columns, SchemaColumns())
}

// testConcurrentEnsure lets workers add a column each. One that wrote over a version it had not read would lose another's.
func testConcurrentEnsure(t *testing.T, c Catalog) {
	ref := c.Ref(t)
	opened(t, c, ref, Columns("a"))
	const workers = 8
	together(t, workers, func(i int) error {
		_, err := c.Open(t, ref).Ensure(t.Context(), Columns("a", fmt.Sprintf("c%d", i)))
		return err
	})
	got := read(t, c, ref).Columns
	for i := range workers {
		if !slices.Contains(got, Column{fmt.Sprintf("c%d", i), "string"}) {
			t.Errorf("column c%d was lost: %v", i, got)
		}
	}
	if len(got) != workers+1 {
		t.Errorf("got %d columns, want %d: %v", len(got), workers+1, got)
	}
}

// together runs f n times at once.
func together(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("worker %d: %v", i, err)
		}
	}
}
