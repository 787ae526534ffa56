package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

// Everything here runs against the broker in this process, and against the real one in the integration tests.
func scenarios(t *testing.T, fresh func(*testing.T) *rig) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(*testing.T, *rig, string)
	}{
		{"transactions", transactions},
		{"open transaction", openTransaction},
		{"only aborted", onlyAborted},
		{"read uncommitted", uncommittedRead},
		{"start at", startAt},
		{"bounded", bounded},
		{"recreated", recreated},
		{"retention", retention},
		{"retention while reading", retentionWhileReading},
		{"above the end", aboveEnd},
		{"unknown epoch", unknownEpoch},
		{"no such partition", noSuchPartition},
		{"one halts the others go on", othersGoOn},
		{"values", exactValues},
		{"codecs", codecs},
		{"budget", budget},
		{"large batches", largeBatches},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, fresh(t), unique(t))
		})
	}
}

// log is what a test has read of one partition.
type log struct {
	from, to stream.Position
	offsets  []int64
	batches  int
	last     *stream.RawBatch // without records
}

// read takes batches of one partition until done says so.
func read(t *testing.T, r stream.Reader, done func(*log) bool) *log {
	t.Helper()
	ctx := within(t, 20*time.Second)
	l := &log{}
	for !done(l) {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("Next: %v, after %+v", err, l)
		}
		if l.batches == 0 {
			l.from = b.From
		} else if b.From != l.to {
			t.Fatalf("got a batch from %s behind one to %s", b.From, l.to)
		}
		l.to = b.To
		for _, rec := range b.Records {
			l.offsets = append(l.offsets, rec.Offset)
		}
		l.batches++
		last := *b
		last.Records, last.Free = nil, nil
		l.last = &last
		b.Release()
	}
	return l
}

func toEnd(at string) func(*log) bool {
	return func(l *log) bool { return string(l.to) == at }
}

// txn produces values in a transaction and ends it.
func (r *rig) txn(topic string, n int, commit bool) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.addrs...), kgo.TransactionalID(topic+"-"+strconv.FormatInt(time.Now().UnixNano(), 36)),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	before, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
	if err != nil {
		r.t.Fatal(err)
	}
	was, _ := before.Lookup(topic, 0)
	r.send(cl, topic, n)
	if err := cl.EndTransaction(r.t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		r.t.Fatal(err)
	}
	r.until("the marker is written", func() bool { // the producer is told before it can be read
		now, err := r.adm.ListCommittedOffsets(r.t.Context(), topic)
		is, _ := now.Lookup(topic, 0)
		return err == nil && is.Offset == was.Offset+int64(n)+1
	})
}

// openTxn leaves a transaction open until the returned function ends it.
func (r *rig) openTxn(topic string, n int) (end func(commit bool)) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.addrs...), kgo.TransactionalID(topic+"-open"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(cl.Close)
	r.send(cl, topic, n)
	return func(commit bool) {
		if err := cl.EndTransaction(r.t.Context(), kgo.TransactionEndTry(commit)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) send(cl *kgo.Client, topic string, n int) {
	r.t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		r.t.Fatal(err)
	}
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Topic: topic, Value: []byte("t" + strconv.Itoa(i))})
	}
	if err := cl.ProduceSync(r.t.Context(), rs...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

func transactions(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.txn(topic, 5, true)     // 0-4, marker 5
	g.txn(topic, 5, false)    // 6-10, marker 11
	g.produce(topic, 0, 0, 1) // 12
	g.txn(topic, 2, false)    // 13-14, marker 15: trailing
	s := g.source(g.config(topic), g.deps())
	l := read(t, open(t, s, bookmark(topic, 0, 0, id)), toEnd("16"))
	if want := []int64{0, 1, 2, 3, 4, 12}; !slices.Equal(l.offsets, want) {
		t.Errorf("got records %v, want %v", l.offsets, want)
	}
	if !l.last.AtEnd || l.last.Lag != 0 {
		t.Errorf("got at end %v with lag %d at the last marker, want true and 0", l.last.AtEnd, l.last.Lag)
	}
	// From inside the aborted one, and from its marker.
	for _, from := range []int64{8, 11, 13, 15} {
		l := read(t, open(t, s, bookmark(topic, 0, from, id)), toEnd("16"))
		if len(l.offsets) > 1 || l.from != stream.Position(strconv.FormatInt(from, 10)) {
			t.Errorf("from %d: got records %v from %s, want at most record 12", from, l.offsets, l.from)
		}
	}
}

func onlyAborted(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.txn(topic, 3, false)
	s := g.source(g.config(topic), g.deps())
	r := open(t, s, bookmark(topic, 0, 0, id))
	l := read(t, r, toEnd("4"))
	if len(l.offsets) > 0 || !l.last.AtEnd {
		t.Errorf("got records %v, at end %v; want none, at the end", l.offsets, l.last.AtEnd)
	}
	// Quiet afterwards: nothing is told twice.
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if b, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v; want silence", b, err)
	}
}

