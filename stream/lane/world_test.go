package lane_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

// world is everything around a worker: a log of records, a ledger and a table in a folder, and faults between them.
type world struct {
	t     *testing.T
	dir   string
	src   *memorySource
	lanes int
	// faults, armed anew for each life of a process
	ledgerFaults, tableFaults []storetest.Fault
	onError                   lane.OnError
	maxRatio                  float64
	steps                     []lane.Step
	maxPending                int
	hooks                     *stream.Hooks
	commitEvery               time.Duration
	retry                     lane.Retry
	expected                  []stream.LaneID
	log                       *slog.Logger
	metrics                   *lane.Metrics
	wrap                      func(stream.Sink) stream.Sink            // of the table's sink
	wrapTables                func(stream.Tables) stream.Tables        // of what the lanes publish to
	wrapLedger                func(stream.Ledger) stream.Ledger        // of what the lanes acquire from
	sinksOf                   func(out, other stream.Sink) []lane.Sink // nil: the table, and the second if wanted
	second                    int                                      // after how many steps a second sink hangs, which takes any value; 0: none
	decoder                   func(stream.Decoder) stream.Decoder
}

func newWorld(t *testing.T, partitions, records int) *world {
	return &world{t: t, dir: folder(t), src: newMemorySource(partitions, records), lanes: 2, onError: lane.DeadLetter, maxPending: 8, commitEvery: 5 * time.Millisecond, retry: lane.Retry{Initial: time.Millisecond, Max: 4 * time.Millisecond}}
}

// folder is a test's own, in memory where that is possible: these tests sync thousands of small files, and what a power cut
// would do to them is the store's own tests' business.
func folder(t *testing.T) string {
	t.Helper()
	if st, err := os.Stat("/dev/shm"); err != nil || !st.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "millrace-lane-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "day", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
}

// life is one process: a worker with a ledger of its own over faulty stores.
type life struct {
	worker  *lane.Worker
	ledger  *storetest.FaultyClient
	table   *storetest.FaultyClient
	commits []stream.Manifest
	mu      sync.Mutex
}

// worldTables opens the one table of the world for a life, dead letters included, over its faulty store.
type worldTables struct {
	w      *world
	l      *life
	client map[string]store.Client
}

func (wt *worldTables) at(ctx context.Context, ref stream.TableRef) (store.Client, error) {
	if c := wt.client[ref.Location]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no table at %s: %w", ref.Location, stream.ErrPermanent)
}

func (wt *worldTables) Uploads(ctx context.Context, ref stream.TableRef) (stream.Uploads, error) {
	c, err := wt.at(ctx, ref)
	if err != nil {
		return nil, err
	}
	return object.New(c, object.Options{Patience: time.Millisecond}), nil
}

func (wt *worldTables) Table(ctx context.Context, ref stream.TableRef) (stream.Table, error) {
	c, err := wt.at(ctx, ref)
	if err != nil {
		return nil, err
	}
	return hive.Open(ctx, ref, hive.Deps{Store: c})
}

