package kafka_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/millrace/millrace/stream"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	id := g.create("orders", 1)
	g.produce("orders", 0, 0, 5)
	reg := prometheus.NewRegistry()
	d := g.deps()
	d.Metrics = reg
	s := g.source(g.config("orders"), d)
	r := open(t, s, bookmark("orders", 0, 0, id))
	read(t, r, toEnd("5"))
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v", problems, err)
	}
	want := `
# HELP millrace_source_lag_records Records in the log that this worker has not fetched yet, open transactions included.
# TYPE millrace_source_lag_records gauge
millrace_source_lag_records{partition="kafka/orders/0"} 0
# HELP millrace_source_lag_seconds Age of the last record fetched, while there are more; 0 at the end. Of several partitions the largest.
# TYPE millrace_source_lag_seconds gauge
millrace_source_lag_seconds{partition="kafka/orders/0"} 0
# HELP millrace_source_records_total Records read from the source.
# TYPE millrace_source_records_total counter
millrace_source_records_total 5
# HELP millrace_source_bytes_total Bytes of keys and values read from the source, decompressed.
# TYPE millrace_source_bytes_total counter
millrace_source_bytes_total 10
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "millrace_source_lag_records", "millrace_source_lag_seconds",
		"millrace_source_records_total", "millrace_source_bytes_total"); err != nil {
		t.Error(err)
	}
	// A second source of the same pipeline comes after the first is closed: a restart.
	_ = r.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := testutil.GatherAndCount(reg); err != nil || n != 0 {
		t.Errorf("got %d series of a closed source, %v; want none", n, err)
	}
	g.source(g.config("orders"), d)
}

func TestManyPartitionsShareASeries(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	g := newRig(t, addrs)
	id := g.create("wide", 101)
	var at []stream.Bookmark
	for n := range int32(101) {
		at = append(at, bookmark("wide", n, 0, id))
	}
	for n := range int32(3) {
		g.produce("wide", n, 0, 10)
	}
	reg := prometheus.NewRegistry()
	d := g.deps()
	d.Metrics = reg
	s := g.source(g.config("wide"), d)
	r := open(t, s, at...)
	r.Pause(true)
	n, err := testutil.GatherAndCount(reg, "millrace_source_lag_records")
	if err != nil || n != 1 {
		t.Errorf("got %d series, %v; want one for all", n, err)
	}
	r.Pause(false)
	seen := map[int32]bool{}
	for records := 0; records < 30 || len(seen) < 101; {
		b, err := r.Next(within(t, 30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		records += len(b.Records)
		seen[b.Number] = true // the empty ones say once that they are at their end
		if want := fmt.Sprintf("kafka/wide/%d", b.Number); string(b.Partition) != want || !b.AtEnd {
			t.Errorf("got %s, at end %v; want %s at its end", b.Partition, b.AtEnd, want)
		}
		b.Release()
	}
	if records, age := s.Lag(); records != 0 || age != 0 {
		t.Errorf("got a lag of %d records, %s; want none", records, age)
	}
}
