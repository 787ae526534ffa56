package lane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// DeadLetterSchema is the table of records that did not become rows.
func DeadLetterSchema() *arrow.Schema {
	ts := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	header := arrow.StructOf(
		arrow.Field{Name: "key", Type: arrow.BinaryTypes.String},
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true},
	)
	null := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	must := func(name string, t arrow.DataType) arrow.Field { return arrow.Field{Name: name, Type: t} }
	return arrow.NewSchema([]arrow.Field{
		must("time", ts),
		must("pipeline", arrow.BinaryTypes.String),
		must("source_partition", arrow.BinaryTypes.String),
		null("topic", arrow.BinaryTypes.String),
		null("partition", arrow.PrimitiveTypes.Int32),
		null("offset", arrow.PrimitiveTypes.Int64),
		null("path", arrow.BinaryTypes.String),
		null("row", arrow.PrimitiveTypes.Int64),
		null("key", arrow.BinaryTypes.Binary),
		null("raw", arrow.BinaryTypes.Binary),
		must("raw_size", arrow.PrimitiveTypes.Int64),
		must("raw_sha256", arrow.BinaryTypes.String),
		null("headers", arrow.ListOf(header)),
		null("record_time", ts),
		must("step", arrow.BinaryTypes.String),
		null("column", arrow.BinaryTypes.String),
		must("code", arrow.BinaryTypes.String),
		must("reason", arrow.BinaryTypes.String),
		must("transaction", arrow.BinaryTypes.String),
	}, nil)
}

// deadLetters turns bad records into rows of the dead-letter table, in the transaction that read them.
type deadLetters struct {
	p     Pipeline
	limit int64
	batch *stream.Batch
}

func newDeadLetters(p Pipeline, limit int64) *deadLetters {
	return &deadLetters{p: p, limit: limit, batch: stream.NewBatch(DeadLetterSchema())}
}

func (d *deadLetters) write(ctx context.Context, t *txn, set *stream.RawSet) error {
	if t.dead == nil {
		t.dead = d.p.Dead.Begin(t.id)
	}
	for i := 0; i < len(set.Bad); {
		d.batch.Reset()
		for ; i < len(set.Bad) && d.batch.Rows < stream.BatchRows; i++ {
			d.row(t, set, &set.Bad[i])
		}
		d.batch.SelectAll()
		if err := t.dead.Write(ctx, d.batch); err != nil {
			return err
		}
		if n := len(d.batch.Raw.Bad); n > 0 {
			return fmt.Errorf("%d dead letters cannot be written: %s: %w", n, d.batch.Raw.Bad[0].Reason, stream.ErrPermanent)
		}
		t.deadIn += int64(d.batch.Rows)
		if d.batch.Cols[9].Size()+d.batch.Cols[8].Size() > giantBytes {
			d.batch = stream.NewBatch(DeadLetterSchema())
		}
	}
	return nil
}

func (d *deadLetters) row(t *txn, set *stream.RawSet, bad *stream.BadRow) {
	raw, rec := set.Record(bad.Origin)
	c := d.batch.Cols
	c[0].AppendI64(int64(t.time))
	c[1].AppendString(d.p.Name)
	c[2].AppendString(string(raw.Partition))
	c[3].AppendString(raw.Topic)
	c[4].AppendI32(raw.Number)
	c[5].AppendI64(rec.Offset)
	c[6].AppendNull()
	c[7].AppendNull()
	bytesOrNull(c[8], d.cut(rec.Key))
	if bad.Code == tooLarge {
		c[9].AppendNull() // the digest stands for it
	} else {
		bytesOrNull(c[9], d.cut(rec.Value))
	}
	c[10].AppendI64(int64(len(rec.Value)))
	sum := sha256.Sum256(rec.Value)
	c[11].AppendString(hex.EncodeToString(sum[:]))
	d.headers(c[12], rec.Headers)
	if rec.Timestamp == stream.NoTime || rec.Timestamp < firstTime || rec.Timestamp > lastTime {
		c[13].AppendNull()
	} else {
		c[13].AppendI64(int64(rec.Timestamp))
	}
	c[14].AppendString(bad.Step)
	if bad.Column == "" {
		c[15].AppendNull()
	} else {
		c[15].AppendString(bad.Column)
	}
	c[16].AppendString(bad.Code)
	c[17].AppendString(bad.Reason)
	c[18].AppendString(t.id.String())
	d.batch.Rows++
	d.batch.Origin = append(d.batch.Origin, bad.Origin)
}

const (
	// tooLarge is the code of records over a size limit, whose bytes are not kept.
	tooLarge = "too_large"
	// Years 1 to 9999, which every reader knows.
	firstTime = stream.Micros(-62_135_596_800_000_000)
	lastTime  = stream.Micros(253_402_300_799_999_999)
)

// cut is at most raw_limit bytes of b; nil stays nil.
func (d *deadLetters) cut(b []byte) []byte { return b[:min(int64(len(b)), d.limit)] }

// headers writes as many headers as raw_limit has room for.
func (d *deadLetters) headers(v *stream.Vec, hs []stream.Header) {
	left := d.limit
	for _, h := range hs {
		if left -= int64(len(h.Key) + len(h.Value)); left < 0 {
			break
		}
		kv := v.Kids[0]
		kv.Kids[0].AppendString(strings.ToValidUTF8(h.Key, "\uFFFD"))
		bytesOrNull(kv.Kids[1], h.Value)
		kv.EndRow()
	}
	v.EndRow()
}

func bytesOrNull(v *stream.Vec, b []byte) {
	if b == nil {
		v.AppendNull()
		return
	}
	v.AppendBytes(b)
}

const (
	ratioWindow  = 10 * time.Minute
	ratioBuckets = 10
	// ratioLeast is the number of records from which a ratio means something: 100 of a small stream are enough to see that its
	// schema is wrong, and fewer may be one bad producer's hiccup.
	ratioLeast = 100
)

// ratio watches the share of dead letters of all lanes over the last ten minutes. Once it is too large every lane of this
// worker halts, until a person starts it again.
type ratio struct {
	max float64

	mu      sync.Mutex
	buckets [ratioBuckets]struct{ minute, records, dead int64 }
	tripped error
}

func newRatio(limit float64) *ratio { return &ratio{max: limit} }

// check counts a transaction and refuses it if too much of what came lately is bad: then most likely the schema is wrong,
// and a person should look before the stream has become a table of dead letters.
func (r *ratio) check(records, dead int64, now time.Time) error {
	if r.max <= 0 || r.max >= 1 {
		return nil
	}
	minute := now.Unix() / int64(ratioWindow.Seconds()/ratioBuckets)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tripped != nil {
		return r.tripped
	}
	b := &r.buckets[minute%ratioBuckets]
	if b.minute != minute {
		b.minute, b.records, b.dead = minute, 0, 0
	}
	b.records += records
	b.dead += dead
	records, dead = 0, 0
	for _, b := range r.buckets {
		if b.minute > minute-ratioBuckets {
			records, dead = records+b.records, dead+b.dead
		}
	}
	if records < ratioLeast || float64(dead) <= r.max*float64(records) {
		return nil
	}
	r.tripped = stream.WithNext(fmt.Errorf("%d of the last %d records are dead letters, more than dead_letter.max_ratio %g allows; nothing more is committed: %w: %w",
		dead, records, r.max, stream.ErrPermanent, errStays),
		"look at the dead letters' reasons; mend the schema or the producer, or raise dead_letter.max_ratio, and start again")
	return r.tripped
}
