package kafka

import (
	"math"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

// pool keeps the memory of batches that were released. It is what franz-go calls a PoolDecompressBytes and a PoolRecords.
type pool struct {
	bytes   sync.Pool // *[]byte
	records sync.Pool // *[]kgo.Record
	batches sync.Pool // *batch
}

var (
	_ kgo.PoolDecompressBytes = (*pool)(nil)
	_ kgo.PoolRecords         = (*pool)(nil)
)

func newPool() *pool { return &pool{} }

// expansion is the guess at how much a compressed batch grows; too small a guess costs one more allocation.
const expansion = 4

// GetDecompressBytes gives room to decompress into.
func (p *pool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	want := expansion * len(compressed)
	if b, ok := p.bytes.Get().(*[]byte); ok && cap(*b) >= len(compressed) {
		return *b
	}
	return make([]byte, 0, max(want, 64<<10))
}

// PutDecompressBytes takes it back.
func (p *pool) PutDecompressBytes(b []byte) { p.bytes.Put(&b) }

// GetRecords gives room for n records.
func (p *pool) GetRecords(n int) []kgo.Record {
	if r, ok := p.records.Get().(*[]kgo.Record); ok && cap(*r) >= n {
		return *r
	}
	return make([]kgo.Record, n)
}

// PutRecords takes it back.
func (p *pool) PutRecords(r []kgo.Record) { p.records.Put(&r) }

// recordSize is what a record takes beside its bytes.
const recordSize = int64(unsafe.Sizeof(stream.Record{}) + unsafe.Sizeof(kgo.Record{}) + 8)

// batch is a raw batch with the client's records that its bytes belong to.
type batch struct {
	stream.RawBatch
	s       *Source
	client  []*kgo.Record
	headers []stream.Header
	free    func()
}

func (s *Source) newBatch() *batch {
	b, ok := s.pool.batches.Get().(*batch)
	if !ok {
		b = &batch{s: s}
		b.free = b.release
	}
	b.Free = b.free
	return b
}

// fill takes over the client's records up to end, without control records, and counts what they hold.
func (b *batch) fill(rs []*kgo.Record, end, memory int64) {
	b.client = rs
	headers := 0
	for _, r := range rs {
		headers += len(r.Headers)
	}
	if cap(b.headers) < headers {
		b.headers = make([]stream.Header, 0, headers)
	}
	for _, r := range rs {
		if r.Attrs.IsControl() || r.Offset >= end {
			continue
		}
		from := len(b.headers)
		for _, h := range r.Headers {
			b.headers = append(b.headers, stream.Header(h))
		}
		b.Records = append(b.Records, stream.Record{
			Key: r.Key, Value: r.Value, Headers: b.headers[from:len(b.headers):len(b.headers)],
			Offset: r.Offset, Timestamp: micros(r.Timestamp),
		})
	}
	b.Bytes = memory + int64(len(rs))*recordSize
	b.s.d.Budget.Add(b.Bytes)
}

// micros is a record's time. The client multiplies the milliseconds that it read by 1e6, which is 15625 << 6, and lets that overflow
// before 1678 and after 2262. Odd factors can be undone, so only the upper six bits are lost: what is left, times are right
// for four million years to both sides. What is further away than microseconds can count must not come round on the other side.
func micros(t time.Time) stream.Micros {
	const (
		inverse  = 0x790fb65668c26139 // of 15625, modulo 1<<64
		furthest = math.MaxInt64 / 1000
	)
	if t.IsZero() { // the oldest format has no times
		return stream.NoTime
	}
	ms := int64(uint64(t.UnixNano())>>6*inverse<<6) >> 6 //nolint:gosec // wrapped around on purpose
	switch {
	case ms > furthest:
		return math.MaxInt64
	case ms < -furthest:
		return math.MinInt64
	}
	return stream.Micros(ms * 1000)
}

func (b *batch) release() {
	b.s.d.Budget.Add(-b.Bytes)
	recycle(b.client)
	recs, headers := b.Records, b.headers
	clear(recs)
	clear(headers)
	b.RawBatch = stream.RawBatch{Records: recs[:0]}
	b.client, b.headers = nil, headers[:0]
	b.s.pool.batches.Put(b)
}

func recycle(rs []*kgo.Record) {
	for _, r := range rs {
		r.Recycle()
	}
}
