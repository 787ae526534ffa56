package status

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/stream"
)

// Info is what a process says of itself.
type Info struct {
	Version  string
	Revision string
	Budget   *stream.Budget // nil: no memory metrics
}

// Collector turns a Board into metrics: millrace_build_info, millrace_pipeline_state, the lanes held, and, with a budget,
// the memory limit; what is counted against it is the sinks' metric. Register it once.
type Collector struct {
	board *Board
	info  Info
	build *prometheus.Desc
	state *prometheus.Desc
	lanes *prometheus.Desc
	limit *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// NewCollector reads b at every scrape.
func NewCollector(b *Board, i Info) *Collector {
	return &Collector{
		board: b,
		info:  i,
		build: prometheus.NewDesc("millrace_build_info", "The program that runs; always 1.", []string{"version", "revision", "goversion"}, nil),
		state: prometheus.NewDesc("millrace_pipeline_state", "1 for the state that the pipeline is in, 0 for the others.", []string{"pipeline", "state"}, nil),
		lanes: prometheus.NewDesc("millrace_pipeline_lanes", "Lanes of the pipeline that this process holds.", []string{"pipeline"}, nil),
		limit: prometheus.NewDesc("millrace_memory_limit_bytes", "Limit of the memory that grows with input; 0: none.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.build, c.state, c.lanes, c.limit} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.build, 1, c.info.Version, c.info.Revision, runtime.Version())
	for _, p := range c.board.Pipelines() {
		for _, s := range States() {
			v := 0.0
			if s == p.State {
				v = 1
			}
			gauge(c.state, v, p.Name, string(s))
		}
		gauge(c.lanes, float64(p.LanesHeld), p.Name)
	}
	if b := c.info.Budget; b != nil {
		gauge(c.limit, float64(b.Limit))
	}
}