func openTransaction(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 3)
	end := g.openTxn(topic, 2)
	g.produce(topic, 0, 3, 2)
	d := g.deps()
	reg := prometheus.NewPedanticRegistry()
	d.Metrics = reg
	s := g.source(g.config(topic), d)
	r := open(t, s, bookmark(topic, 0, 0, id))
	held := func(n int) {
		t.Helper()
		const name = "millrace_source_open_transaction_records"
		g.until(fmt.Sprintf("%s is %d", name, n), func() bool {
			return testutil.GatherAndCompare(reg, strings.NewReader(fmt.Sprintf("# HELP %[1]s Records in the log above the last stable offset: a producer's transaction is open, and nothing above its first record is read before it ends.\n"+
				"# TYPE %[1]s gauge\n%[1]s{partition=\"kafka/%[2]s/0\"} %[3]d\n", name, topic, n)), name) == nil
		})
	}
	l := read(t, r, toEnd("3"))
	held(4)
	if !l.last.AtEnd || l.last.Lag != 4 {
		t.Errorf("got at end %v, lag %d below an open transaction; want true and 4", l.last.AtEnd, l.last.Lag)
	}
	end(true)
	l = read(t, r, toEnd("8"))
	held(0)
	if want := []int64{3, 4, 5, 6}; !slices.Equal(l.offsets, want) {
		t.Errorf("got records %v, want %v", l.offsets, want)
	}
}

func uncommittedRead(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.txn(topic, 2, false)
	g.openTxn(topic, 2)
	c := g.config(topic)
	c.Isolation = "read_uncommitted"
	l := read(t, open(t, g.source(c, g.deps()), bookmark(topic, 0, 0, id)), toEnd("5"))
	if want := []int64{0, 1, 3, 4}; !slices.Equal(l.offsets, want) {
		t.Errorf("got records %v, want %v", l.offsets, want)
	}
}

func startAt(t *testing.T, g *rig, topic string) {
	g.create(topic, 1)
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	for i := range 5 {
		rec := &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: at.Add(time.Duration(i) * time.Minute)}
		if err := g.cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.adm.DeleteRecords(t.Context(), kadm.Offsets{topic: {0: {Topic: topic, At: 1}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ start, want string }{
		{"earliest", "1"},
		{"latest", "5"},
		{at.Add(2 * time.Minute).Format(time.RFC3339Nano), "2"},
		{at.Add(90 * time.Second).Format(time.RFC3339Nano), "2"},
		{at.Add(time.Hour).Format(time.RFC3339Nano), "5"},
	} {
		cfg := g.config(topic)
		cfg.StartAt = c.start
		got, err := g.source(cfg, g.deps()).Discover(t.Context())
		if err != nil || len(got) != 1 || string(got[0].Position) != c.want {
			t.Errorf("start_at %s: got %+v, %v; want position %s", c.start, got, err, c.want)
		}
	}
}

func bounded(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 2)
	g.produce(topic, 0, 0, 10)
	d := g.deps()
	d.Once = true
	s := g.source(g.config(topic), d)
	if _, err := s.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.produce(topic, 0, 10, 10)
	g.produce(topic, 1, 0, 10) // after the start, so not part of this run
	r := open(t, s, bookmark(topic, 0, 0, id), bookmark(topic, 1, 0, id))
	n := 0
	for {
		b, err := r.Next(within(t, 20*time.Second))
		if errors.Is(err, stream.ErrEnd) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += len(b.Records)
		if b.Partition == bookmark(topic, 0, 0, id).Partition && b.To == "10" && !b.AtEnd {
			t.Error("the last batch is not at the end")
		}
		b.Release()
	}
	if n != 10 {
		t.Errorf("got %d records, want the 10 that were there at the start", n)
	}
	if _, err := r.Next(t.Context()); !errors.Is(err, stream.ErrEnd) {
		t.Errorf("got %v, want ErrEnd again", err)
	}
}

// halts reads until a partition halts and checks the code, the class and the advice.
func halts(t *testing.T, r stream.Reader, id stream.PartitionID, code string) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for {
		b, err := r.Next(ctx)
		var pe *stream.PartitionError
		switch {
		case errors.As(err, &pe):
			t.Logf("%v | next: %s", err, stream.Next(err))
			if pe.Partition != id || pe.Code != code || !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" {
				t.Errorf("got %s of %s, class %s, advice %q; want %s of %s, permanent, with advice", pe.Code, pe.Partition, stream.Kind(err), stream.Next(err), code, id)
			}
			return
		case errors.Is(err, stream.ErrUnavailable):
		case err != nil:
			t.Fatalf("got %v, want %s", err, code)
		default:
			b.Release()
		}
	}
}

