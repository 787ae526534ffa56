package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
)

const (
	redrawEvery = 250 * time.Millisecond
	logEvery    = 10 * time.Second
	sparkWidth  = 16
)

// progress shows how a run goes: on a terminal one line that is redrawn, elsewhere a line every ten seconds.
type progress struct {
	g     *global
	d     *daemon.Daemon
	quit  chan struct{}
	wg    sync.WaitGroup
	tty   bool
	mu    sync.Mutex // of the terminal
	drawn bool

	rates []float64
	last  int64
	at    time.Time
}

func (g *global) watch(d *daemon.Daemon) *progress {
	p := &progress{g: g, d: d, quit: make(chan struct{}), tty: terminal(g.env.Stderr), at: time.Now()}
	if g.quiet {
		return p
	}
	p.wg.Go(p.loop)
	return p
}

func (p *progress) loop() {
	every := logEvery
	if p.tty {
		every = redrawEvery
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-p.quit:
			p.clear()
			return
		case now := <-t.C:
			p.show(now)
		}
	}
}

func (p *progress) show(now time.Time) {
	all := p.d.Status()
	line := p.line(all, now)
	if !p.tty {
		p.g.logger(p.g.env.Stderr).Info("progress", progressAttrs(all, p.rates)...)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.g.env.Stderr, "\r\x1b[K%s", line)
	p.drawn = true
}

// clear takes the line away, so that something else can be printed.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.g.env.Stderr, "\r\x1b[K")
		p.drawn = false
	}
}

// print writes above the progress line.
func (p *progress) print(w io.Writer, text string) {
	p.clear()
	fmt.Fprint(w, text)
}

func (p *progress) stop() {
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	p.wg.Wait()
}

func (p *progress) line(all []daemon.Status, now time.Time) string {
	var read, rows, dead, lag int64
	var commit time.Time
	name, trouble := "", ""
	for _, s := range all {
		read, rows, dead = read+s.Totals.Read, rows+s.Totals.Rows, dead+s.Totals.Dead
		if s.Totals.LastCommit.After(commit) {
			commit = s.Totals.LastCommit
		}
		for _, l := range s.Lanes {
			lag += max(l.Lag, 0)
			if l.Reason != "" && trouble == "" {
				trouble = l.State + ": " + l.Reason
			}
		}
		if s.Err != nil && trouble == "" {
			trouble = "not running: " + s.Err.Error()
		}
		name = s.Name
	}
	if len(all) > 1 {
		name = strconv.Itoa(len(all)) + " pipelines"
	}
	rate := 0.0
	if d := now.Sub(p.at).Seconds(); d > 0 {
		rate = float64(read-p.last) / d
	}
	p.last, p.at = read, now
	p.rates = append(p.rates, rate)
	if len(p.rates) > sparkWidth {
		p.rates = p.rates[1:]
	}
	if trouble != "" {
		return name + "  " + clip(trouble, 140)
	}
	behind := ""
	if rate > 0 && lag > 0 {
		behind = fmt.Sprintf(" (%.1f s)", float64(lag)/rate)
	}
	ago := "no commit yet"
	if !commit.IsZero() {
		ago = fmt.Sprintf("last commit %.1f s ago", now.Sub(commit).Seconds())
	}
	return fmt.Sprintf("%s  %s rec/s  in %s  rows %s  dead %s  lag %s%s  %s  %s",
		name, count(int64(rate)), count(read), count(rows), count(dead), count(lag), behind, ago, spark(p.rates))
}

func progressAttrs(all []daemon.Status, rates []float64) []any {
	var read, rows, dead int64
	for _, s := range all {
		read, rows, dead = read+s.Totals.Read, rows+s.Totals.Rows, dead+s.Totals.Dead
	}
	return []any{"records_per_second", int64(rates[len(rates)-1]), "in", read, "rows", rows, "dead", dead}
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
		b.WriteRune(bars[min(int(r/most*float64(len(bars))), len(bars)-1)])
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

func round(d time.Duration) time.Duration {
	if d > time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(100 * time.Millisecond)
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
