package hive_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/sink/sinktest"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// localCatalog reads and writes the files by what doc.go says of them, not by the package's code.
type localCatalog struct {
	dir    string
	stores hive.Stores
	n      atomic.Int64
}

type tableFile struct {
	Format        int               `json:"format"`
	Version       uint64            `json:"version"`
	Location      string            `json:"location"`
	Columns       []map[string]any  `json:"columns"`
	PartitionKeys []map[string]any  `json:"partition_keys"`
	Properties    map[string]string `json:"properties"`
}

type partitionsFile struct {
	Format     int `json:"format"`
	Partitions []struct {
		Values   []string `json:"values"`
		Location string   `json:"location"`
	} `json:"partitions"`
}

func (c *localCatalog) Ref(testing.TB) stream.TableRef {
	n := c.n.Add(1)
	return stream.TableRef{
		Name: "silver", Location: fmt.Sprintf("/lake/orders%d/", n),
		Catalog: stream.CatalogRef{Kind: "local", Path: c.dir, Database: "silver_db", Table: fmt.Sprintf("orders%d", n)},
	}
}

func (c *localCatalog) Open(t testing.TB, ref stream.TableRef) stream.Table {
	t.Helper()
	tab, err := hive.Open(t.Context(), ref, hive.Deps{Store: c.stores.At(ref.Location)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return tab
}

func (c *localCatalog) files(ref stream.TableRef) (table, partitions string) {
	base := filepath.Join(c.dir, strings.ToLower(ref.Catalog.Database), strings.ToLower(ref.Catalog.Table))
	return base + ".json", base + ".partitions.json"
}

func (c *localCatalog) Read(t testing.TB, ref stream.TableRef) *sinktest.Entry {
	t.Helper()
	tableName, partitionsName := c.files(ref)
	b, err := os.ReadFile(tableName)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var tf tableFile
	if err == nil {
		err = json.Unmarshal(b, &tf)
	}
	if err != nil {
		t.Fatal(err)
	}
	e := &sinktest.Entry{Location: tf.Location, Properties: tf.Properties}
	for _, col := range tf.Columns {
		e.Columns = append(e.Columns, sinktest.Column{Name: col["name"].(string), Type: col["type"].(string)})
	}
	for _, col := range tf.PartitionKeys {
		e.Keys = append(e.Keys, sinktest.Column{Name: col["name"].(string), Type: col["type"].(string)})
	}
	var pf partitionsFile
	if b, err = os.ReadFile(partitionsName); err == nil {
		err = json.Unmarshal(b, &pf)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, p := range pf.Partitions {
		e.Partitions = append(e.Partitions, sinktest.Partition{Values: p.Values, Location: p.Location})
	}
	return e
}

func (c *localCatalog) Write(t testing.TB, ref stream.TableRef, e sinktest.Entry) {
	t.Helper()
	columns := func(cs []sinktest.Column) []map[string]any {
		out := []map[string]any{}
		for _, col := range cs {
			out = append(out, map[string]any{"name": col.Name, "type": col.Type})
		}
		return out
	}
	ps := []map[string]any{}
	for _, p := range e.Partitions {
		ps = append(ps, map[string]any{"values": p.Values, "location": p.Location})
	}
	table, partitions := c.files(ref)
	write(t, table, tableFile{1, 7, e.Location, columns(e.Columns), columns(e.Keys), e.Properties})
	write(t, partitions, map[string]any{"format": 1, "partitions": ps})
}

func write(t testing.TB, name string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o755)
	}
	if err == nil {
		err = os.WriteFile(name, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (c *localCatalog) Drop(t testing.TB, ref stream.TableRef) {
	t.Helper()
	table, partitions := c.files(ref)
	for _, name := range []string{table, partitions} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func newLocal(t testing.TB) sinktest.Catalog { return &localCatalog{dir: t.TempDir()} }

func TestLocal(t *testing.T) { sinktest.Table(t, newLocal) }

// TestLocalFormat pins every byte, as others read these files.
func TestLocalFormat(t *testing.T) {
	c := &localCatalog{dir: t.TempDir()}
	ref := c.Ref(t)
	ref.Partitions = []stream.PartitionColumn{{Name: "day", Type: "string"}}
	tab := c.Open(t, ref)
	claimed(t, tab)
	ms := []stream.Manifest{sinktest.Manifest(ref, 1, sinktest.Values(ref, "b/c"), sinktest.Values(ref, "a"))}
	if err := tab.Apply(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	table, partitions := c.files(ref)
	id := c.Read(t, ref).Properties["millrace.id"]
	wantFile(t, table, `{
  "format": 1,
  "version": 1,
  "location": "/lake/orders1/",
  "columns": [
    {
      "name": "order_id",
      "type": "string"
    }
  ],
  "partition_keys": [
    {
      "name": "day",
      "type": "string"
    }
  ],
  "properties": {
    "EXTERNAL": "TRUE",
    "classification": "parquet",
    "millrace.id": "`+id+`",
    "millrace.owner": "orders 7f3a51c2 /ledgers/orders/",
    "typeOfData": "file"
  }
}
`)
	wantFile(t, partitions, `{
  "format": 1,
  "partitions": [
    {
      "values": [
        "a"
      ],
      "location": "/lake/orders1/day=a/"
    },
    {
      "values": [
        "b/c"
      ],
      "location": "/lake/orders1/day=b%2Fc/"
    }
  ]
}
`)
	entries, err := os.ReadDir(filepath.Dir(table))
	if err != nil || len(entries) != 3 {
		t.Errorf("got files %v, %v; want the lock, the table and its partitions", entries, err)
	}
}

func claimed(t *testing.T, tab stream.Table) {
	t.Helper()
	if err := tab.Claim(t.Context(), sinktest.Owner()); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	if _, err := tab.Ensure(t.Context(), sinktest.Columns("order_id", "day")); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
}

func wantFile(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

func TestLocalBadFiles(t *testing.T) {
	for _, tc := range []struct{ name, content, word string }{
		{"cut off", `{"format": 1, "ver`, "not a file of a catalog"},
		{"empty", ``, "not a file of a catalog"},
		{"another JSON", `{}`, "not a file of a catalog"},
		{"newer", `{"format": 2, "version": 1}`, "format 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &localCatalog{dir: t.TempDir()}
			ref := c.Ref(t)
			table, partitions := c.files(ref)
			if err := os.MkdirAll(filepath.Dir(table), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(table, []byte(tc.content), 0o644); err != nil {
				t.Fatal(err)
			}
			err := c.Open(t, ref).Claim(t.Context(), sinktest.Owner())
			if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), tc.word) || stream.Next(err) == "" {
				t.Errorf("got %v (next: %s), want permanent, %q, advice", err, stream.Next(err), tc.word)
			}
			c.Drop(t, ref)
			ref.Partitions = []stream.PartitionColumn{{Name: "day", Type: "string"}}
			tab := c.Open(t, ref)
			claimed(t, tab)
			if err := os.WriteFile(partitions, []byte(tc.content), 0o644); err != nil {
				t.Fatal(err)
			}
			err = tab.Apply(t.Context(), []stream.Manifest{sinktest.Manifest(ref, 1, sinktest.Values(ref, "x"))})
			if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(err.Error(), tc.word) {
				t.Errorf("partitions: got %v, want permanent, %q", err, tc.word)
			}
			if got, _ := os.ReadFile(partitions); string(got) != tc.content {
				t.Errorf("a file that could not be read was replaced by %s", got)
			}
		})
	}
}

// TestLocalLockHeld: a stopped process that holds the lock must not hold us for ever.
func TestLocalLockHeld(t *testing.T) {
	c := &localCatalog{dir: t.TempDir()}
	ref := c.Ref(t)
	claimed(t, c.Open(t, ref))
	lock, err := os.OpenFile(filepath.Join(c.dir, "silver_db", ".lock"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := c.Open(t, ref).Claim(t.Context(), sinktest.Owner())
		if !errors.Is(err, stream.ErrUnavailable) || !strings.Contains(stream.Next(err), "fuser") {
			t.Errorf("got %v (next: %s), want unavailable, and how to find who holds it", err, stream.Next(err))
		}
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("gave up after %s, want 30 s", took)
		}
	})
}

func TestLocalDenied(t *testing.T) {
	if _, err := hive.Open(t.Context(), stream.TableRef{Catalog: stream.CatalogRef{Kind: "local", Path: "relative", Database: "d", Table: "t"}}, hive.Deps{}); !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("a relative path: got %v, want permanent", err)
	}
	c := &localCatalog{dir: filepath.Join(t.TempDir(), "catalog")}
	if err := os.WriteFile(c.dir, nil, 0o644); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	err := c.Open(t, c.Ref(t)).Claim(t.Context(), sinktest.Owner())
	if !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("a file in place of the catalog: got %v, want permanent", err)
	}
}

// TestClaimOnDisk claims a folder through the store that production uses.
func TestClaimOnDisk(t *testing.T) {
	dir := t.TempDir() + "/orders/"
	ref := stream.TableRef{Name: "silver", Location: dir}
	var last stream.Table
	for range 2 {
		disk, err := store.Open(t.Context(), dir, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if last, err = hive.Open(t.Context(), ref, hive.Deps{Store: disk}); err != nil {
			t.Fatal(err)
		}
		if err := last.Claim(t.Context(), sinktest.Owner()); err != nil {
			t.Fatal(err)
		}
	}
	other := sinktest.Owner()
	other.Incarnation = "beef"
	if err := last.Claim(t.Context(), other); !errors.Is(err, stream.ErrForeign) {
		t.Errorf("another ledger: got %v, want foreign", err)
	}
	write(t, dir+"day=1/beef-0-1-1-0.parquet", nil)
	if err := os.Remove(dir + "_millrace.json"); err != nil {
		t.Fatal(err)
	}
	if err := last.Claim(t.Context(), sinktest.Owner()); !errors.Is(err, stream.ErrForeign) {
		t.Errorf("another's file: got %v, want foreign", err)
	}
}
