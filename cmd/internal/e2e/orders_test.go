//go:build integration

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/cmd/internal/generate"
	"github.com/millrace/millrace/deploy/real"
)

// place is where a pipeline of a test writes.
type place struct {
	name   string // of pipeline, topic and table
	broker string
	lake   string // table, ledger and dead letters are below
	s3     string // endpoint; empty: local disk
	glue   string // endpoint; empty: local catalog
	lanes  int
	every  time.Duration
}

// pipeline writes the configuration of a test.
func (p place) pipeline(t testing.TB) string {
	t.Helper()
	catalog := fmt.Sprintf("local: {path: %q, database: shop, table: %s}", filepath.Join(p.lake, "catalog"), p.name)
	if p.glue != "" {
		catalog = fmt.Sprintf("glue: {database: shop, table: %s, endpoint: %q, region: us-east-1}", p.name, p.glue)
	}
	stores := ""
	if p.s3 != "" {
		stores = fmt.Sprintf("store: {s3: {endpoint: %q, path_style: true, region: us-east-1}}\n", p.s3)
	}
	var schema strings.Builder
	for _, f := range generate.Fields() {
		fmt.Fprintf(&schema, "    %s: %s\n", f[0], f[1])
	}
	return write(t, p.name+".yaml", fmt.Sprintf(`version: 1
name: %[1]s
source:
  kafka: {brokers: %[2]q, topics: [%[1]s]}
  decode: json
  metadata: {topic: _topic, partition: _partition, offset: _offset}
  schema:
%[3]s
steps:
  - filter: status <> 'test' AND amount > 0
  - set: {country: upper(trim(country)), gross_amount: quantity * amount}
sinks:
  - parquet: {location: %[4]q, partition_by: {order_date: date(created_at)}}
    catalog: {%[5]s}
delivery: {commit_every: %[6]s, lanes: %[7]d, ledger: %[8]q}
dead_letter: {parquet: {location: %[9]q}, max_ratio: 50%%}
retry: {initial: 100ms, max: 1s}
%[10]s`, p.name, p.broker, schema.String(), p.table(), catalog, p.every, p.lanes, p.lake+"/ledger/"+p.name+"/", p.dead(), stores))
}

func (p place) table() string { return p.lake + "/" + p.name + "/" }
func (p place) dead() string  { return p.lake + "/dead/" + p.name + "/" }

// onDisk is a place in a folder, with a local catalog.
func onDisk(t testing.TB, name string) place {
	t.Helper()
	return place{name: name, broker: real.Kafka(t), lake: t.TempDir(), lanes: 4, every: 300 * time.Millisecond}
}

// onS3 is a place in a fresh bucket, with Glue.
func onS3(t testing.TB, name string) place {
	t.Helper()
	b := real.S3(t)
	if err := os.Setenv("S3_ENDPOINT", b.Endpoint); err != nil { //nolint:usetesting // for the readers; the same for all tests
		t.Fatal(err)
	}
	return place{name: name, broker: real.Kafka(t), lake: "s3://" + b.Name, s3: b.Endpoint, glue: real.Glue(t), lanes: 4, every: 300 * time.Millisecond}
}

// orders produces generated orders and keeps what should become of each.
type orders struct {
	t      testing.TB
	topic  string
	parts  int32
	gen    *generate.Generator
	client *kgo.Client
	next   int64

	mu      sync.Mutex
	placed  []placed
	failure error
}

type placed struct {
	seq       int64
	partition int32
	offset    int64
}

func newOrders(t testing.TB, p place, parts int32) *orders {
	t.Helper()
	o := &orders{t: t, topic: p.name, parts: parts, client: client(t, p.broker), gen: generate.Orders(generate.Options{
		Seed: 7, Span: 4 * 24 * time.Hour, Broken: 0.002, Missing: 0.002, Wrong: 0.002, Null: 0.01, Test: 0.05, Free: 0.01,
	})}
	createTopic(t, o.client, p.name, parts)
	return o
}

// produce sends n more and waits until they are in the topic.
func (o *orders) produce(n int64) {
	o.t.Helper()
	o.send(n)
	if err := o.client.Flush(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failure != nil {
		o.t.Fatal(o.failure)
	}
}

// send hands n more to the client.
func (o *orders) send(n int64) {
	for range n {
		seq := o.next
		o.next++
		_, key, value := o.gen.Append(nil, seq)
		rec := &kgo.Record{Topic: o.topic, Key: key, Value: value, Partition: int32(seq) % o.parts}
		o.client.Produce(context.Background(), rec, func(r *kgo.Record, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			if err != nil {
				o.failure = err
				return
			}
			o.placed = append(o.placed, placed{seq, r.Partition, r.Offset})
		})
	}
}

// keepProducing sends records at a steady rate until stop, which waits until they are in the topic.
func (o *orders) keepProducing(perSecond int64) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				o.send(max(perSecond/20, 1))
			}
		}
	}()
	var once sync.Once
	end := func() { once.Do(func() { close(quit); <-done }) }
	o.t.Cleanup(end)
	return func() { o.t.Helper(); end(); o.produce(0) }
}

