package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/kafka"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/transform"
)

// input is a source with what must never change under a ledger.
type input struct {
	stream.Source
	identity func(context.Context) (string, error)
}

// DeadLetters is the dead-letter table's name among the tables of a pipeline. No sink can have it.
const DeadLetters = "dead letters"

// build puts the pipeline together in the order in which data flow: source, ledger, decoder, steps, tables, lanes. It
// talks to all of them, so that what is wrong shows here. The caller closes the source.
func (p *pipeline) build(ctx context.Context, reg prometheus.Registerer) (*lane.Worker, io.Closer, error) {
	src, err := p.source(reg)
	if err != nil {
		return nil, nil, err
	}
	w, err := p.assemble(ctx, src, reg)
	if err != nil {
		_ = src.Close()
		return nil, nil, err
	}
	return w, src, nil
}

func (p *pipeline) source(reg prometheus.Registerer) (input, error) {
	p.reg = reg
	s, err := find(sources(), p.c.Source.Kind, func(s source) string { return s.Kind })
	if err != nil {
		return input{}, err
	}
	return s.open(p, p.c.Source.Config)
}

func openKafka(p *pipeline, c any) (input, error) {
	src, err := kafka.New(*c.(*kafka.Config), kafka.Deps{
		Pipeline: p.c.Name, Session: p.d.s.Session, Log: p.log, Metrics: p.reg, Budget: p.d.budget, Once: p.d.s.Once,
		SessionTimeout: p.d.s.SessionTimeout, RebalanceTimeout: p.d.s.RebalanceTimeout, MetadataAge: p.d.s.MetadataAge,
	})
	if err != nil {
		return input{}, err
	}
	return input{src, func(ctx context.Context) (string, error) {
		id, err := src.ClusterID(ctx)
		return "kafka cluster " + id, err
	}}, nil
}

func (p *pipeline) assemble(ctx context.Context, src input, reg prometheus.Registerer) (*lane.Worker, error) {
	identity, err := src.identity(ctx)
	if err != nil {
		return nil, err
	}
	starts, err := src.Discover(ctx)
	if err != nil {
		return nil, err
	}
	lanes := p.c.Delivery.Lanes
	if lanes == 0 {
		lanes = max(1, min(len(starts), 8))
	}
	ts := p.tables(reg)
	ledger, err := p.ledger(ctx, ts, reg)
	if err != nil {
		return nil, err
	}
	refs := p.refs()
	joined, err := ledger.Join(ctx, stream.Plan{
		Pipeline: p.c.Name, Hash: p.c.Hash(), Lanes: lanes, Source: identity, Tables: refs,
	}, starts)
	if err != nil {
		return nil, err
	}
	ts.proof = ledger.TableProof // not before Join: it has the stores asked
	pl, err := p.chain(src)
	if err != nil {
		return nil, err
	}
	pl.Expected = lanesOf(starts, joined.State().Lanes)
	open := &footers{}
	if err := p.connect(ctx, &pl, ts, joined, refs, open, reg); err != nil {
		return nil, err
	}
	p.log.Info("ready", "pipeline", p.c.Name, "incarnation", joined.State().Incarnation, "plan", joined.State().Plan.Epoch, "lanes", joined.State().Lanes, "partitions", len(starts))
	m := lane.NewMetrics(reg)
	m.CommitInterval.Set(p.c.Delivery.CommitEvery.Seconds())
	w := lane.NewWorker(pl, lane.Deps{
		Ledger: ledger, Joined: joined, Tables: ts, Session: p.d.s.Session, Hooks: p.d.s.Hooks, Log: p.log, Metrics: m,
		Collect: func(ctx context.Context, l stream.Lane) error {
			_, err := ledger.Collect(ctx, l)
			return err
		},
		Committed: p.d.s.Committed, Published: p.d.s.Published,
	})
	open.worker.Store(w)
	return w, nil
}

// footers ask the worker, which is made of the sinks that ask.
type footers struct{ worker atomic.Pointer[lane.Worker] }

func (f *footers) of(id stream.TxnID) map[string]string {
	if w := f.worker.Load(); w != nil {
		return w.Footer(id)
	}
	return nil
}

