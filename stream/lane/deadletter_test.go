package lane_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/millrace/millrace/stream"
)

// TestADeadLetterHoldsWhatCanBeHeld: no time where there is none, keys of headers that any reader takes, and nothing above raw_limit.
func TestADeadLetterHoldsWhatCanBeHeld(t *testing.T) {
	w := newWorld(t, 1, 10)
	w.lanes = 1
	w.src.bad[3] = "not json " + strings.Repeat("x", 2<<20)
	w.src.shape = func(i int, r *stream.Record) {
		if i == 3 {
			r.Timestamp = stream.NoTime
			r.Key = []byte(strings.Repeat("k", 2<<20))
			r.Headers = []stream.Header{{Key: "a\xff", Value: []byte{0, 255}}, {Key: "huge", Value: make([]byte, 2<<20)}}
		}
	}
	w.through(1)
	files := glob(t, filepath.Join(w.dir, "dead", "*.parquet"))
	if len(files) != 1 {
		t.Fatalf("got %d files of dead letters, want 1", len(files))
	}
	r, err := file.OpenParquetFile(files[0], false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Release()
	cell := func(name string) arrow.Array {
		return tab.Column(tab.Schema().FieldIndices(name)[0]).Data().Chunk(0)
	}
	if !cell("record_time").IsNull(0) {
		t.Errorf("record_time is %s, want null", cell("record_time").ValueStr(0))
	}
	if got := cell("raw_size").ValueStr(0); got != "2097161" {
		t.Errorf("raw_size is %s, want 2097161", got)
	}
	for _, name := range []string{"raw", "key"} {
		if got := len(cell(name).ValueStr(0)); got > 4<<20/3+8 { // base64 of 1 MiB
			t.Errorf("%s takes %d characters, more than raw_limit", name, got)
		}
	}
	if got := cell("headers").ValueStr(0); !strings.Contains(got, "a\uFFFD") || strings.Contains(got, "huge") {
		t.Errorf("headers are %.200s", got)
	}
}
