package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// screen is standard error. On a terminal it can show a line at its end that is redrawn; whatever else is written goes above that
// line, so the two never mix.
type screen struct {
	w    io.Writer
	tty  bool
	size func() int // columns of the terminal

	mu    sync.Mutex
	line  string // shown now; empty: none
	width int    // columns that it takes
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, size: func() int { return usualWidth }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.tty = true
		s.size = func() int { return columns(f) }
	}
	return s
}

// usualWidth is that of a terminal which does not tell.
const usualWidth = 80

func columns(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return usualWidth
}

// Write puts b, whole lines, above the line that is redrawn.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	n, err := s.w.Write(b)
	s.put()
	return n, err
}

// over calls f, which writes to the same terminal by another way, while the line is away.
func (s *screen) over(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	f()
	s.put()
}

// draw shows line, of width columns, in place of the one before; an empty line takes it away.
func (s *screen) draw(line string, width int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.line, s.width = line, width
	s.put()
}

func (s *screen) put() {
	if s.line != "" {
		fmt.Fprint(s.w, s.line)
	}
}

// erase goes back to where the line began. A terminal that was made narrower since has wrapped it.
func (s *screen) erase() {
	if s.line == "" {
		return
	}
	if rows := (s.width - 1) / max(s.size(), 1); rows > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA", rows)
	}
	fmt.Fprint(s.w, "\r\x1b[J")
}

// The colours, which mark states only and never carry a meaning alone.
const (
	green  = "32" // committed, running
	yellow = "33" // waiting
	red    = "31" // halted
)

// paint gives text a colour, if on.
func paint(on bool, colour, text string) string {
	if !on || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// piece is a part of a line. Of the pieces that do not fit, those with the highest rank go first.
type piece struct {
	text   string
	colour string
	rank   int
}

const gap = 2 // columns between two pieces

// fit joins pieces into a line of at most width columns.
func fit(pieces []piece, width int, colours bool) (line string, used int) {
	kept := make([]piece, 0, len(pieces))
	for _, p := range pieces {
		if p.text != "" {
			kept = append(kept, p)
			used += across(p.text) + gap
		}
	}
	used -= gap
	for used > width && len(kept) > 1 {
		worst := 0
		for i, p := range kept {
			if p.rank > kept[worst].rank {
				worst = i
			}
		}
		if kept[worst].rank == 0 {
			break
		}
		used -= across(kept[worst].text) + gap
		kept = append(kept[:worst], kept[worst+1:]...)
	}
	var b strings.Builder
	used = 0
	for i, p := range kept {
		if i > 0 {
			if used+gap >= width {
				break
			}
			b.WriteString(strings.Repeat(" ", gap))
			used += gap
		}
		text := clip(p.text, width-used)
		b.WriteString(paint(colours, p.colour, text))
		used += across(text)
	}
	return b.String(), used
}

// clip makes s one line of at most n columns; what it takes off it marks.
func clip(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' ' // texts of other systems must not move the cursor
		}
		return r
	}, s)
	if across(s) <= n {
		return s
	}
	if n < 1 {
		return ""
	}
	var b strings.Builder
	at := 0
	for _, r := range s {
		if at+wide(r) > n-1 {
			break
		}
		at += wide(r)
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// across is the number of columns that s takes.
func across(s string) int {
	n := 0
	for _, r := range s {
		n += wide(r)
	}
	return n
}

// wide is the number of columns that r takes: 2 for East Asian wide characters and pictures, 0 for marks on the one before.
func wide(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
		r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}
