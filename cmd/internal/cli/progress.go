package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
)

const (
	redrawEvery = 250 * time.Millisecond
	logEvery    = 10 * time.Second
	rateWindow  = 2 * time.Second // short enough to see a stall, long enough to even out batches
	barEvery    = time.Second
	mostBars    = 16
)

// progress shows how a run goes: on a terminal one line that is redrawn, elsewhere a line every ten seconds.
type progress struct {
	g    *global
	d    *daemon.Daemon
	run  context.Context // over: everything drains
	quit chan struct{}
	wg   sync.WaitGroup

	speed  speed
	totals totals
}

// watch starts to show what d does until stop. When ctx is over it shows that everything drains.
func (g *global) watch(ctx context.Context, d *daemon.Daemon) *progress {
	p := &progress{g: g, d: d, run: ctx, quit: make(chan struct{})}
	if !g.quiet {
		p.wg.Go(p.loop)
	}
	return p
}

func (p *progress) loop() {
	every := logEvery
	if p.g.screen.tty {
		every = redrawEvery
	}
	t := time.NewTicker(every)
	defer t.Stop()
	defer p.g.screen.draw("", 0)
	p.speed.add(time.Now(), 0)
	draining := p.run.Done()
	for {
		select {
		case <-p.quit:
			return
		case <-draining:
			draining = nil
			if p.g.screen.tty {
				p.show(time.Now())
			}
		case now := <-t.C:
			p.show(now)
		}
	}
}

func (p *progress) stop() {
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	p.wg.Wait()
}

func (p *progress) show(now time.Time) {
	p.totals = sum(p.d.Status(), p.run.Err() != nil)
	p.speed.add(now, p.totals.read)
	if !p.g.screen.tty {
		p.log()
		return
	}
	// The last column stays free, as some terminals wrap as soon as it is written, and two more for the ^C that they echo.
	p.g.screen.draw(fit(p.totals.pieces(now, &p.speed), p.g.screen.size()-3, p.g.colours(p.g.screen)))
}

func (p *progress) log() {
	t := &p.totals
	log := p.g.logger(p.g.screen)
	attrs := []any{
		"pipeline", t.name, "state", string(t.state), "records_per_second", int64(p.speed.rate()),
		"in", t.read, "rows", t.rows, "dead", t.dead, "lag", t.lag,
	}
	if t.reason == "" {
		log.Info("progress", attrs...)
		return
	}
	log.Info("progress", append(attrs, "reason", t.reason, "next", t.next)...)
}

// totals are all pipelines of a process together, with the one that is worst off.
type totals struct {
	name                  string
	read, rows, dead, lag int64
	commit                time.Time
	state                 status.State
	reason, next          string
}

func sum(all []daemon.Status, draining bool) totals {
	t := totals{state: status.Running}
	worst := -1
	for i := range all {
		s := &all[i]
		t.read, t.rows, t.dead = t.read+s.Totals.Read, t.rows+s.Totals.Rows, t.dead+s.Totals.Dead
		if s.Totals.LastCommit.After(t.commit) {
			t.commit = s.Totals.LastCommit
		}
		for _, l := range s.Lanes {
			t.lag += max(l.Lag, 0)
		}
		state, reason, next := s.Say(draining)
		if r := rank(state); r > worst {
			worst, t.name, t.state, t.reason, t.next = r, s.Name, state, reason, next
		}
	}
	if len(all) > 1 {
		worst := t.name
		t.name = strconv.Itoa(len(all)) + " pipelines"
		if t.reason != "" {
			t.reason = worst + ": " + t.reason
		}
	}
	return t
}

// rank orders states by how much they need attention.
func rank(s status.State) int {
	switch s {
	case status.Halted:
		return 5
	case status.Backoff:
		return 4
	case status.Waiting:
		return 3
	case status.Draining:
		return 2
	case status.Starting:
		return 1
	default:
		return 0
	}
}

// pieces of the line, in the order in which they stand. What matters least has the highest rank.
func (t *totals) pieces(now time.Time, v *speed) []piece {
	ps := []piece{{text: t.name}}
	switch t.state {
	case status.Halted:
		ps = append(ps, piece{text: string(t.state), colour: red})
	case status.Backoff, status.Waiting:
		ps = append(ps, piece{text: string(t.state), colour: yellow})
	case status.Starting:
		ps = append(ps, piece{text: "starting …", colour: yellow})
	case status.Draining:
		ps = append(ps, piece{text: "draining …", colour: yellow})
	}
	if t.reason != "" {
		return append(ps, piece{text: t.reason}, piece{text: nextWords(t.next), rank: 9})
	}
	lag := "lag " + count(t.lag)
	if r := v.rate(); r > 0 && t.lag > 0 {
		lag += fmt.Sprintf(" (%.1f s)", float64(t.lag)/r)
	}
	last := piece{text: "no commit yet", rank: 4}
	if !t.commit.IsZero() {
		last = piece{text: fmt.Sprintf("last commit %.1f s ago", max(0, now.Sub(t.commit).Seconds())), colour: green, rank: 4}
	}
	return append(ps,
		piece{text: count(int64(v.rate())) + " rec/s", rank: 1}, piece{text: "in " + count(t.read), rank: 5}, piece{text: "rows " + count(t.rows), rank: 2},
		piece{text: "dead " + count(t.dead), rank: 6}, piece{text: lag, rank: 3}, last, piece{text: spark(v.bars), rank: 7})
}

func nextWords(next string) string {
	if next == "" {
		return ""
	}
	return "next: " + next
}

// speed takes a rate from a count that grows.
type speed struct {
	at    []time.Time
	count []int64

	bars   []float64 // one for each barEvery
	barAt  time.Time
	barWas int64
}

func (v *speed) add(now time.Time, n int64) {
	v.at, v.count = append(v.at, now), append(v.count, n)
	for len(v.at) > 2 && now.Sub(v.at[1]) >= rateWindow {
		v.at, v.count = v.at[1:], v.count[1:]
	}
	if v.barAt.IsZero() {
		v.barAt, v.barWas = now, n
	}
	if d := now.Sub(v.barAt); d >= barEvery {
		v.bars = append(v.bars, float64(n-v.barWas)/d.Seconds())
		v.bars = v.bars[max(0, len(v.bars)-mostBars):]
		v.barAt, v.barWas = now, n
	}
}

func (v *speed) rate() float64 {
	if len(v.at) < 2 {
		return 0
	}
	last := len(v.at) - 1
	d := v.at[last].Sub(v.at[0]).Seconds()
	if d <= 0 {
		return 0
	}
	return max(0, float64(v.count[last]-v.count[0])/d)
}

// spark draws rates as bars; the highest fills the line.
func spark(rates []float64) string {
	most := 0.0
	for _, r := range rates {
		most = max(most, r)
	}
	if most == 0 {
		return ""
	}
	bars := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, r := range rates {
		b.WriteRune(bars[min(max(int(r/most*float64(len(bars))), 0), len(bars)-1)])
	}
	return b.String()
}

// count writes a number with thousands separated: 1,204,331.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is "1 file", "2 files".
func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return count(n) + " " + word + "s"
}

func round(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}
