package generate

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// Fields are the columns of an order in the order in which they are written, with their types as a schema has them.
func Fields() [][2]string {
	return [][2]string{
		{"order_id", "string!"}, {"customer_id", "string!"}, {"country", "string"}, {"amount", "decimal(18,2)!"}, {"currency", "string"},
		{"quantity", "int32"}, {"status", "string"}, {"channel", "string"}, {"email", "string"}, {"created_at", "timestamp!"},
	}
}

type kind uint8

const (
	good kind = iota
	broken
	missing
	wrong
	null
	test
	free
)

// Generator makes orders. It keeps no state: any number of goroutines may use it.
type Generator struct {
	seed   uint64
	start  int64     // microseconds
	span   uint64    // microseconds
	limits [6]uint64 // of the 32 bits that choose the kind: upper bounds of broken, missing, …
}

// Orders makes a generator.
func Orders(o Options) *Generator {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Span <= 0 {
		o.Span = 24 * time.Hour
	}
	g := &Generator{seed: o.Seed, start: o.Start.UnixMicro(), span: uint64(max(o.Span.Microseconds(), 1))} //nolint:gosec // at least 1
	sum := 0.0
	for i, share := range [6]float64{o.Broken, o.Missing, o.Wrong, o.Null, o.Test, o.Free} {
		sum += share
		g.limits[i] = uint64(min(max(sum, 0), 1) * (1 << 32))
	}
	return g
}

// random is a stream of numbers that belongs to one record. It is SplitMix64.
type random uint64

func (g *Generator) random(seq int64) random {
	r := random(g.seed)
	return random(r.next() ^ uint64(seq)*0xD1342543DE82EF95) //nolint:gosec // bits
}

func (r *random) next() uint64 {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// scale maps the even 64 bits of x to 0…n-1.
func scale(x, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}

// draft is an order in numbers: what everything else is written from.
type draft struct {
	kind                          kind
	seq                           uint64
	customer                      uint64
	country, status, channel, tag int
	small                         bool // the country is in lower case behind a blank
	cents                         int64
	quantity                      int32
	micros                        int64
	mark                          uint64 // 40 bits in the order_id
}

const customers = 2_000_000

func (g *Generator) draft(seq int64) draft {
	r := g.random(seq)
	a, b, c := r.next(), r.next(), r.next()
	d := draft{seq: uint64(seq)} //nolint:gosec // numbers of records are not negative
	choice := a & (1<<32 - 1)
	for i, limit := range g.limits {
		if choice < limit {
			d.kind = broken + kind(i) //nolint:gosec // at most free
			break
		}
	}
	a >>= 32
	d.country, d.small = int(a&15)&7+int(a>>4&7), a>>8&7 == 0 // 15 countries, those in the middle more often
	d.status, d.channel, d.tag = int(a>>12&7), int(a>>16&3), int(a>>20&3)
	d.quantity = 1 + int32(a>>24&7) //nolint:gosec // 1…8
	d.customer = scale(b, customers)
	d.micros = g.start + int64(scale(c, g.span)) //nolint:gosec // far below 2^63
	d.mark = b >> 1 & (1<<40 - 1)
	// Of three uniform factors: mostly small amounts, some large ones.
	e := r.next()
	d.cents = 1 + int64((e&0xFF)*(e>>8&0xFF)*(e>>16&0xFF)/64) //nolint:gosec // below 2^24
	switch d.kind {
	case test:
		d.status = len(statuses)
	case free:
		d.cents = 0
	default:
	}
	return d
}

const testStatus = "test"

//nolint:gochecknoglobals // tables that are never written
var (
	countries  = [15]string{"SE", "PL", "AT", "IT", "NL", "FR", "DE", "GB", "US", "ES", "BE", "CH", "DK", "JP", "BR"}
	small      = [15]string{" se", " pl", " at", " it", " nl", " fr", " de", " gb", " us", " es", " be", " ch", " dk", " jp", " br"}
	currencies = [15]string{"SEK", "PLN", "EUR", "EUR", "EUR", "EUR", "EUR", "GBP", "USD", "EUR", "EUR", "CHF", "DKK", "JPY", "BRL"}
	statuses   = [8]string{"paid", "paid", "paid", "shipped", "shipped", "delivered", "cancelled", "returned"}
	channels   = [4]string{"web-shop", "mobile-app", "store-front", "phone-order"}
	hosts      = [4]string{"mail.example.com", "mail.example.org", "mail.example.net", "post.example.com"}
)

func (d *draft) countryText() string {
	if d.small {
		return small[d.country]
	}
	return countries[d.country]
}

func (d *draft) statusText() string {
	if d.status == len(statuses) {
		return testStatus
	}
	return statuses[d.status]
}

// Append adds the key and the value of record seq to dst and returns dst grown, and the two as parts of it. A null value
// is nil. The key is the order_id.
func (g *Generator) Append(dst []byte, seq int64) (out, key, value []byte) {
	d := g.draft(seq)
	start := len(dst)
	dst = appendID(dst, &d)
	mid := len(dst)
	switch d.kind {
	case null:
		return dst, dst[start:mid:mid], nil
	case broken:
		// Cut inside the tenth field, so that nine are decoded before the fault.
		dst = appendOrder(dst, &d)
		dst = dst[:len(dst)-12]
	default:
		dst = appendOrder(dst, &d)
	}
	return dst, dst[start:mid:mid], dst[mid:len(dst):len(dst)]
}

// appendID writes the record's number, and digits that no page compresses away, as real ids have them.
func appendID(b []byte, d *draft) []byte {
	b = append(appendDigits(append(b, "ord-"...), d.seq, 12), '-')
	for shift := 36; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[d.mark>>shift&15])
	}
	return b
}