// columns of the table, with the types that each reader must find. The partition column has its type from the folder's name.
func orderColumns() []column {
	return []column{
		{"order_id", "VARCHAR", "string"},
		{"customer_id", "VARCHAR", "string"},
		{"country", "VARCHAR", "string"},
		{"amount", "DECIMAL(18,2)", "decimal128(18, 2)"},
		{"currency", "VARCHAR", "string"},
		{"quantity", "INTEGER", "int32"},
		{"status", "VARCHAR", "string"},
		{"created_at", "TIMESTAMP WITH TIME ZONE", "timestamp[us, tz=UTC]"},
		{"gross_amount", "DECIMAL(29,2)", "decimal128(29, 2)"},
		{"_topic", "VARCHAR", "string"},
		{"_partition", "INTEGER", "int32"},
		{"_offset", "BIGINT", "int64"},
		{"order_date", "DATE", "string"},
	}
}

func deadColumns() []column {
	return []column{
		{"pipeline", "VARCHAR", "string"},
		{"source_partition", "VARCHAR", "string"},
		{"topic", "VARCHAR", "string"},
		{"partition", "INTEGER", "int32"},
		{"offset", "BIGINT", "int64"},
		{"code", "VARCHAR", "string"},
		{"column", "VARCHAR", "string"},
		{"raw", "BLOB", "binary"},
	}
}

func money(cents int64) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) }

// expected writes what the table and the dead letters must hold.
func (o *orders) expected(pipeline string) (rows, dead string) {
	o.t.Helper()
	return o.expectedIn(o.t.TempDir(), pipeline)
}

func (o *orders) expectedIn(dir, pipeline string) (rows, dead string) {
	o.t.Helper()
	rows, dead = filepath.Join(dir, pipeline+".rows.jsonl"), filepath.Join(dir, pipeline+".dead.jsonl")
	rf, df := create(o.t, rows), create(o.t, dead)
	defer rf.close()
	defer df.close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.placed {
		e := o.gen.Expect(p.seq)
		switch e.Fate {
		case generate.Row:
			r := o.gen.Order(p.seq)
			rf.line(map[string]any{
				"order_id": r.OrderID, "customer_id": r.CustomerID, "country": strings.ToUpper(strings.TrimSpace(r.Country)),
				"amount": money(r.Cents), "currency": r.Currency, "quantity": fmt.Sprint(r.Quantity), "status": r.Status,
				"created_at":   r.CreatedAt.Format("2006-01-02T15:04:05.000000Z"),
				"gross_amount": money(r.Cents * int64(r.Quantity)), "_topic": o.topic, "_partition": fmt.Sprint(p.partition),
				"_offset": fmt.Sprint(p.offset), "order_date": r.CreatedAt.Format(time.DateOnly),
			})
		case generate.Dead:
			_, _, value := o.gen.Append(nil, p.seq)
			var col any
			if e.Column != "" {
				col = e.Column
			}
			df.line(map[string]any{
				"pipeline": pipeline, "source_partition": fmt.Sprintf("kafka/%s/%d", o.topic, p.partition), "topic": o.topic,
				"partition": fmt.Sprint(p.partition), "offset": fmt.Sprint(p.offset), "code": e.Code, "column": col, "raw": fmt.Sprintf("%X", value),
			})
		case generate.Filtered, generate.Skipped:
		}
	}
	return rows, dead
}

// verify compares table and dead letters with what was produced.
func (o *orders) verify(p place) {
	o.t.Helper()
	rows, dead := o.expected(p.name)
	r := check(o.t, p.table(), orderColumns(), rows)
	d := check(o.t, p.dead(), deadColumns(), dead)
	o.t.Logf("%d records: %d rows in %d files, %d dead letters in %d files", o.next, r.DuckDB.Rows, r.Files, d.DuckDB.Rows, d.Files)
	if r.DuckDB.Rows == 0 || d.DuckDB.Rows == 0 {
		o.t.Errorf("got %d rows and %d dead letters: the test looks at nothing", r.DuckDB.Rows, d.DuckDB.Rows)
	}
}

type lines struct {
	t testing.TB
	f *os.File
	w *bufio.Writer
}

func create(t testing.TB, path string) *lines {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return &lines{t, f, bufio.NewWriter(f)}
}

func (l *lines) line(v any) {
	if err := json.NewEncoder(l.w).Encode(v); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lines) close() {
	if err := l.w.Flush(); err != nil {
		l.t.Fatal(err)
	}
	_ = l.f.Close()
}
