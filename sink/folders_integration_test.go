//go:build integration

package sink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
)

func TestMain(m *testing.M) { real.Main(m) }

const readFolders = `
import sys, json, duckdb, pyarrow as pa, pyarrow.dataset as ds
c = duckdb.connect()
duck = c.execute("SELECT id, CAST(day AS VARCHAR), country FROM read_parquet('" + sys.argv[1] + "/**/*.parquet', hive_partitioning=true, hive_types={'day': DATE, 'country': VARCHAR}) ORDER BY id").fetchall()
part = ds.partitioning(pa.schema([('day', pa.date32()), ('country', pa.string())]), flavor='hive')
t = ds.dataset(sys.argv[1], format='parquet', partitioning=part).to_table().sort_by('id')
arrow = [[r['id'], None if r['day'] is None else r['day'].isoformat(), r['country']] for r in t.to_pylist()]
inside = sorted(set(n for f in ds.dataset(sys.argv[1], format='parquet').get_fragments() for n in f.physical_schema.names))
print(json.dumps({'duck': duck, 'arrow': arrow, 'inside': inside}))
`

// Values that must be escaped come back from the folders' names as they went in, for both readers; null and the empty
// string are null.
func TestReadersUnderstandFolders(t *testing.T) {
	dir := t.TempDir()
	f := must[*parquet.Format](t)(parquet.NewFormat(parquet.DefaultOptions()))
	c := config()
	c.Ref.Location = dir
	s := newSink(t, c, sink.Deps{Uploads: &disk{dir: dir, uploads: newUploads()}, NewEncoder: f.NewEncoder})
	countries := []string{"DE", "../../x", "a/b", "k=v", "100%", "%2F", "😀é", "x y", "tab\there", "q?*:\"'#\\{[]^", "0", "\x7f", ""}
	b := stream.NewBatch(schema())
	want := []any{}
	for i := range 200 {
		b.Cols[1].AppendI64(int64(i))
		day, country := any(fmt.Sprintf("2026-01-%02d", i%3+1)), any(countries[i%len(countries)])
		if i%7 == 0 {
			b.Cols[0].AppendNull()
			day = nil
		} else {
			b.Cols[0].AppendI32(int32(20454 + i%3))
		}
		if country == "" || i%11 == 0 {
			b.Cols[2].AppendNull()
			country = nil
		} else {
			b.Cols[2].AppendString(countries[i%len(countries)])
		}
		want = append(want, []any{float64(i), day, country})
	}
	b.Rows = 200
	b.SelectAll()
	w := s.Begin(txn("0", 1))
	write(t, w, b)
	seal(t, w)
	var got struct {
		Duck, Arrow []any
		Inside      []string
	}
	if err := json.Unmarshal([]byte(real.RunPython(t, readFolders, dir)), &got); err != nil {
		t.Fatal(err)
	}
	for who, rows := range map[string][]any{"DuckDB": got.Duck, "PyArrow": got.Arrow} {
		if len(rows) != len(want) {
			t.Fatalf("%s reads %d rows, want %d", who, len(rows), len(want))
		}
		for i := range rows {
			if !reflect.DeepEqual(rows[i], want[i]) {
				t.Errorf("%s: row %d: got %q, want %q", who, i, rows[i], want[i])
			}
		}
	}
	if !slices.Equal(got.Inside, []string{"id"}) {
		t.Errorf("files hold columns %v, want only id", got.Inside)
	}
}

// disk writes files in place when they are sealed.
type disk struct {
	*uploads
	dir string
}

type onDisk struct {
	*upload
	dir string
}

func (d *disk) Stage(ctx context.Context, key string, m stream.UploadMeta) (stream.Staged, error) {
	return &onDisk{&upload{u: d.uploads, ctx: ctx, key: key, m: m}, d.dir}, nil
}

func (o *onDisk) Seal(ctx context.Context) (stream.StagedRef, error) {
	path := filepath.Join(o.dir, filepath.FromSlash(o.key))
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return stream.StagedRef{}, err
	}
	if err := os.WriteFile(path, o.buf.Bytes(), 0o600); err != nil {
		return stream.StagedRef{}, err
	}
	return o.upload.Seal(ctx)
}
