package sink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/stream"
)

// uploads keeps what is uploaded in memory.
type uploads struct {
	mu       sync.Mutex
	staged   int
	sealed   map[string][]byte
	verified map[string]bool
	dropped  []string
	order    []string // keys in the order in which they were sealed

	failWrite  error                           // of every write
	failVerify error                           // of every Verify
	hang       func(ctx context.Context) error // called by Seal
}

var _ stream.Uploads = (*uploads)(nil)

func newUploads() *uploads { return &uploads{sealed: map[string][]byte{}, verified: map[string]bool{}} }

type upload struct {
	u   *uploads
	ctx context.Context
	key string
	buf bytes.Buffer
	m   stream.UploadMeta
}

func (u *uploads) Stage(ctx context.Context, key string, m stream.UploadMeta) (stream.Staged, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.staged++
	return &upload{u: u, ctx: ctx, key: key, m: m}, nil
}

func (s *upload) Write(p []byte) (int, error) {
	if s.u.failWrite != nil {
		return 0, s.u.failWrite
	}
	return s.buf.Write(p)
}

func (*upload) Buffered() int64 { return 0 }

func (s *upload) Seal(context.Context) (stream.StagedRef, error) {
	if s.u.hang != nil {
		if err := s.u.hang(s.ctx); err != nil {
			return stream.StagedRef{}, err
		}
	}
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	if _, ok := s.u.sealed[s.key]; ok {
		return stream.StagedRef{}, fmt.Errorf("key %s was used twice", s.key)
	}
	s.u.sealed[s.key] = s.buf.Bytes()
	s.u.order = append(s.u.order, s.key)
	return stream.StagedRef{Key: s.key, UploadID: "u", Bytes: int64(s.buf.Len()), Txn: s.m.Txn.String()}, nil
}

func (s *upload) Abort(context.Context) error { return s.u.Discard(nil, stream.StagedRef{Key: s.key}) } //nolint:staticcheck // unused

func (u *uploads) Verify(_ context.Context, r stream.StagedRef) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.verified[r.Key] = true
	return u.failVerify
}

func (u *uploads) Publish(context.Context, stream.StagedRef) error {
	return errors.New("a sink never publishes")
}

func (u *uploads) Discard(_ context.Context, r stream.StagedRef) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.sealed, r.Key)
	u.dropped = append(u.dropped, r.Key)
	return nil
}

func (u *uploads) Pending(context.Context, string) iter.Seq2[stream.StagedRef, error] { return nil }

// lines is an encoder that writes column id of every row as a line, when it is closed.
type lines struct {
	w    io.Writer
	at   int
	rows []string
	n    int64
	done int64 // rows written
	size int64 // bytes that a row takes
}

func encoder(rowBytes int64) func(*arrow.Schema, io.Writer) (stream.Encoder, error) {
	return func(s *arrow.Schema, w io.Writer) (stream.Encoder, error) {
		return &lines{w: w, at: s.FieldIndices("id")[0], size: rowBytes}, nil
	}
}

func (l *lines) Write(b *stream.Batch) error {
	for _, i := range b.Sel {
		l.rows = append(l.rows, fmt.Sprint(b.Cols[l.at].I64[i]))
	}
	return nil
}

// Flush writes the lines that there are.
func (l *lines) Flush() error {
	k, err := io.WriteString(l.w, strings.Join(append(l.rows, ""), "\n"))
	l.n += int64(k)
	l.done += int64(len(l.rows))
	l.rows = nil
	return err
}

func (l *lines) Buffered() int64 { return int64(len(l.rows)) * l.size }
func (l *lines) Written() int64  { return l.n }

func (l *lines) Close(meta map[string]string) (int64, error) {
	if err := l.Flush(); err != nil {
		return 0, err
	}
	var keys []string
	for k, v := range meta {
		keys = append(keys, "#"+k+"="+v+"\n")
	}
	slices.Sort(keys)
	k, err := io.WriteString(l.w, strings.Join(keys, ""))
	l.n += int64(k)
	return l.done, err
}

// stiff is an encoder that has nothing to give back before it is closed.
func stiff(rowBytes int64) func(*arrow.Schema, io.Writer) (stream.Encoder, error) {
	build := encoder(rowBytes)
	return func(s *arrow.Schema, w io.Writer) (stream.Encoder, error) {
		e, err := build(s, w)
		return stiffEncoder{e}, err
	}
}

type stiffEncoder struct{ stream.Encoder }

func (stiffEncoder) Flush() error { return nil }

// schema has an id and two partition columns.
func schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		{Name: "id", Type: arrow.PrimitiveTypes.Int64},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
}

func config() sink.Config {
	return sink.Config{Schema: schema(), Ref: stream.TableRef{Name: "silver", Location: "s3://lake/silver/orders/",
		Partitions: []stream.PartitionColumn{{Name: "day", Type: "date"}, {Name: "country", Type: "string"}}}}
}

type row struct {
	id      int64
	day     int32
	country string
}

func batch(rows ...row) *stream.Batch {
	b := stream.NewBatch(schema())
	for _, r := range rows {
		b.Cols[0].AppendI32(r.day)
		b.Cols[1].AppendI64(r.id)
		b.Cols[2].AppendString(r.country)
		b.Origin = append(b.Origin, stream.Origin{Record: int32(b.Rows)})
		b.Rows++
	}
	b.SelectAll()
	return b
}

func txn(lane stream.LaneID, n uint64) stream.TxnID {
	return stream.TxnID{Incarnation: "7f3a", Lane: lane, Epoch: 17, N: n}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// ids are the rows of an uploaded file of lines.
func (u *uploads) ids(key string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []string
	for l := range strings.Lines(string(u.sealed[key])) {
		if !strings.HasPrefix(l, "#") {
			out = append(out, strings.TrimSpace(l))
		}
	}
	return out
}

// recording is an encoder that notes all columns of every row.
func recording(seen *[]string) func(*arrow.Schema, io.Writer) (stream.Encoder, error) {
	return func(_ *arrow.Schema, w io.Writer) (stream.Encoder, error) {
		return &recorder{lines{w: w, at: 2}, seen}, nil
	}
}

type recorder struct {
	lines
	seen *[]string
}

func (r *recorder) Write(b *stream.Batch) error {
	for _, i := range b.Sel {
		var vs []string
		for _, c := range b.Cols {
			vs = append(vs, text(c, int(i)))
		}
		*r.seen = append(*r.seen, strings.Join(vs, " "))
	}
	return r.lines.Write(b)
}

func text(v *stream.Vec, i int) string {
	switch {
	case v.IsNull(i):
		return "null"
	case v.I64 != nil:
		return fmt.Sprint(v.I64[i])
	case v.I32 != nil:
		return fmt.Sprint(v.I32[i])
	}
	return v.StringAt(i)
}
