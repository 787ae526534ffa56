package store

import (
	"context"
	"errors"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts requests to stores. One serves all clients of a process. A nil *Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_object_store_requests_total",
			Help: "Requests to object stores, by operation and class of the answer: 2xx, 4xx, 5xx, or none without an answer.",
		}, []string{"operation", "code_class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                           "millrace_object_store_request_duration_seconds",
			Help:                           "Time from a request to its answer; of a Get, to the first byte.",
			Buckets:                        []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100,
		}, []string{"operation"}),
	}
	reg.MustRegister(m.requests, m.duration)
	return m
}

// seen counts one request. It is deferred with a pointer to the named result.
func (m *Metrics) seen(op string, start time.Time, err *error) {
	if m == nil {
		return
	}
	m.requests.WithLabelValues(op, codeClass(*err)).Inc()
	m.duration.WithLabelValues(op).Observe(time.Since(start).Seconds())
}

func codeClass(err error) string {
	var a *answer
	switch {
	case err == nil:
		return "2xx"
	case errors.As(err, &a) && a.status >= 500:
		return "5xx"
	case errors.As(err, &a):
		return "4xx"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "none"
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrPrecondition), errors.Is(err, ErrNoUpload),
		errors.Is(err, stream.ErrPermanent), errors.Is(err, stream.ErrDenied):
		return "4xx"
	case errors.Is(err, stream.ErrFull):
		return "5xx"
	}
	return "none"
}
