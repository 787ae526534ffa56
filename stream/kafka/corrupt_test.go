package kafka_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/stream"
)

const (
	gzipped = 1
	zipped  = 4 // zstd
)

// rawBatch is a batch as producers send it, of one record whose bytes may be anything.
func rawBatch(codec int16, records []byte, count int32) []byte {
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: codec, LastOffsetDelta: count - 1,
		FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: count, Records: records,
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// record is the encoding of one record with a value of n zero bytes.
func record(n int) []byte {
	var body []byte
	body = append(body, 0)                     // attributes
	body = binary.AppendVarint(body, 0)        // timestamp
	body = binary.AppendVarint(body, 0)        // offset
	body = binary.AppendVarint(body, -1)       // no key
	body = binary.AppendVarint(body, int64(n)) // value
	body = append(body, make([]byte, n)...)
	body = binary.AppendVarint(body, 0) // headers
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func (r *rig) produceRaw(topic string, id [16]byte, batch []byte) {
	r.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = topic, id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = batch
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(r.t.Context(), r.cl)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		r.t.Fatal(err)
	}
}

func zstdOf(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close() // writes nothing
	return w.EncodeAll(b, nil)
}

func gzipOf(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

func TestBatchesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	_, addrs := fake(t)
	bomb := record(65 << 20)
	for _, c := range []struct {
		name  string
		batch []byte
		want  string
	}{
		{"zstd bomb", rawBatch(zipped, zstdOf(bomb), 1), "more than 64MiB"},
		{"gzip bomb", rawBatch(gzipped, gzipOf(bomb), 1), "more than 64MiB"},
		{"garbage instead of gzip", rawBatch(gzipped, []byte("not compressed at all"), 1), ""},
		{"garbage instead of a record", rawBatch(0, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1), ""},
		{"a record that is cut", rawBatch(0, record(100)[:50], 1), ""},
		{"records that are missing", rawBatch(0, record(1), 3), ""},
		{"a billion records", rawBatch(0, record(1), 1<<30), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, addrs)
			topic := unique(t)
			id := g.create(topic, 1)
			g.produce(topic, 0, 0, 3)
			raw := rawID(t, id)
			g.produceRaw(topic, raw, c.batch)
			d := g.deps()
			d.Budget = &stream.Budget{}
			r := open(t, g.source(g.config(topic), d), bookmark(topic, 0, 0, id))
			l := read(t, r, func(l *log) bool { return len(l.offsets) >= 3 })
			if l.offsets[2] != 2 {
				t.Errorf("got records %v before the fault, want 0 to 2", l.offsets)
			}
			var pe *stream.PartitionError
			for pe == nil {
				b, err := r.Next(within(t, 30*time.Second))
				switch {
				case errors.As(err, &pe):
				case errors.Is(err, stream.ErrUnavailable):
				case err != nil:
					t.Fatal(err)
				default: // the part of the batch that could be read
					b.Release()
				}
			}
			t.Log(pe, "|", stream.Next(pe))
			if pe.Code != "corrupt_batch" || !errors.Is(pe, stream.ErrPermanent) || stream.Next(pe) == "" || !strings.Contains(pe.Error(), "offset ") || !strings.Contains(pe.Error(), c.want) {
				t.Errorf("got code %s, %v; want corrupt_batch with its offset and advice", pe.Code, pe)
			}
			quiet(t, r)
			if used := d.Budget.Used(); used != 0 {
				t.Errorf("got %d bytes counted, want 0", used)
			}
		})
	}
}
