package sink_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// The real uploads on a folder: invisible until published, then whole Parquet files; after Abort nothing is left.
func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	client := must[store.Client](t)(store.Open(t.Context(), dir, store.Options{}))
	up := object.New(client, object.Options{})
	s := parquetSink(t, up, nil, "zstd")
	batches, _ := orders(1, 3)
	visible := func() (names []string) {
		names, err := filepath.Glob(filepath.Join(dir, "part=*", "*.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	dropped := s.Begin(txn("0", 1))
	write(t, dropped, batches[0])
	seal(t, dropped)
	if err := dropped.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := s.Begin(txn("0", 2))
	write(t, w, batches[0])
	files := seal(t, w)
	if got := visible(); len(got) != 0 {
		t.Fatalf("%v can be seen before they are published", got)
	}
	rows := int64(0)
	for _, f := range files {
		if err := up.Publish(t.Context(), f.Upload); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Key)))
		if err != nil {
			t.Fatal(err)
		}
		pf, err := file.NewParquetReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if pf.NumRows() != f.Rows || int64(len(b)) != f.Bytes || *pf.MetaData().KeyValueMetadata().FindValue("millrace.transaction") != "7f3a-0-17-2" {
			t.Errorf("%s: %d rows and %d bytes, told were %d and %d", f.Key, pf.NumRows(), len(b), f.Rows, f.Bytes)
		}
		rows += f.Rows
	}
	if rows != stream.BatchRows || len(visible()) != 3 {
		t.Errorf("got %d rows in %v, want %d", rows, visible(), stream.BatchRows)
	}
	for r, err := range up.Pending(t.Context(), "") {
		t.Errorf("left behind: %v, %v", r.Key, err)
	}
}