func open(t *testing.T, dir string) store.Client {
	t.Helper()
	c, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// begin builds a worker, as a process does when it starts. The error is that of joining.
func (w *world) begin(ctx context.Context, session string) (*life, error) {
	l := w.stores()
	return l, w.join(ctx, l, session)
}

// stores are a life's own ways to the ledger and the table, with their faults.
func (w *world) stores() *life {
	t, l := w.t, &life{}
	l.ledger = storetest.Faulty(open(t, filepath.Join(w.dir, "ledger")), w.ledgerFaults...)
	l.table = storetest.Faulty(open(t, filepath.Join(w.dir, "table")), w.tableFaults...)
	return l
}

func (w *world) join(ctx context.Context, l *life, session string) error {
	t := w.t
	deadStore := open(t, filepath.Join(w.dir, "dead"))
	ref := stream.TableRef{
		Name: "out", Location: l.table.Location(), Partitions: []stream.PartitionColumn{{Name: "day", Type: "string"}},
		Catalog: stream.CatalogRef{Kind: "local", Database: "d", Table: "t", Path: filepath.Join(w.dir, "catalog"), OnSchemaChange: "add_columns"},
	}
	deadRef := stream.TableRef{Name: "dead", Location: deadStore.Location()}
	otherStore := open(t, filepath.Join(w.dir, "other"))
	otherRef := stream.TableRef{Name: "other", Location: otherStore.Location()}
	tables := &worldTables{w, l, map[string]store.Client{ref.Location: l.table, deadRef.Location: deadStore, otherRef.Location: otherStore}}
	ledger := checkpoint.New(checkpoint.Options{
		Store: l.ledger, Session: session, Tables: tables, PutOff: time.Millisecond, Hooks: w.hooks,
		Stores: func(ctx context.Context, r stream.TableRef) (store.Client, error) { return tables.at(ctx, r) },
		Retry:  checkpoint.Retry{First: time.Millisecond, Max: 2 * time.Millisecond},
	})
	starts, err := w.src.Discover(ctx)
	if err != nil {
		return err
	}
	joined, err := ledger.Join(ctx, stream.Plan{Pipeline: "p", Hash: "h", Lanes: w.lanes, Source: "memory", Tables: []stream.TableRef{ref, deadRef}}, starts)
	if err != nil {
		return err
	}
	owner := stream.Owner{Pipeline: "p", Incarnation: joined.State().Incarnation, Ledger: "l"}
	sinkOf := func(ref stream.TableRef, s *arrow.Schema) (stream.Sink, error) {
		tab, err := tables.Table(ctx, ref)
		if err == nil {
			err = tab.Claim(ctx, owner)
		}
		if err != nil {
			return nil, err
		}
		fs, err := tab.Ensure(ctx, s)
		if err != nil {
			return nil, err
		}
		up, err := tables.Uploads(ctx, ref)
		if err != nil {
			return nil, err
		}
		return sink.New(sink.Config{Ref: ref, Schema: s, FileSchema: fs}, sink.Deps{Uploads: up, NewEncoder: func(s *arrow.Schema, o io.Writer) (stream.Encoder, error) {
			opts := parquet.DefaultOptions()
			opts.Compression = "none" // the codec keeps channels that outlive a synctest bubble
			return parquet.NewEncoder(s, o, opts)
		}})
	}
	out, err := sinkOf(ref, schema())
	if err != nil {
		return err
	}
	dead, err := sinkOf(deadRef, lane.DeadLetterSchema())
	if err != nil {
		return err
	}
	log := w.log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if os.Getenv("LANE_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if w.wrap != nil {
		out = w.wrap(out)
	}
	sinks := []lane.Sink{{Sink: out, After: len(w.steps)}}
	if w.second > 0 || w.sinksOf != nil {
		other, err := sinkOf(otherRef, schema())
		if err != nil {
			return err
		}
		if w.sinksOf != nil {
			sinks = w.sinksOf(out, other)
		} else {
			sinks = append(sinks, lane.Sink{Sink: other, After: w.second - 1})
		}
	}
	metrics := w.metrics
	if metrics == nil {
		metrics = lane.NewMetrics(nil)
	}
	decoder := w.decoder // the next life may have another
	var lanesTables stream.Tables = tables
	if w.wrapTables != nil {
		lanesTables = w.wrapTables(tables)
	}
	var lanesLedger stream.Ledger = ledger
	if w.wrapLedger != nil {
		lanesLedger = w.wrapLedger(ledger)
	}
	l.worker = lane.NewWorker(lane.Pipeline{
		Name: "p", Source: w.src, Bounded: w.src.bounded, OnError: w.onError, MaxRatio: w.maxRatio, RawLimit: 1 << 20,
		Sinks: sinks, Dead: dead, Steps: w.steps,
		CommitEvery: w.commitEvery, CommitSize: 1 << 30, MaxPending: w.maxPending,
		Retry: w.retry, Expected: w.expected,
		NewDecoder: func() (stream.Decoder, error) {
			row, err := json.New(json.DefaultConfig(), schema())
			if err != nil {
				return nil, err
			}
			d, err := decode.New(row, decode.DefaultOptions())
			if err == nil && decoder != nil {
				d = decoder(d)
			}
			return d, err
		},
	}, lane.Deps{
		Ledger: lanesLedger, Joined: joined, Tables: lanesTables, Session: session, Log: log, Metrics: metrics, Hooks: w.hooks,
		Collect: func(ctx context.Context, ln stream.Lane) error { _, err := ledger.Collect(ctx, ln); return err },
		Committed: func(m stream.Manifest) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.commits = append(l.commits, m)
		},
	})
	return nil
}

// ids reads every row that a reader of the table sees.
func (w *world) ids() []int64 { return w.idsOf("table") }

func (w *world) idsOf(table string) []int64 {
	w.t.Helper()
	var all []int64
	err := filepath.WalkDir(filepath.Join(w.dir, table), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		all = append(all, readIDs(w.t, path)...)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func readIDs(t *testing.T, path string) []int64 {
	t.Helper()
	r, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer func() { _ = r.Close() }()
	fr, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	tab, err := fr.ReadTable(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer tab.Release()
	var ids []int64
	for _, c := range tab.Column(0).Data().Chunks() {
		for i := range c.Len() {
			n, err := strconv.ParseInt(c.ValueStr(i), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, n)
		}
	}
	return ids
}

// want checks that the table holds 0 … n-1, each once.
func (w *world) want(n int) {
	w.t.Helper()
	ids := w.ids()
	for i, id := range ids {
		if int64(i) != id {
			w.t.Fatalf("the table has %d rows, want %d; at place %d there is %d (lost or doubled)", len(ids), n, i, id)
		}
	}
	if len(ids) != n {
		w.t.Fatalf("the table has %d rows, want %d", len(ids), n)
	}
}