// lanesOf lists the lanes that have partitions.
func lanesOf(starts []stream.Start, lanes int) []stream.LaneID {
	seen := map[stream.LaneID]bool{}
	for _, s := range starts {
		seen[stream.LaneID(strconv.Itoa(int(s.Slot)%lanes))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (p *pipeline) tables(reg prometheus.Registerer) *tables {
	return &tables{
		log: p.log, metrics: p.d.storeMetrics, catalog: hive.NewMetrics(reg), uploads: p.d.uploads, opened: map[string]*openTable{},
	}
}

func (p *pipeline) ledger(ctx context.Context, ts *tables, reg prometheus.Registerer) (*checkpoint.Ledger, error) {
	client, err := ts.client(ctx, p.c.Delivery.Ledger, p.c.Store.S3)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	return checkpoint.New(checkpoint.Options{
		Store: client, Session: p.d.s.Session, Tables: ts, Stores: ts.Store, Hooks: p.d.s.Hooks, Log: p.log, Metrics: reg, History: p.c.Delivery.History,
		Probe: store.Probe,
	}), nil
}

// refs are the tables of the pipeline, as manifests name them: the sinks in order, and the dead letters.
func (p *pipeline) refs() []stream.TableRef {
	var refs []stream.TableRef
	for _, s := range p.c.Sinks {
		ref := stream.TableRef{Name: s.Name, Location: s.Parquet.Location, Store: p.storeOf(s.Parquet.Location), Partitions: s.Parquet.PartitionBy}
		if s.Catalog != nil {
			for _, c := range catalogs() {
				if c.Kind == s.Catalog.Kind {
					ref.Catalog = c.ref(s.Catalog.Config)
				}
			}
		}
		refs = append(refs, ref)
	}
	return append(refs, stream.TableRef{Name: DeadLetters, Location: p.c.DeadLetter.Location, Store: p.storeOf(p.c.DeadLetter.Location)})
}

func (p *pipeline) storeOf(location string) stream.StoreRef {
	if config.Remote(location) {
		return p.c.Store.S3
	}
	return stream.StoreRef{}
}

// chain is what lanes need to turn records into rows.
func (p *pipeline) chain(src stream.Source) (lane.Pipeline, error) {
	c := p.c
	f, err := find(formats(), c.Source.Decode.Kind, func(f format) string { return f.Kind })
	if err != nil {
		return lane.Pipeline{}, err
	}
	options := decode.Options{
		NullValues: c.Source.NullValues, MaxRecordSize: c.Source.MaxRecordSize, Metadata: decode.Metadata(c.Source.Metadata), Metrics: decode.NewMetrics(p.reg),
	}
	pl := lane.Pipeline{
		Name: c.Name, Source: src, Bounded: p.d.s.Once, OnError: lane.OnError(c.Source.OnError), MaxRatio: c.DeadLetter.MaxRatio, RawLimit: c.DeadLetter.RawLimit,
		CommitEvery: c.Delivery.CommitEvery, CommitSize: c.Delivery.CommitSize, MaxPending: c.Delivery.MaxPending,
		Retry: lane.Retry{Initial: c.Retry.Initial, Max: c.Retry.Max, GiveUpAfter: c.Retry.GiveUpAfter},
		NewDecoder: func() (stream.Decoder, error) {
			row, err := f.open(c.Source.Decode.Config, c.Source.Declared)
			if err != nil {
				return nil, err
			}
			return decode.New(row, options)
		},
	}
	in := c.Source.Schema
	for i, s := range c.Steps {
		name := stepName(i, s)
		pl.Steps = append(pl.Steps, lane.Step{Name: name, New: maker(s.Builder, in, name), Keeps: keeps(s.Kind)})
		in = s.Schema
	}
	return pl, nil
}

// keeps tells whether steps of a kind let every row pass: one that does not come out of them is lost.
func keeps(kind string) bool {
	switch kind {
	case "set", "select", "drop", "rename":
		return true
	}
	return false
}

// stepName is how counts and dead letters call a step: by its own name, else by its place and kind.
func stepName(i int, s config.Step) string {
	if s.Name != "" {
		return s.Name
	}
	return strconv.Itoa(i) + ":" + s.Kind
}

// maker builds a step for each lane that asks. The configuration has built it once, so what fails here is a broken invariant.
func maker(b transform.Builder, in *arrow.Schema, name string) func() (stream.Step, error) {
	return func() (stream.Step, error) {
		s, errs := b.Build(in, name, transform.Builtins())
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w: %w", name, errs[0], stream.ErrPermanent)
		}
		return s, nil
	}
}

// connect claims the tables, brings them to the pipeline's columns, and hangs them on the chain.
func (p *pipeline) connect(ctx context.Context, pl *lane.Pipeline, ts *tables, joined stream.Pipeline, refs []stream.TableRef, open *footers, reg prometheus.Registerer) error {
	owner := stream.Owner{Pipeline: p.c.Name, Incarnation: joined.State().Incarnation, Ledger: p.c.Delivery.Ledger}
	known := map[string]stream.TableState{}
	table := func(ref stream.TableRef, schema *arrow.Schema, c sink.Config, kind config.Chosen) (*sink.Sink, error) {
		t, err := ts.Table(ctx, ref)
		if err == nil {
			err = t.Claim(ctx, owner)
		}
		if err == nil {
			c.FileSchema, err = t.Ensure(ctx, schema)
		}
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", ref.Name, err)
		}
		uploads, err := ts.Uploads(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", ref.Name, err)
		}
		f, err := find(sinks(), kind.Kind, func(f files) string { return f.Kind })
		if err != nil {
			return nil, err
		}
		encoder, err := f.open(kind.Config)
		if err != nil {
			return nil, fmt.Errorf("sink %s: %w", ref.Name, err)
		}
		known[ref.Name] = stream.TableState{Ref: ref, Schemas: []string{schema.String()}, Claimed: true}
		c.Ref, c.Schema = ref, schema
		return sink.New(c, sink.Deps{
			Uploads: uploads, NewEncoder: encoder, Pool: p.d.pool, Footer: open.of, Hooks: p.d.s.Hooks, Log: p.log,
			Metrics: sink.NewMetrics(prometheus.WrapRegistererWith(prometheus.Labels{"sink": ref.Name}, reg)),
		})
	}
	for i, s := range p.c.Sinks {
		opened, err := table(refs[i], s.Schema, sink.Config{RollSize: s.Parquet.RollSize, MaxOpen: s.Parquet.MaxOpen}, s.Chosen)
		if err != nil {
			return err
		}
		hung := lane.Sink{Sink: opened, After: s.From + 1}
		if s.Hidden != nil {
			hung.Before = maker(s.Hidden, p.columnsAfter(s.From), path.Join(s.Name, "partition_by"))
		}
		pl.Sinks = append(pl.Sinks, hung)
	}
	if pl.OnError == lane.DeadLetter {
		dead, err := table(refs[len(refs)-1], lane.DeadLetterSchema(), sink.Config{RollSize: 256 << 20}, p.c.DeadLetter.Chosen)
		if err != nil {
			return err
		}
		pl.Dead = dead
	}
	return p.remember(ctx, joined, known)
}

// columnsAfter is the schema that leaves step i; -1: the decoder.
func (p *pipeline) columnsAfter(i int) *arrow.Schema {
	if i < 0 {
		return p.c.Source.Schema
	}
	return p.c.Steps[i].Schema
}

// remember keeps in the ledger which tables there are, and each version of their columns.
func (p *pipeline) remember(ctx context.Context, joined stream.Pipeline, known map[string]stream.TableState) error {
	changed := func(st map[string]stream.TableState) bool {
		for name, now := range known {
			was, ok := st[name]
			if !ok || len(was.Schemas) == 0 || was.Schemas[len(was.Schemas)-1] != now.Schemas[0] || !sameRef(was.Ref, now.Ref) || !was.Claimed {
				return true
			}
		}
		return false
	}
	if !changed(joined.State().Tables) {
		return nil
	}
	err := joined.Update(ctx, func(st *stream.PipelineState) error {
		if st.Tables == nil {
			st.Tables = map[string]stream.TableState{}
		}
		for name, now := range known {
			was := st.Tables[name]
			if n := len(was.Schemas); n > 0 && was.Schemas[n-1] != now.Schemas[0] {
				now.Schemas = append(was.Schemas[:n:n], now.Schemas...)
			}
			st.Tables[name] = now
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note the tables in the ledger: %w", err)
	}
	return nil
}

func sameRef(a, b stream.TableRef) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return errors.Join(err1, err2) == nil && string(x) == string(y)
}

// pool and uploads are the process's: memory and connections are bounded for all pipelines together.
func (d *Daemon) share(reg prometheus.Registerer) {
	d.budget = &stream.Budget{Limit: int64(Budget(d.s.Memory))}
	d.pool = sink.NewPool(d.budget, reg)
	d.storeMetrics = store.NewMetrics(reg)
	d.uploads = object.Options{Gate: object.NewGate(32), Log: d.s.Log}
}

// buildTime bounds the building of a pipeline: a server that does not answer is away. The proof of a slow store, 640 writes
// for each location, takes most of it, and must be able to end: it would begin anew with every try.
const buildTime = 3 * time.Minute
