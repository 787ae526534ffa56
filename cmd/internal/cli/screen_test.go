package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/lane"
)

// terminalOf is what a terminal shows of what was written to it: it knows the few sequences that are used here, and wraps.
type terminalOf struct {
	mu    sync.Mutex
	width int
	lines [][]rune
	at    int // row
	col   int
}

func (x *terminalOf) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := []rune(string(b))
	for i := 0; i < len(s); i++ {
		for len(x.lines) <= x.at {
			x.lines = append(x.lines, nil)
		}
		switch s[i] {
		case '\n':
			x.at, x.col = x.at+1, 0
		case '\r':
			x.col = 0
		case 0x1b:
			n, last := 0, rune(0)
			for i += 2; i < len(s); i++ {
				if s[i] >= '0' && s[i] <= '9' {
					n = n*10 + int(s[i]-'0')
					continue
				}
				last = s[i]
				break
			}
			switch last {
			case 'A':
				x.at -= n
			case 'J':
				x.lines = x.lines[:x.at+1]
				x.lines[x.at] = x.lines[x.at][:min(x.col, len(x.lines[x.at]))]
			}
		default:
			if x.col == x.width {
				x.at, x.col = x.at+1, 0
				x.lines = append(x.lines, nil)
			}
			row := x.lines[x.at]
			for len(row) <= x.col {
				row = append(row, ' ')
			}
			row[x.col] = s[i]
			x.lines[x.at], x.col = row, x.col+1
		}
	}
	return len(b), nil
}

// resize wraps every line anew, as terminals do.
func (x *terminalOf) resize(width int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var lines [][]rune
	for _, l := range x.lines {
		for len(l) > width {
			lines, l = append(lines, l[:width:width]), l[width:]
		}
		lines = append(lines, l)
	}
	x.width, x.lines, x.at = width, lines, len(lines)-1
	x.col = len(lines[x.at])
}

func (x *terminalOf) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var b strings.Builder
	for _, l := range x.lines {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func TestScreen(t *testing.T) {
	x := &terminalOf{width: 40}
	s := &screen{w: x, tty: true, size: func() int { return x.width }}
	fmt.Fprintln(s, "a log line")
	s.draw("progress 1 which is quite long", 30)
	fmt.Fprintln(s, "another log line")
	s.draw("progress 2", 10)
	s.over(func() { fmt.Fprintln(x, "data") })
	if got, want := x.String(), "a log line\nanother log line\ndata\nprogress 2"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.draw("a progress line of thirty-nine columns.", 39)
	x.resize(20)
	s.draw("narrow", 6)
	if got, want := x.String(), "a log line\nanother log line\ndata\nnarrow"; got != want {
		t.Errorf("made narrower, got\n%s\nwant\n%s", got, want)
	}
	s.draw("", 0)
	if got, want := x.String(), "a log line\nanother log line\ndata"; got != want {
		t.Errorf("in the end, got\n%s\nwant\n%s", got, want)
	}
}

func TestScreenIsShared(t *testing.T) {
	x := &terminalOf{width: 80}
	s := &screen{w: x, tty: true, size: func() int { return 80 }}
	log := slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				log.Info("x", "i", i)
				s.draw("progress", 8)
			}
		})
	}
	wg.Wait()
	lines := strings.Split(x.String(), "\n")
	if len(lines) != 201 || lines[200] != "progress" {
		t.Fatalf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	for _, l := range lines[:200] {
		if !strings.HasPrefix(l, "msg=x i=") || strings.Contains(l, "progress") {
			t.Errorf("mixed: %q", l)
		}
	}
}

func TestScreenWithoutTerminal(t *testing.T) {
	if s := newScreen(io.Discard); s.tty || s.size() != usualWidth {
		t.Errorf("got %v, %d", s.tty, s.size())
	}
}

