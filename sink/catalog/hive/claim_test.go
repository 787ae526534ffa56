package hive

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

var ours = stream.Owner{Pipeline: "orders", Incarnation: "7f3a", Ledger: "s3://lake/_millrace/orders/"}

func uncatalogued(t *testing.T, s *memStore) *Table {
	t.Helper()
	tab, err := Open(t.Context(), stream.TableRef{Name: "silver", Location: s.location}, Deps{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestClaim(t *testing.T) {
	s := newStore("s3://lake/orders/")
	for range 2 {
		if err := uncatalogued(t, s).Claim(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
	}
	if s.lists != 1 {
		t.Errorf("the folder was listed %d times, want once: a claim that is there is enough", s.lists)
	}
	want := `{
  "format": 1,
  "pipeline": "orders",
  "incarnation": "7f3a",
  "ledger": "s3://lake/_millrace/orders/"
}
`
	if got := string(s.objects[claimKey]); got != want {
		t.Errorf("got claim %s, want %s", got, want)
	}
	theirs := ours
	theirs.Incarnation = "beef"
	err := uncatalogued(t, s).Claim(t.Context(), theirs)
	if !errors.Is(err, stream.ErrForeign) || !strings.Contains(err.Error(), ours.Ledger) || !strings.Contains(stream.Next(err), claimKey) {
		t.Errorf("another ledger: got %v (next: %s), want foreign, with the ledger that has it", err, stream.Next(err))
	}
	if got := string(s.objects[claimKey]); got != want {
		t.Errorf("a refused claim changed it to %s", got)
	}
	moved := ours // the ledger's location is for people; the incarnation decides
	moved.Ledger = "s3://lake/_millrace/moved/"
	if err := uncatalogued(t, s).Claim(t.Context(), moved); err != nil {
		t.Errorf("a ledger that was moved: %v", err)
	}
}

func TestClaimRace(t *testing.T) {
	s := newStore("s3://lake/orders/")
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			o := ours
			o.Incarnation = fmt.Sprint(i % 2)
			errs[i] = uncatalogued(t, s).Claim(t.Context(), o)
		})
	}
	wg.Wait()
	var c claim
	if err := json.Unmarshal(s.objects[claimKey], &c); err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if won := c.Incarnation == fmt.Sprint(i%2); won != (err == nil) || !won && !errors.Is(err, stream.ErrForeign) {
			t.Errorf("worker of ledger %d: got %v, the claim has ledger %s", i%2, err, c.Incarnation)
		}
	}
}

func TestClaimReply(t *testing.T) {
	away := fmt.Errorf("503: %w", stream.ErrUnavailable)
	t.Run("lost", func(t *testing.T) {
		s := newStore("/lake/orders/")
		s.onPut = func(_ string, done func() error) error { return errors.Join(done(), away) }
		if err := uncatalogued(t, s).Claim(t.Context(), ours); err != nil {
			t.Errorf("got %v, want success: the claim is there", err)
		}
	})
	t.Run("not done", func(t *testing.T) {
		s := newStore("/lake/orders/")
		s.onPut = func(string, func() error) error { return away }
		if err := uncatalogued(t, s).Claim(t.Context(), ours); !errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("got %v, want unavailable", err)
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		s := newStore("/lake/orders/")
		s.getErr = fmt.Errorf("403: %w", stream.ErrDenied)
		if err := uncatalogued(t, s).Claim(t.Context(), ours); !errors.Is(err, stream.ErrDenied) || len(s.objects) != 0 {
			t.Errorf("got %v and %d objects, want denied and nothing written", err, len(s.objects))
		}
	})
}