func appendCustomer(b []byte, n uint64) []byte { return appendDigits(append(b, "cus-"...), n, 8) }

func appendEmail(b []byte, d *draft) []byte {
	b = appendDigits(append(b, "customer."...), d.customer, 7)
	return append(append(b, '@'), hosts[d.tag]...)
}

func appendOrder(b []byte, d *draft) []byte {
	b = appendID(append(b, `{"order_id":"`...), d)
	if d.kind != missing {
		b = appendCustomer(append(b, `","customer_id":"`...), d.customer)
	}
	b = append(append(b, `","country":"`...), d.countryText()...)
	b = appendCents(append(b, `","amount":`...), d.cents)
	b = append(append(b, `,"currency":"`...), currencies[d.country]...)
	b = append(b, `","quantity":`...)
	if d.kind == wrong {
		b = append(b, `"many"`...)
	} else {
		b = append(b, byte('0'+d.quantity))
	}
	b = append(append(b, `,"status":"`...), d.statusText()...)
	b = append(append(b, `","channel":"`...), channels[d.channel]...)
	b = appendEmail(append(b, `","email":"`...), d)
	b = appendTime(append(b, `","created_at":"`...), d.micros)
	return append(b, `"}`...)
}

// appendDigits writes n with zeros in front, at least width digits.
func appendDigits(b []byte, n uint64, width int) []byte {
	var buf [20]byte
	i := len(buf)
	for n > 0 || width > 0 {
		i--
		buf[i] = byte('0' + n%10)
		n /= 10
		width--
	}
	return append(b, buf[i:]...)
}

func appendCents(b []byte, cents int64) []byte {
	b = appendDigits(b, uint64(cents/100), 1) //nolint:gosec // not negative
	return appendDigits(append(b, '.'), uint64(cents%100), 2)
}

// appendTime writes microseconds since 1970 like 2026-01-31T23:59:59.999999Z.
func appendTime(b []byte, micros int64) []byte {
	t := time.UnixMicro(micros).UTC()
	y, m, day := t.Date()
	h, mi, s := t.Clock()
	us := t.Nanosecond() / 1e3
	n := len(b)
	b = append(b, "0000-00-00T00:00:00.000000Z"...)
	put2(b[n:], y/100)
	put2(b[n+2:], y%100)
	put2(b[n+5:], int(m))
	put2(b[n+8:], day)
	put2(b[n+11:], h)
	put2(b[n+14:], mi)
	put2(b[n+17:], s)
	put2(b[n+20:], us/10_000)
	put2(b[n+22:], us/100%100)
	put2(b[n+24:], us%100)
	return b
}

func put2(b []byte, n int) {
	binary.LittleEndian.PutUint16(b, uint16('0'+n/10)|uint16('0'+n%10)<<8) //nolint:gosec // below 100
}
