package decode

import (
	"math/bits"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what decoders accepted although it was odd. One is shared by all lanes of a pipeline.
type Metrics struct {
	tolerated [noteKinds]prometheus.Counter
}

// NewMetrics registers the metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_decode_tolerated_records_total",
		Help: "Records decoded although something in them was odd, by what it was.",
	}, []string{"reason"})
	reg.MustRegister(v)
	m := &Metrics{}
	for i, reason := range [noteKinds]string{"byte_order_mark", "extra_field", "invalid_utf8", "duplicate_key"} {
		m.tolerated[i] = v.WithLabelValues(reason)
	}
	return m
}

// tally counts notes without touching an atomic per record.
type tally [noteKinds]int64

func (t *tally) add(n Notes) {
	for ; n != 0; n &= n - 1 {
		t[bits.TrailingZeros8(uint8(n))]++
	}
}

func (t *tally) flush(m *Metrics) {
	for i, n := range t {
		if n != 0 && m != nil {
			m.tolerated[i].Add(float64(n))
		}
		t[i] = 0
	}
}
