package kafka

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxSeries is up to how many partitions each has series of its own; above it there is one for all, with partition="all".
const maxSeries = 100

type metrics struct {
	records, bytes prometheus.Counter
	rebalances     prometheus.Counter
	s              *Source
	lag, lagTime   *prometheus.Desc
	held           *prometheus.Desc
	reg            prometheus.Registerer
}

func newMetrics(reg prometheus.Registerer, s *Source) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "millrace", Name: name, Help: help})
	}
	m := &metrics{
		s: s, reg: reg,
		records:    counter("source_records_total", "Records read from the source."),
		bytes:      counter("source_bytes_total", "Bytes of keys and values read from the source, decompressed."),
		rebalances: counter("source_group_rebalances_total", "Changes of this worker's share of the consumer group."),
		lag: prometheus.NewDesc("millrace_source_lag_records",
			"Records in the log that this worker has not fetched yet, open transactions included.", []string{"partition"}, nil),
		lagTime: prometheus.NewDesc("millrace_source_lag_seconds",
			"Age of the last record fetched, while there are more; 0 at the end. Of several partitions the largest.", []string{"partition"}, nil),
		held: prometheus.NewDesc("millrace_source_open_transaction_records",
			"Records in the log above the last stable offset: a producer's transaction is open, and nothing above its first record is read before it ends.", []string{"partition"}, nil),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range m.all() {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.records, m.bytes, m.rebalances, lagCollector{m}}
}

// unregister makes room for the next source of the same pipeline, after a restart.
func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all() {
		m.reg.Unregister(c)
	}
}

// lagCollector looks at the readers when it is asked, so that reading costs nothing.
type lagCollector struct{ m *metrics }

func (l lagCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- l.m.lag
	ch <- l.m.lagTime
	ch <- l.m.held
}

func (l lagCollector) Collect(ch chan<- prometheus.Metric) {
	ls := l.m.s.lags(time.Now())
	if len(ls) > maxSeries {
		var sum, held int64
		var longest float64
		for _, x := range ls {
			sum += x.records
			held += x.held
			longest = max(longest, x.seconds)
		}
		ls = []lag{{"all", sum, longest, held}}
	}
	for _, x := range ls {
		ch <- prometheus.MustNewConstMetric(l.m.lag, prometheus.GaugeValue, float64(x.records), x.partition)
		ch <- prometheus.MustNewConstMetric(l.m.lagTime, prometheus.GaugeValue, x.seconds, x.partition)
		ch <- prometheus.MustNewConstMetric(l.m.held, prometheus.GaugeValue, float64(x.held), x.partition)
	}
}

type lag struct {
	partition string
	records   int64
	seconds   float64
	held      int64
}

// open lists the readers.
func (s *Source) open() []*reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.readers))
}

// lags lists the partitions of all open readers.
func (s *Source) lags(now time.Time) []lag {
	seen := map[string]bool{}
	var out []lag
	for _, r := range s.open() {
		r.mu.Lock()
		for _, p := range r.order {
			l := lag{partition: string(p.id), records: p.lag, held: p.held.records}
			if p.lag > 0 && p.read {
				l.seconds = max(0, float64(now.UnixMicro()-int64(p.lastTime))/1e6)
			}
			if !seen[l.partition] { // a lane that is just being opened again counts once
				seen[l.partition] = true
				out = append(out, l)
			}
		}
		r.mu.Unlock()
	}
	return out
}

// Lag is how many records lie behind what this worker has fetched, and for how long the oldest partition has been behind.
func (s *Source) Lag() (records int64, age time.Duration) {
	for _, l := range s.lags(time.Now()) {
		records += l.records
		age = max(age, time.Duration(l.seconds*float64(time.Second)))
	}
	return records, age
}

// endTransaction is the next step at an open transaction that does not end.
const endTransaction = "find the producer with `kafka-transactions.sh find-hanging` and end it, or abort its transaction"

// Held tells, in one sentence, which partitions have stood at a producer's open transaction for long, and what to do. Both
// are empty if none has. It is no fault of this worker, which reads on by itself when the transaction ends.
func (s *Source) Held() (reason, next string) {
	n, first := 0, ""
	for _, r := range s.open() {
		r.mu.Lock()
		for _, p := range r.order {
			if !p.held.told {
				continue
			}
			if n++; first == "" || string(p.id) < first {
				first = string(p.id)
				reason = fmt.Sprintf("%s stands at offset %d: a producer's transaction has been open since %s", p.id, p.held.at, p.held.since.UTC().Format(time.RFC3339))
			}
		}
		r.mu.Unlock()
	}
	switch {
	case n == 0:
		return "", ""
	case n > 1:
		reason += fmt.Sprintf("; %d partitions more stand likewise", n-1)
	}
	return reason, endTransaction
}
