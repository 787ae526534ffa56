package sink_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/stream"
)

func newSink(t testing.TB, c sink.Config, d sink.Deps) *sink.Sink {
	t.Helper()
	if d.NewEncoder == nil {
		d.NewEncoder = encoder(8)
	}
	return must[*sink.Sink](t)(sink.New(c, d))
}

func write(t testing.TB, w stream.TableWriter, b *stream.Batch) {
	t.Helper()
	if err := w.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func seal(t testing.TB, w stream.TableWriter) []stream.File {
	t.Helper()
	return must[[]stream.File](t)(w.Seal(t.Context(), map[string]string{"ranges": "all"}))
}

func TestSealedFiles(t *testing.T) {
	up := newUploads()
	reg := prometheus.NewPedanticRegistry()
	s := newSink(t, config(), sink.Deps{Uploads: up, Metrics: sink.NewMetrics(reg)})
	w := s.Begin(txn("w.hourly", 42))
	write(t, w, batch(row{1, 0, "DE"}, row{2, 1, "DE"}, row{3, 0, "DE"}, row{4, 0, "FR"}))
	b := batch(row{5, 0, "FR"}, row{6, 0, "FR"}, row{7, 1, "DE"})
	b.Sel = []int32{1, 2}
	write(t, w, b)
	files := seal(t, w)
	want := map[string][]string{
		"day=1970-01-01/country=DE/7f3a-w.hourly-17-42-0.parquet": {"1", "3"},
		"day=1970-01-02/country=DE/7f3a-w.hourly-17-42-1.parquet": {"2", "7"},
		"day=1970-01-01/country=FR/7f3a-w.hourly-17-42-2.parquet": {"4", "6"},
	}
	if len(files) != len(want) {
		t.Fatalf("got %d files, want %d", len(files), len(want))
	}
	for _, f := range files {
		if got := up.ids(f.Key); !slices.Equal(got, want[f.Key]) || f.Rows != int64(len(got)) {
			t.Errorf("%s: got rows %v and %d told, want %v", f.Key, got, f.Rows, want[f.Key])
		}
		if f.Table != "silver" || f.Bytes != int64(len(up.sealed[f.Key])) || f.Upload.Key != f.Key || len(f.Partition) != 2 || !up.verified[f.Key] {
			t.Errorf("entry %+v, verified %v", f, up.verified[f.Key])
		}
		if text := string(up.sealed[f.Key]); !strings.HasSuffix(text, "#millrace.transaction=7f3a-w.hourly-17-42\n#ranges=all\n") {
			t.Errorf("footer of %s is missing in %q", f.Key, text)
		}
	}
	if problems := must[[]promProblem](t)(lint(reg)); len(problems) > 0 {
		t.Errorf("metrics: %v", problems)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP millrace_sink_records_total Rows in sealed files.\n# TYPE millrace_sink_records_total counter\nmillrace_sink_records_total 6\n"),
		"millrace_sink_records_total"); err != nil {
		t.Error(err)
	}
}

type promProblem = string

func lint(reg prometheus.Gatherer) ([]promProblem, error) {
	ps, err := testutil.GatherAndLint(reg)
	var out []promProblem
	for _, p := range ps {
		out = append(out, fmt.Sprint(p))
	}
	return out, err
}

func TestEmptyTransaction(t *testing.T) {
	up := newUploads()
	s := newSink(t, config(), sink.Deps{Uploads: up})
	w := s.Begin(txn("0", 1))
	b := batch(row{1, 0, "DE"})
	b.Sel = b.Sel[:0]
	write(t, w, b)
	if files := seal(t, w); len(files) != 0 || up.staged != 0 || w.Size() != 0 {
		t.Errorf("got %v and %d uploads, want none", files, up.staged)
	}
	if err := s.Begin(txn("0", 2)).Abort(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTableWithoutPartitions(t *testing.T) {
	up := newUploads()
	c := config()
	c.Ref.Partitions = nil
	w := newSink(t, c, sink.Deps{Uploads: up}).Begin(txn("0", 1))
	write(t, w, batch(row{1, 0, "DE"}, row{2, 1, "FR"}))
	if files := seal(t, w); len(files) != 1 || files[0].Key != "7f3a-0-17-1-0.parquet" || len(files[0].Partition) != 0 {
		t.Errorf("got %+v", files)
	}
}

// Columns that only the table has are null in the file; the order is the table's.
func TestColumnsOfTheTable(t *testing.T) {
	c := config()
	c.Ref.Partitions = nil
	c.FileSchema = arrow.NewSchema([]arrow.Field{
		{Name: "old", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true, Metadata: arrow.NewMetadata([]string{"PARQUET:field_id"}, []string{"3"})},
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
	}, nil)
	var seen []string
	s := newSink(t, c, sink.Deps{Uploads: newUploads(), NewEncoder: recording(&seen)})
	w := s.Begin(txn("0", 1))
	write(t, w, batch(row{1, 3, "DE"}, row{2, 4, "FR"}))
	seal(t, w)
	if want := []string{"null DE 1 3", "null FR 2 4"}; !reflect.DeepEqual(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// A value that no folder can hold is a dead letter; its neighbours pass, and a selection that others share is not touched.
func TestPartitionTooLong(t *testing.T) {
	long := strings.Repeat("x", 2<<10)
	for _, tc := range []struct {
		location string
		ok       int // bytes of a country that still fit
	}{{"s3://lake/silver/orders/", 1024 - 160 - len("silver/orders/") - len("day=1970-01-01/country=")}, {"/lake/orders", 255 - len("country=")}} {
		c := config()
		c.Ref.Location = tc.location
		up := newUploads()
		w := newSink(t, c, sink.Deps{Uploads: up}).Begin(txn("0", 1))
		b := batch(row{1, 0, "DE"}, row{2, 0, long}, row{3, 0, long[:tc.ok]}, row{4, 0, long[:tc.ok+1]}, row{5, 0, long[:tc.ok+1]})
		shared := b.Sel
		write(t, w, b)
		if !slices.Equal(shared, []int32{0, 1, 2, 3, 4}) || !slices.Equal(b.Sel, []int32{0, 2}) {
			t.Errorf("got selection %v and shared memory %v", b.Sel, shared)
		}
		if len(b.Raw.Bad) != 3 {
			t.Fatalf("got %d dead letters, want 3", len(b.Raw.Bad))
		}
		for i, bad := range b.Raw.Bad {
			if bad.Code != "partition_value_too_long" || bad.Column != "country" || bad.Record != []int32{1, 3, 4}[i] || len(bad.Reason) > 300 {
				t.Errorf("got %+v", bad)
			}
		}
		if files := seal(t, w); len(files) != 2 {
			t.Errorf("got %d files, want 2", len(files))
		}
	}
}

func TestRollBySize(t *testing.T) {
	up := newUploads()
	c := config()
	c.RollSize = 100
	w := newSink(t, c, sink.Deps{Uploads: up, NewEncoder: encoder(30)}).Begin(txn("0", 1))
	for i := range int64(10) {
		write(t, w, batch(row{i, 0, "DE"}))
	}
	files := seal(t, w)
	var got []string
	for _, f := range files {
		got = append(got, strings.Join(up.ids(f.Key), " "))
	}
	if want := []string{"0 1 2 3", "4 5 6 7", "8 9"}; !slices.Equal(got, want) {
		t.Errorf("got files of rows %q, want %q", got, want)
	}
}

func TestTooManyPartitions(t *testing.T) {
	c := config()
	c.MaxOpen = 2
	up := newUploads()
	w := newSink(t, c, sink.Deps{Uploads: up}).Begin(txn("0", 1))
	for i := range int32(20) {
		write(t, w, batch(row{int64(i), i, "DE"}))
	}
	err := w.Write(t.Context(), batch(row{20, 20, "DE"}))
	if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(stream.Next(err), "coarser") {
		t.Errorf("got %v, want a permanent error with advice", err)
	}
	if err := w.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(up.sealed) != 0 {
		t.Errorf("%d files are left after Abort", len(up.sealed))
	}
}

// With a cap of open files every row still arrives once.
func TestMaxOpen(t *testing.T) {
	c := config()
	c.MaxOpen = 8
	up := newUploads()
	w := newSink(t, c, sink.Deps{Uploads: up}).Begin(txn("0", 1))
	n := int64(0)
	for range 5 {
		for d := range int32(40) {
			write(t, w, batch(row{n, d, "DE"}))
			n++
		}
	}
	total := int64(0)
	for _, f := range seal(t, w) {
		total += f.Rows
	}
	if total != n {
		t.Errorf("got %d rows, want %d", total, n)
	}
}

// Lanes share a small budget, close each other's files, and nothing is lost, doubled or put in the wrong folder.
func TestLanesUnderPressure(t *testing.T) {
	up := newUploads()
	budget := &stream.Budget{Limit: 256 << 10}
	pool := sink.NewPool(budget, nil)
	s := newSink(t, config(), sink.Deps{Uploads: up, Pool: pool, NewEncoder: encoder(100)})
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for lane := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(lane), 1))
			for n := range uint64(3) {
				w := s.Begin(txn(stream.LaneID(fmt.Sprint(lane)), n+1))
				for i := range 60 {
					var rows []row
					for k := range 50 {
						id := int64(((lane*10+int(n))*100+i)*100 + k)
						rows = append(rows, row{id, int32(id % 7), fmt.Sprint(r.IntN(9))})
					}
					if err := w.Write(context.Background(), batch(rows...)); err != nil {
						t.Error(err)
						return
					}
				}
				files, err := w.Seal(context.Background(), nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range files {
					mu.Lock()
					for _, id := range up.ids(f.Key) {
						got[id]++
						var n int
						fmt.Sscan(id, &n)
						if want := fmt.Sprintf("day=1970-01-%02d/", n%7+1); !strings.HasPrefix(f.Key, want) {
							t.Errorf("row %s is in %s", id, f.Key)
						}
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(got) != 4*3*60*50 {
		t.Errorf("got %d rows, want %d", len(got), 4*3*60*50)
	}
	for id, n := range got {
		if n != 1 {
			t.Errorf("row %s came %d times", id, n)
		}
	}
	if budget.Used() != 0 {
		t.Errorf("%d bytes are still counted", budget.Used())
	}
}
