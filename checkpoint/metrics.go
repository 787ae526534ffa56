package checkpoint

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	retries *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{retries: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "millrace_retries_total",
		Help: "Outside calls that were sent again, by component and operation.",
	}, []string{"component", "operation"})}
	if r == nil {
		return m
	}
	if err := r.Register(m.retries); err != nil {
		// The counter is shared by several components of one process.
		if are, ok := err.(prometheus.AlreadyRegisteredError); ok {
			if c, ok := are.ExistingCollector.(*prometheus.CounterVec); ok {
				m.retries = c
			}
		}
	}
	return m
}

func (m *metrics) retry(operation string) { m.retries.WithLabelValues("ledger", operation).Inc() }
