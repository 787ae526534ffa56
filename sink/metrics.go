package sink

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of one sink. The caller wraps the registerer with the labels pipeline and sink.
type Metrics struct {
	Records   prometheus.Counter
	Bytes     prometheus.Counter
	Files     prometheus.Counter
	FileSize  prometheus.Histogram
	OpenFiles prometheus.Gauge
}

// NewMetrics registers a sink's metrics; reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		Records: prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_sink_records_total", Help: "Rows in sealed files."}),
		Bytes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_sink_bytes_total", Help: "Bytes of sealed files."}),
		Files:   prometheus.NewCounter(prometheus.CounterOpts{Name: "millrace_sink_files_total", Help: "Files sealed."}),
		FileSize: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "millrace_sink_file_size_bytes", Help: "Sizes of sealed files.",
			Buckets: prometheus.ExponentialBuckets(16<<10, 4, 9)}), // 16 KiB to 1 GiB
		OpenFiles: prometheus.NewGauge(prometheus.GaugeOpts{Name: "millrace_sink_open_files", Help: "Files being written or uploaded."}),
	}
	if reg != nil {
		reg.MustRegister(m.Records, m.Bytes, m.Files, m.FileSize, m.OpenFiles)
	}
	return m
}

// registerBuffers shows the memory that open files hold, for the whole process.
func registerBuffers(reg prometheus.Registerer, used func() float64) {
	if reg == nil {
		return
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_buffer_bytes", Help: "Memory counted in the memory limit.",
		ConstLabels: prometheus.Labels{"component": "sink"}}, used))
}