// quiet checks that a halted partition says nothing more.
func quiet(t *testing.T, r stream.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if b, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v from a halted partition; want silence", b, err)
	}
}

func recreated(t *testing.T, g *rig, topic string) {
	old := g.create(topic, 1)
	g.produce(topic, 0, 0, 5)
	r := open(t, g.source(g.config(topic), g.deps()), bookmark(topic, 0, 0, old))
	read(t, r, toEnd("5"))
	if _, err := g.adm.DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	var id string
	for range 50 { // brokers need a moment to forget
		if resp, err := g.adm.CreateTopic(t.Context(), 1, 1, nil, topic); err == nil {
			id = fmt.Sprintf("%x", resp.ID[:])
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	g = newRig(t, g.addrs)
	g.produce(topic, 0, 100, 20)
	halts(t, r, bookmark(topic, 0, 0, old).Partition, "topic_recreated")
	quiet(t, r)
	// The bookmark of the old one does not read the new one either; that of the new one does.
	s := g.source(g.config(topic), g.deps())
	halts(t, open(t, s, bookmark(topic, 0, 5, old)), bookmark(topic, 0, 0, old).Partition, "topic_recreated")
	read(t, open(t, s, bookmark(topic, 0, 0, id)), toEnd("20"))
	// identity: name does not ask.
	c := g.config(topic)
	c.Identity = "name"
	read(t, open(t, g.source(c, g.deps()), bookmark(topic, 0, 5, old)), toEnd("20"))
}

func (r *rig) deleteRecords(topic string, before int64) {
	r.t.Helper()
	if _, err := r.adm.DeleteRecords(r.t.Context(), kadm.Offsets{topic: {0: {Topic: topic, At: before}}}); err != nil {
		r.t.Fatal(err)
	}
}

func retention(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 20)
	g.deleteRecords(topic, 10)
	s := g.source(g.config(topic), g.deps())
	r := open(t, s, bookmark(topic, 0, 9, id))
	halts(t, r, bookmark(topic, 0, 0, id).Partition, "out_of_retention")
	quiet(t, r)
	read(t, open(t, s, bookmark(topic, 0, 10, id)), toEnd("20"))
	// Only Seek revives it.
	if err := r.Seek(t.Context(), []stream.Bookmark{bookmark(topic, 0, 10, id)}); err != nil {
		t.Fatal(err)
	}
	read(t, r, toEnd("20"))
}

func retentionWhileReading(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 5)
	r := open(t, g.source(g.config(topic), g.deps()), bookmark(topic, 0, 0, id))
	read(t, r, toEnd("5"))
	r.Pause(true)
	time.Sleep(700 * time.Millisecond) // what was asked before the pause is answered within half a second
	g.produce(topic, 0, 5, 10)
	g.deleteRecords(topic, 10)
	r.Pause(false)
	halts(t, r, bookmark(topic, 0, 0, id).Partition, "out_of_retention")
	quiet(t, r)
}

func aboveEnd(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 5)
	s := g.source(g.config(topic), g.deps())
	halts(t, open(t, s, bookmark(topic, 0, 9, id)), bookmark(topic, 0, 0, id).Partition, "truncated")
	b := bookmark(topic, 0, 9, id)
	b.LeaderEpoch = 0 // known, but its end is below
	halts(t, open(t, s, b), b.Partition, "truncated")
}

func unknownEpoch(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 5)
	b := bookmark(topic, 0, 3, id)
	b.LeaderEpoch = 7
	halts(t, open(t, g.source(g.config(topic), g.deps()), b), b.Partition, "truncated")
}

func noSuchPartition(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	s := g.source(g.config(topic), g.deps())
	halts(t, open(t, s, bookmark(topic, 3, 0, id)), bookmark(topic, 3, 0, id).Partition, "fewer_partitions")
	gone := topic + "-gone"
	halts(t, open(t, s, bookmark(gone, 0, 0, id)), bookmark(gone, 0, 0, id).Partition, "fewer_partitions")
}

func othersGoOn(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 2)
	g.produce(topic, 0, 0, 5)
	r := open(t, g.source(g.config(topic), g.deps()), bookmark(topic, 1, 99, id), bookmark(topic, 0, 0, id))
	halts(t, r, bookmark(topic, 1, 0, id).Partition, "truncated")
	g.produce(topic, 0, 5, 5)
	read(t, r, toEnd("10"))
}

