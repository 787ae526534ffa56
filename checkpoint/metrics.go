package checkpoint

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

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
	err := r.Register(m.retries)
	var there prometheus.AlreadyRegisteredError
	switch {
	case err == nil:
	case errors.As(err, &there): // the counter is shared by several components of one process
		m.retries = there.ExistingCollector.(*prometheus.CounterVec)
	default:
		panic("checkpoint: metrics: " + err.Error()) // two components disagree about one name
	}
	return m
}

func (m *metrics) retry(operation string) { m.retries.WithLabelValues("ledger", operation).Inc() }
