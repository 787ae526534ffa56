package lane

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the loop. The caller adds the pipeline's label.
type Metrics struct {
	Skipped        prometheus.Counter
	Dead           *prometheus.CounterVec   // reason
	StepRecords    *prometheus.CounterVec   // step, direction
	StepDuration   *prometheus.HistogramVec // step
	StepBusy       *prometheus.CounterVec   // step
	Commits        *prometheus.CounterVec   // result
	CommitDuration *prometheus.HistogramVec // phase
	LastCommit     prometheus.Gauge
	CommitInterval prometheus.Gauge
	Conflicts      prometheus.Counter
	EndToEnd       prometheus.Histogram
	Retries        *prometheus.CounterVec // component, operation
	Errors         *prometheus.CounterVec // component, reason
	Imbalance      prometheus.Gauge
}

// NewMetrics registers the metrics with r; a nil r registers them nowhere.
func NewMetrics(r prometheus.Registerer) *Metrics {
	if r == nil {
		r = prometheus.NewRegistry()
	}
	counter := func(name, help string) prometheus.Counter {
		return reuse(r, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return reuse(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return reuse(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help}))
	}
	m := &Metrics{
		Skipped:     counter("millrace_source_skipped_records_total", "Null values left out by source.null_values: skip, in committed transactions."),
		Dead:        vec("millrace_dead_letter_records_total", "Records that became dead letters, or were dropped by on_error, in committed transactions.", "reason"),
		StepRecords: vec("millrace_step_records_total", "Rows into and out of each step, and those it rejected, in committed transactions.", "step", "direction"),
		Commits:     vec("millrace_commits_total", "Transactions by how they ended: committed, abandoned before the commit was sent, or the class of the commit's error.", "result"),
		LastCommit:  gauge("millrace_last_commit_timestamp_seconds", "When the last transaction was committed here, in Unix time."),
		CommitInterval: gauge("millrace_commit_interval_seconds",
			"delivery.commit_every: freshness is judged against it."),
		Conflicts: counter("millrace_commit_conflicts_total", "Commits refused because another worker owns the lane."),
		Retries:   vec("millrace_retries_total", "Outside calls that were sent again, by component and operation.", "component", "operation"),
		Errors:    vec("millrace_errors_total", "Faults by their class.", "component", "reason"),
		Imbalance: gauge("millrace_conservation_imbalance_records", "Records of a transaction that are neither rows, nor skipped, filtered or dead letters. Must be 0: such a transaction is not committed."),
		CommitDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_commit_duration_seconds", Help: "Time that transactions spend in each phase: upload, commit, publish, catalog.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18), NativeHistogramBucketFactor: 1.1,
		}, []string{"phase"}),
		StepDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "millrace_step_duration_seconds", Help: "Time that a step, the decoder or a sink takes for one batch of up to 8,192 rows.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 4, 10), NativeHistogramBucketFactor: 1.1,
		}, []string{"step"}),
		StepBusy: vec("millrace_step_busy_seconds_total", "Time spent in each step, in the decoder and in each sink, waiting for memory included.", "step"),
		EndToEnd: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "millrace_end_to_end_latency_seconds",
			Help:    "From the timestamp of a transaction's oldest record to its rows being visible and registered. One observation a transaction.",
			Buckets: prometheus.ExponentialBuckets(0.05, 2, 18), NativeHistogramBucketFactor: 1.1,
		}),
	}
	r.MustRegister(m.CommitDuration, m.EndToEnd, m.StepDuration)
	return m
}

// reuse registers c, or returns the one that another component has registered under that name.
func reuse[C prometheus.Collector](r prometheus.Registerer, c C) C {
	var there prometheus.AlreadyRegisteredError
	if err := r.Register(c); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old
		}
	} else if err != nil {
		panic("lane: metrics: " + err.Error())
	}
	return c
}