func exactValues(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	at := time.UnixMilli(1_700_000_000_123)
	in := []*kgo.Record{
		{Topic: topic, Key: nil, Value: nil, Timestamp: at},
		{Topic: topic, Key: []byte{}, Value: []byte{}, Timestamp: at},
		{Topic: topic, Key: []byte("k"), Value: []byte{0, 255, 10}, Timestamp: time.UnixMilli(-5), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Key: "", Value: []byte{}}}},
		{Topic: topic, Value: []byte("x"), Headers: []kgo.RecordHeader{{Key: "b", Value: []byte("2")}}, Timestamp: at},
		{Topic: topic, Value: []byte("no time"), Timestamp: time.UnixMilli(-1)},
		{Topic: topic, Value: []byte("of 1700"), Headers: []kgo.RecordHeader{{Key: "\xff\x00", Value: []byte{0, 255}}}, Timestamp: time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	if err := g.cl.ProduceSync(t.Context(), in...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r := open(t, g.source(g.config(topic), g.deps()), bookmark(topic, 0, 0, id))
	var got int
	for got < len(in) {
		b, err := r.Next(within(t, 20*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if b.Topic != topic || b.Number != 0 || b.LeaderEpoch != 0 {
			t.Errorf("got topic %s, partition %d, epoch %d", b.Topic, b.Number, b.LeaderEpoch)
		}
		for _, rec := range b.Records {
			want := in[got]
			if rec.Offset != int64(got) || rec.Timestamp != stream.Micros(want.Timestamp.UnixMicro()) {
				t.Errorf("record %d: got offset %d, time %d", got, rec.Offset, rec.Timestamp)
			}
			if (rec.Value == nil) != (want.Value == nil) || string(rec.Value) != string(want.Value) || (rec.Key == nil) != (want.Key == nil) || string(rec.Key) != string(want.Key) {
				t.Errorf("record %d: got key %q (nil %v), value %q (nil %v)", got, rec.Key, rec.Key == nil, rec.Value, rec.Value == nil)
			}
			if len(rec.Headers) != len(want.Headers) {
				t.Fatalf("record %d: got %d headers, want %d", got, len(rec.Headers), len(want.Headers))
			}
			for i, h := range rec.Headers {
				if w := want.Headers[i]; h.Key != w.Key || string(h.Value) != string(w.Value) || (h.Value == nil) != (w.Value == nil) {
					t.Errorf("record %d: got header %+v, want %+v", got, h, w)
				}
			}
			got++
		}
		b.Release()
	}
}

func codecs(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	want := 0
	for _, c := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		p := newRig(t, g.addrs, kgo.ProducerBatchCompression(c))
		p.produce(topic, 0, want, 500)
		want += 500
	}
	r := open(t, g.source(g.config(topic), g.deps()), bookmark(topic, 0, 0, id))
	ctx := within(t, 20*time.Second)
	for n := 0; n < want; {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range b.Records {
			if string(rec.Value) != strconv.Itoa(n) {
				t.Fatalf("record %d: got value %q", n, rec.Value)
			}
			n++
		}
		b.Release()
	}
}

func budget(t *testing.T, g *rig, topic string) {
	id := g.create(topic, 1)
	g.produce(topic, 0, 0, 5000)
	d := g.deps()
	d.Budget = &stream.Budget{Limit: 1} // always over: still, reading goes on, batch by batch
	s := g.source(g.config(topic), d)
	r := open(t, s, bookmark(topic, 0, 0, id))
	ctx := within(t, 20*time.Second)
	for n := 0; n < 5000; {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(b.Records)
		if used := d.Budget.Used(); used < b.Bytes || b.Bytes < int64(len(b.Records)) {
			t.Errorf("got %d bytes counted with a batch of %d in hand", used, b.Bytes)
		}
		b.Release()
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if used := d.Budget.Used(); used != 0 {
		t.Errorf("got %d bytes counted at the end, want 0", used)
	}
}

// largeBatches: more partitions than fit into one answer, so that batches come cut.
func largeBatches(t *testing.T, g *rig, topic string) {
	const partitions, each = 10, 4
	id := g.create(topic, partitions)
	g = newRig(t, g.addrs, kgo.ProducerBatchCompression(kgo.NoCompression()))
	var at []stream.Bookmark
	for p := range int32(partitions) {
		at = append(at, bookmark(topic, p, 0, id))
		for range each {
			if err := g.cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: p, Value: make([]byte, 900_000)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := open(t, g.source(g.config(topic), g.deps()), at...)
	ctx := within(t, time.Minute)
	got := map[int32]int{}
	for n := 0; n < partitions*each; {
		b, err := r.Next(ctx)
		if err != nil {
			t.Fatalf("%v, with %v", err, got)
		}
		n += len(b.Records)
		got[b.Number] += len(b.Records)
		b.Release()
	}
}
