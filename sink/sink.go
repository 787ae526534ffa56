package sink

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// Config says what a sink writes.
type Config struct {
	Ref        stream.TableRef
	Schema     *arrow.Schema // of the batches, partition columns among them
	FileSchema *arrow.Schema // of the files, as Table.Ensure returned it; partition columns in it are left out. nil: Schema
	RollSize   stream.Bytes  // a file of this size is closed; 0: DefaultRollSize
	MaxOpen    int           // files of this sink that are open or being closed, over all lanes; 0: DefaultMaxOpen
}

// Defaults of Config. A file of 256 MiB is four row groups as they come, and is read well by any engine.
const (
	DefaultRollSize = stream.Bytes(256 << 20)
	DefaultMaxOpen  = 10_000
)

// maxPartitionsPerOpen times MaxOpen is how many table partitions one transaction may touch. Beyond it a partition column is
// not what was meant: every commit would make that many files.
const maxPartitionsPerOpen = 10

// Deps are what a sink works with.
type Deps struct {
	Uploads    stream.Uploads
	NewEncoder func(s *arrow.Schema, w io.Writer) (stream.Encoder, error)
	Pool       *Pool
	// Footer gives what is known of a transaction while it is open, for files that are closed before Seal; may be nil. It is
	// called from other goroutines than the lane's.
	Footer  func(stream.TxnID) map[string]string
	Hooks   *stream.Hooks
	Log     *slog.Logger
	Metrics *Metrics
}

// Sink is one table to write to. It is safe for concurrent use; every lane has TableWriters of its own.
type Sink struct {
	cfg           Config
	deps          Deps
	parts         []partColumn
	cols          []int // per column of the file: its index in the batch; -1: the table has it, the batch has not
	file          *arrow.Schema
	maxPartitions int
	maxKey        int // bytes that are left for the folder
	maxName       int // bytes that one folder's name may have
	live          atomic.Int64
	closer        closer
	encoding      chan struct{} // who holds a place may encode the rest of a file
}

var _ stream.Sink = (*Sink)(nil)

// New checks that batches of c.Schema fit the files, and returns the sink. It starts nothing.
func New(c Config, d Deps) (*Sink, error) {
	if c.RollSize <= 0 {
		c.RollSize = DefaultRollSize
	}
	if c.MaxOpen <= 0 {
		c.MaxOpen = DefaultMaxOpen
	}
	if c.FileSchema == nil {
		c.FileSchema = c.Schema
	}
	if d.Pool == nil {
		d.Pool = NewPool(&stream.Budget{}, nil)
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = NewMetrics(nil)
	}
	s := &Sink{cfg: c, deps: d, maxPartitions: maxPartitionsPerOpen * c.MaxOpen, encoding: make(chan struct{}, runtime.GOMAXPROCS(0))}
	if err := s.columns(); err != nil {
		return nil, err
	}
	s.limits()
	return s, nil
}

// Ref names the table.
func (s *Sink) Ref() stream.TableRef { return s.cfg.Ref }

// columns maps the file's columns to those of the batch.
func (s *Sink) columns() error {
	part := map[string]bool{}
	for _, p := range s.cfg.Ref.Partitions {
		at := s.cfg.Schema.FieldIndices(p.Name)
		if len(at) != 1 {
			return fmt.Errorf("sink %s: partition column %q is not a column of the rows: %w", s.cfg.Ref.Name, p.Name, stream.ErrPermanent)
		}
		pc, err := newPartColumn(p.Name, at[0], s.cfg.Schema.Field(at[0]).Type)
		if err != nil {
			return err
		}
		s.parts = append(s.parts, pc)
		part[p.Name] = true
	}
	var fields []arrow.Field
	known := map[string]bool{}
	for _, f := range s.cfg.FileSchema.Fields() {
		if part[f.Name] {
			continue
		}
		known[f.Name] = true
		fields = append(fields, f)
		at := s.cfg.Schema.FieldIndices(f.Name)
		switch {
		case len(at) == 1 && sameLayout(s.cfg.Schema.Field(at[0]).Type, f.Type):
			s.cols = append(s.cols, at[0])
		case len(at) == 1:
			return stream.WithNext(fmt.Errorf("sink %s: column %q is %s here and %s in the table: %w", s.cfg.Ref.Name, f.Name, s.cfg.Schema.Field(at[0]).Type, f.Type, stream.ErrPermanent),
				"cast it in a step: set: {%s: CAST(%s AS …)}", f.Name, f.Name)
		case f.Nullable:
			s.cols = append(s.cols, -1)
		default:
			return fmt.Errorf("sink %s: the table requires a column %q, which the rows do not have: %w", s.cfg.Ref.Name, f.Name, stream.ErrPermanent)
		}
	}
	for _, f := range s.cfg.Schema.Fields() {
		if !known[f.Name] && !part[f.Name] {
			return fmt.Errorf("sink %s: the table has no column %q: %w", s.cfg.Ref.Name, f.Name, stream.ErrPermanent)
		}
	}
	if len(fields) == 0 {
		return stream.WithNext(fmt.Errorf("sink %s: every column is a partition column, so files would have none: %w", s.cfg.Ref.Name, stream.ErrPermanent),
			"keep at least one column that is not in partition_by")
	}
	md := s.cfg.FileSchema.Metadata()
	s.file = arrow.NewSchema(fields, &md)
	return nil
}

// sameLayout tells whether rows of a can be copied as rows of b, whatever they say of nulls and field ids.
func sameLayout(a, b arrow.DataType) bool {
	if a.ID() != b.ID() {
		return false
	}
	x, nested := a.(arrow.NestedType)
	if !nested {
		return arrow.TypeEqual(a, b)
	}
	y := b.(arrow.NestedType) //nolint:forcetypeassert // the same ID
	if x.NumFields() != y.NumFields() {
		return false
	}
	for i, f := range x.Fields() {
		g := y.Fields()[i]
		if a.ID() == arrow.STRUCT && f.Name != g.Name || !sameLayout(f.Type, g.Type) {
			return false
		}
	}
	return true
}

// limits finds how long a folder may be. S3 keys have at most 1,024 bytes, bucket excluded; names on local file systems
// 255. The file's own name gets 160: incarnation, lane and three numbers of 20 digits are shorter.
func (s *Sink) limits() {
	const key, name, own = 1024, 255, 160
	s.maxKey, s.maxName = key-own, key
	if u, err := url.Parse(s.cfg.Ref.Location); err == nil && u.Scheme == "s3" {
		s.maxKey -= len(strings.TrimPrefix(u.Path, "/"))
		return
	}
	s.maxName = name
}

// Begin opens the writing of one transaction. Nothing is created before the first row.
func (s *Sink) Begin(id stream.TxnID) stream.TableWriter {
	w := &writer{s: s, id: id, router: router{slots: map[string]*slot{}}, view: stream.Batch{Schema: s.file}}
	for i, c := range s.cols {
		if c < 0 {
			w.view.Cols = append(w.view.Cols, stream.NewVec(s.file.Field(i).Type))
		} else {
			w.view.Cols = append(w.view.Cols, nil)
		}
	}
	return w
}