func TestProgressLine(t *testing.T) {
	now := time.Date(2026, 1, 5, 9, 14, 2, 0, time.UTC)
	v := &speed{}
	for i := range 9 {
		v.add(now.Add(time.Duration(i-8)*250*time.Millisecond), int64(i)*12_000)
	}
	one := []daemon.Status{{Name: "orders", Up: true, Status: lane.Status{
		Totals: lane.Totals{Read: 1_204_331, Rows: 1_191_877, Dead: 214, LastCommit: now.Add(-800 * time.Millisecond)},
		Lanes:  []lane.LaneStatus{{Lane: "0", State: "running", Lag: 12_402}, {Lane: "1", State: "running", Lag: -1}},
	}}}
	run := sum(one, false)
	for _, c := range []struct {
		width int
		want  string
	}{
		{200, "orders  48,000 rec/s  in 1,204,331  rows 1,191,877  dead 214  lag 12,402 (0.3 s)  last commit 0.8 s ago  ██"},
		{106, "orders  48,000 rec/s  in 1,204,331  rows 1,191,877  dead 214  lag 12,402 (0.3 s)  last commit 0.8 s ago"},
		{100, "orders  48,000 rec/s  in 1,204,331  rows 1,191,877  lag 12,402 (0.3 s)  last commit 0.8 s ago"},
		{79, "orders  48,000 rec/s  rows 1,191,877  lag 12,402 (0.3 s)  last commit 0.8 s ago"},
		{60, "orders  48,000 rec/s  rows 1,191,877  lag 12,402 (0.3 s)"},
		{40, "orders  48,000 rec/s  rows 1,191,877"},
		{20, "orders  48,000 rec/s"},
		{10, "orders"},
		{4, "ord…"},
		{0, ""},
	} {
		if got, used := fit(run.pieces(now, v), c.width, false); got != c.want || used != across(got) || used > c.width {
			t.Errorf("width %d: got %q, of %d columns, want %q", c.width, got, used, c.want)
		}
		if got, used := fit(run.pieces(now, v), c.width, true); used > c.width || strings.Count(got, "\x1b[3") != strings.Count(got, "\x1b[0m") {
			t.Errorf("width %d, coloured: got %q, of %d columns", c.width, got, used)
		}
	}

	one[0].Lanes[1] = lane.LaneStatus{Lane: "1", State: "waiting", Reason: "S3 PUT: 503\nSlowDown\x1b[2J"}
	waiting := sum(one, false)
	if got, _ := fit(waiting.pieces(now, v), 79, true); got != "orders  \x1b[33mwaiting\x1b[0m  lane 1: S3 PUT: 503 SlowDown [2J" {
		t.Errorf("waiting: got %q", got)
	}
	one[0].Lanes[0] = lane.LaneStatus{Lane: "0", State: "halted", Reason: "the log was cut", Next: "compare"}
	halted := sum(append(one, daemon.Status{Name: "billing", Up: true}), false)
	if got, _ := fit(halted.pieces(now, v), 79, true); got != "2 pipelines  \x1b[31mhalted\x1b[0m  orders: lane 0: the log was cut  next: compare" {
		t.Errorf("halted: got %q", got)
	}
	if got, _ := fit(halted.pieces(now, v), 30, false); got != "2 pipelines  halted  orders: …" {
		t.Errorf("halted, narrow: got %q", got)
	}
	broken := sum([]daemon.Status{{Name: "orders", Err: stream.WithNext(stream.ErrUnavailable, "wait")}}, false)
	if broken.state != status.Backoff || broken.next != "wait" {
		t.Errorf("got %+v", broken)
	}
	draining := sum([]daemon.Status{{Name: "orders", Up: true}}, true)
	if got, _ := fit(draining.pieces(now, v), 200, false); !strings.HasPrefix(got, "orders  draining …  48,000 rec/s  in 0  rows 0  dead 0  lag 0  no commit yet") {
		t.Errorf("draining: got %q", got)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"}, {count(-100), "-100"},
		{plural(1, "row"), "1 row"}, {plural(2000, "row"), "2,000 rows"},
		{size(512), "512 B"}, {size(70144), "68.5 KiB"}, {size(1 << 30), "1 GiB"},
		{round(1234 * time.Millisecond).String(), "1.2s"}, {round(61*time.Second + 400*time.Millisecond).String(), "1m1s"},
		{clip("日本語", 4), "日…"}, {clip("日本語", 6), "日本語"}, {clip("e\u0301te\u0301", 3), "e\u0301te\u0301"}, {clip("abc", 0), ""},
		{spark(nil), ""}, {spark([]float64{0, 0}), ""}, {spark([]float64{0, 1, 2}), "▁▅█"},
		{countWords(lane.Totals{Records: 12, Rows: 9, Files: 1, Filtered: 1, Dead: 1, Skipped: 1}), "12 records in → 9 rows in 1 file, 1 filtered, 1 dead letter, 1 skipped"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestDrain(t *testing.T) {
	for _, c := range []struct {
		name   string
		signal os.Signal
		left   int64
		code   int
		words  string
	}{
		{"no signal", nil, 0, 0, ""},
		{"Ctrl-C", syscall.SIGINT, 0, 130, "draining … committed. "},
		{"SIGTERM", syscall.SIGTERM, 0, 143, "draining … committed. "},
		{"no time left", syscall.SIGTERM, 1, 75, "draining … not all was committed within 30s: the next start reads the rest again. "},
	} {
		ctx, stop := context.WithCancelCause(t.Context())
		d := watchDrain(ctx, 30*time.Second)
		if c.signal != nil {
			stop(signalledBy{c.signal})
		}
		d.over([]daemon.Status{{Status: lane.Status{Totals: lane.Totals{LetGo: c.left}}}})
		g := &global{screen: newScreen(io.Discard), color: "never"}
		if got := d.words(g); got != c.words {
			t.Errorf("%s: got %q, want %q", c.name, got, c.words)
		}
		var e *exit
		if err := d.exit(); errors.As(err, &e) != (c.code != 0) || e != nil && e.code != c.code {
			t.Errorf("%s: got %+v, want %d", c.name, err, c.code)
		}
		stop(nil)
	}
}
