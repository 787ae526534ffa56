package hive

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/stream"
)

// Metrics of the catalogs of one pipeline.
type Metrics struct {
	partitions *prometheus.CounterVec
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg; nil: nowhere.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		partitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_sink_partitions_created_total", Help: "Table partitions registered with a catalog.",
		}, []string{"sink"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "millrace_catalog_requests_total", Help: "Requests to a catalog, by what came of them.",
		}, []string{"operation", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_catalog_request_duration_seconds", Help: "How long a catalog took to answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), NativeHistogramBucketFactor: 1.1,
		}, []string{"operation"}),
	}
	if reg != nil {
		reg.MustRegister(m.partitions, m.requests, m.duration)
	}
	return m
}

// measured counts what a catalog is asked.
type measured struct {
	catalog
	m *Metrics
}

// do counts one request. What a catalog answers in the course of things is no failure.
func (c *measured) do(operation string, f func() error) error {
	start := time.Now()
	err := f()
	c.m.duration.WithLabelValues(operation).Observe(time.Since(start).Seconds())
	result := "ok"
	switch {
	case err == nil:
	case errors.Is(err, errMissing):
		result = "missing"
	case errors.Is(err, errExists):
		result = "exists"
	case errors.Is(err, errConflict):
		result = "conflict"
	default:
		result = stream.Kind(err)
	}
	c.m.requests.WithLabelValues(operation, result).Inc()
	return err
}

func (c *measured) Table(ctx context.Context) (e *entry, err error) {
	err = c.do("read", func() error { e, err = c.catalog.Table(ctx); return err })
	return e, err
}

func (c *measured) Create(ctx context.Context, e *entry) error {
	return c.do("create", func() error { return c.catalog.Create(ctx, e) })
}

func (c *measured) Update(ctx context.Context, e *entry) error {
	return c.do("update", func() error { return c.catalog.Update(ctx, e) })
}

func (c *measured) Add(ctx context.Context, e *entry, ps []partition) (existing []partition, err error) {
	err = c.do("add", func() error { existing, err = c.catalog.Add(ctx, e, ps); return err })
	return existing, err
}

func (c *measured) Locations(ctx context.Context, ps []partition) (at map[string]string, err error) {
	err = c.do("locate", func() error { at, err = c.catalog.Locations(ctx, ps); return err })
	return at, err
}
