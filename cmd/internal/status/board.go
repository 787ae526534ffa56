package status

import (
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/stream"
)

// State is what a pipeline is doing, in one word.
type State string

// The states. A pipeline is ready only when Running.
const (
	Starting State = "starting" // connecting, creating or joining its ledger
	Running  State = "running"
	Waiting  State = "waiting"  // held by a server that is away or busy; it goes on by itself
	Halted   State = "halted"   // needs a person
	Backoff  State = "backoff"  // ended with an error, and starts again soon
	Draining State = "draining" // commits what it has and stops
	Stopped  State = "stopped"  // done; with a reason: given up
)

// States lists them all.
func States() []State {
	return []State{Starting, Running, Waiting, Halted, Backoff, Draining, Stopped}
}

// Pipeline is what is known of one pipeline.
type Pipeline struct {
	Name   string    `json:"name"`
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"` // why it is not running
	Next   string    `json:"next,omitempty"`   // what a person can do about it
	Since  time.Time `json:"since"`            // of the state

	Progress
	RecordsPerSecond float64 `json:"records_per_second"`
	RowsPerSecond    float64 `json:"rows_per_second"`
}

// Progress is how far a pipeline has come: totals since the process started.
type Progress struct {
	LanesHeld  int       `json:"lanes_held"` // by this worker
	LanesTotal int       `json:"lanes_total"`
	LastCommit time.Time `json:"last_commit,omitzero"`
	Records    int64     `json:"records"`
	Rows       int64     `json:"rows"`
	Dead       int64     `json:"dead"`
	Lag        int64     `json:"lag_records"` // -1: unknown
	LagSeconds float64   `json:"lag_seconds"` // -1: unknown
}

// rateWindow is the time over which rates are taken: long enough to even out commits, short enough to see a stall.
const rateWindow = 10 * time.Second

// Board is where the daemon reports. It is safe for concurrent use.
type Board struct {
	mu        sync.Mutex
	pipelines map[string]*board
}

type board struct {
	Pipeline
	samples []sample // oldest first, spanning rateWindow
}

type sample struct {
	at            time.Time
	records, rows int64
}

// NewBoard returns a board without pipelines.
func NewBoard() *Board { return &Board{pipelines: map[string]*board{}} }

// of is the entry of name, made if need be. The lock is held.
func (b *Board) of(name string) *board {
	p := b.pipelines[name]
	if p == nil {
		p = &board{Pipeline: Pipeline{Name: name, State: Starting, Since: time.Now(), Progress: Progress{Lag: -1, LagSeconds: -1}}}
		b.pipelines[name] = p
	}
	return p
}

// Set reports the state of a pipeline, which is thereby known. Reason and next may be empty.
func (b *Board) Set(name string, s State, reason, next string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.of(name)
	if p.State != s {
		p.State, p.Since = s, time.Now()
	}
	p.Reason, p.Next = reason, next
}

// SetError reports a state with the error that led to it; the advice is the error's own.
func (b *Board) SetError(name string, s State, err error) {
	b.Set(name, s, err.Error(), stream.Next(err))
}

// Report tells how far a pipeline has come. Rates follow from how often it is called: once a second does.
func (b *Board) Report(name string, g Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, now := b.of(name), time.Now()
	if g.Records < p.Records || g.Rows < p.Rows {
		p.samples = p.samples[:0] // the pipeline was started anew
	}
	if math.IsNaN(g.LagSeconds) || math.IsInf(g.LagSeconds, 0) {
		g.LagSeconds = -1 // JSON has no word for these
	}
	p.Progress = g
	if n := len(p.samples); n > 1 && now.Sub(p.samples[n-2].at) < rateWindow/20 {
		p.samples = p.samples[:n-1] // called very often: the newest stands for its moment
	}
	p.samples = append(p.samples, sample{now, g.Records, g.Rows})
	for len(p.samples) > 2 && now.Sub(p.samples[1].at) >= rateWindow {
		p.samples = slices.Delete(p.samples, 0, 1)
	}
}

// Remove forgets a pipeline that has left the configuration.
func (b *Board) Remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.pipelines, name)
}

// Pipelines lists all, by name.
func (b *Board) Pipelines() []Pipeline {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Pipeline, 0, len(b.pipelines))
	for _, p := range b.pipelines {
		q := p.Pipeline
		q.RecordsPerSecond, q.RowsPerSecond = p.rates(time.Now())
		out = append(out, q)
	}
	slices.SortFunc(out, func(a, b Pipeline) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// rates are taken up to now, so that they fall when reports cease.
func (p *board) rates(now time.Time) (records, rows float64) {
	if len(p.samples) < 2 {
		return 0, 0
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	if now.Sub(last.at) >= rateWindow {
		return 0, 0
	}
	seconds := last.at.Sub(first.at).Seconds()
	if late := now.Sub(last.at); late > rateWindow/2 {
		seconds = now.Sub(first.at).Seconds()
	}
	if seconds <= 0 {
		return 0, 0
	}
	return float64(last.records-first.records) / seconds, float64(last.rows-first.rows) / seconds
}

// Unready says, a line for each pipeline, what keeps the process from being ready; empty: it is. A pipeline that has done
// its work holds nothing up.
func (b *Board) Unready() []string {
	all := b.Pipelines()
	if len(all) == 0 {
		return []string{"no pipeline has been started yet"}
	}
	var lines []string
	for _, p := range all {
		if p.State == Running || p.State == Stopped && p.Reason == "" {
			continue
		}
		line := p.Name + ": " + string(p.State)
		if p.Reason != "" {
			line += ": " + p.Reason
		}
		if p.Next != "" {
			line += "; next: " + p.Next
		}
		lines = append(lines, oneLine(line))
	}
	return lines
}

// oneLine keeps a text from other systems to the line that it stands in.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