func TestClaimOfFolders(t *testing.T) {
	for _, tc := range []struct {
		key   string
		class error
	}{
		{"part-0000.parquet", stream.ErrForeign},
		{"day=2026-01-03/part-0000-8d.snappy.parquet", stream.ErrForeign},
		{"_country=DE/x.parquet", stream.ErrForeign}, // a partition column may begin with "_"
		{"metadata/v1.metadata.json", stream.ErrForeign},
		{"day=2026-01-03/beef-0-1-1-0.parquet", stream.ErrForeign}, // another ledger's, whose claim was removed
		{"day=2026-01-03/7f3a-0-1-1-0.parquet", nil},
		{"_SUCCESS", nil},
		{"_millrace/staging/x", nil},
		{"_temporary/0/part-0000.parquet", nil},
		{".hidden", nil},
		{"day=2026-01-03/", nil},
	} {
		s := newStore("s3://lake/orders/")
		s.objects[tc.key] = nil
		err := uncatalogued(t, s).Claim(t.Context(), ours)
		if !errors.Is(err, tc.class) {
			t.Errorf("a folder with %s: got %v, want %v", tc.key, err, tc.class)
		}
		if err != nil && (stream.Next(err) == "" || s.objects[claimKey] != nil || !strings.Contains(err.Error(), tc.key)) {
			t.Errorf("a folder with %s: claimed, no advice, or the key is not named: %v", tc.key, err)
		}
	}
}

func TestClaimIsNotOne(t *testing.T) {
	for content, class := range map[string]error{
		`{"format":1,"pipe`: stream.ErrForeign, `{}`: stream.ErrForeign, `[]`: stream.ErrForeign, ``: stream.ErrForeign,
		`{"format":2,"pipeline":"orders","incarnation":"7f3a"}`: stream.ErrPermanent,
	} {
		s := newStore("s3://lake/orders/")
		s.objects[claimKey] = []byte(content)
		err := uncatalogued(t, s).Claim(t.Context(), ours)
		if !errors.Is(err, class) || stream.Next(err) == "" || string(s.objects[claimKey]) != content {
			t.Errorf("claim %q: got %v, now %q; want %v, advice, and the object untouched", content, err, s.objects[claimKey], class)
		}
	}
}

func TestLedgerInsideTable(t *testing.T) {
	for _, tc := range []struct {
		table, ledger string
		ok            bool
	}{
		{"s3://lake/orders/", "s3://lake/orders/_millrace/", false},
		{"s3://lake/orders/", "s3://lake/orders/", false},
		{"s3://lake/x/orders/", "s3://lake/x/", false},
		{"s3://lake/orders/", "s3://lake/orders_ledger/", true},
		{"/lake/dead_letter/", "/lake/ledger/", true},
		{"/lake/orders", "file:///lake/orders/ledger", false},
	} {
		o := ours
		o.Ledger = tc.ledger
		err := uncatalogued(t, newStore(tc.table)).Claim(t.Context(), o)
		if (err == nil) != tc.ok || err != nil && (!errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "") {
			t.Errorf("table %s, ledger %s: got %v, want ok %v", tc.table, tc.ledger, err, tc.ok)
		}
	}
}

func TestWithoutCatalog(t *testing.T) {
	tab := uncatalogued(t, newStore("/lake/orders/"))
	tab.ref.Partitions = []stream.PartitionColumn{{Name: "day", Type: "date"}}
	md := arrow.NewMetadata([]string{"k"}, []string{"v"})
	s := arrow.NewSchema([]arrow.Field{
		{Name: "Id", Type: arrow.BinaryTypes.String}, {Name: "day", Type: arrow.FixedWidthTypes.Date32}, {Name: "id", Type: arrow.BinaryTypes.String},
	}, &md)
	files, err := tab.Ensure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if files.NumFields() != 2 || files.Field(0).Name != "Id" || files.Field(1).Name != "id" || files.Metadata().FindKey("k") < 0 {
		t.Errorf("got schema %s, want Id and id, and the metadata", files)
	}
	if err := tab.Apply(t.Context(), []stream.Manifest{{Files: []stream.File{{Table: "silver"}}}}); err != nil {
		t.Errorf("Apply: %v", err)
	}
}
