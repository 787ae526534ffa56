package sinktest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// Table runs the suite against the catalog that open makes, a new one for each test.
func Table(t *testing.T, open func(t testing.TB) Catalog) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Catalog)
	}{
		{"create", testCreate},
		{"ensure is idempotent", testEnsureAgain},
		{"add columns and nested fields", testEvolve},
		{"columns of others stay", testOthersColumns},
		{"on_schema_change fail", testPolicyFail},
		{"incompatible change", testIncompatible},
		{"partition keys differ", testKeysDiffer},
		{"location differs", testLocationDiffers},
		{"names fold to lower case", testFolding},
		{"names that fold alike", testFoldAlike},
		{"foreign table", testForeignTable},
		{"another owner", testAnotherOwner},
		{"concurrent creation", testConcurrentCreate},
		{"concurrent columns", testConcurrentEnsure},
		{"apply is idempotent", testApplyAgain},
		{"250 partitions", testManyPartitions},
		{"awkward partition values", testAwkwardValues},
		{"null partition values", testNullValues},
		{"partition is elsewhere", testPartitionElsewhere},
		{"concurrent apply", testConcurrentApply},
		{"table is missing", testMissing},
		{"table was replaced", testReplaced},
		{"other tables in the manifest", testOtherTables},
		{"partitions carry new columns", testPartitionColumns},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, patiently{open(t)}) })
	}
}

// opened is a claimed and created table.
func opened(t *testing.T, c Catalog, ref stream.TableRef, s *arrow.Schema) stream.Table {
	t.Helper()
	tab := c.Open(t, ref)
	if err := tab.Claim(t.Context(), Owner()); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if _, err := tab.Ensure(t.Context(), s); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	return tab
}

// partitioned adds partition columns of type string to ref.
func partitioned(ref stream.TableRef, names ...string) stream.TableRef {
	for _, n := range names {
		ref.Partitions = append(ref.Partitions, stream.PartitionColumn{Name: n, Type: "string"})
	}
	return ref
}

func read(t *testing.T, c Catalog, ref stream.TableRef) *Entry {
	t.Helper()
	e := c.Read(t, ref)
	if e == nil {
		t.Fatal("the table is not in the catalog")
	}
	return e
}

// wantRefusal checks class and advice of an error, and that its text names what it is about.
func wantRefusal(t *testing.T, err, class error, words ...string) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("got error %v, want one that is %v", err, class)
	}
	if stream.Next(err) == "" {
		t.Errorf("the error gives no advice: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not name %q: %v", w, err)
		}
	}
}

func wantColumns(t *testing.T, what string, got, want []Column) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantFields(t *testing.T, got *arrow.Schema, want ...string) {
	t.Helper()
	var names []string
	for _, f := range got.Fields() {
		names = append(names, f.Name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("schema of files: got %v, want %v", names, want)
	}
}
