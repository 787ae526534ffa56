package config

import (
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// inside reports a fault about length characters from byte i of the raw text of a scalar.
func (l *loader) inside(n *node, i, length int, code, text string, args ...any) *Fault {
	if len(l.faults) >= maxFaults {
		l.dropped++
		return &Fault{} // finding the place takes a walk over the text
	}
	return l.fault(l.place(n, i, length), code, text, args...)
}

// insideText is inside for a place in the text, variables replaced. A place within a variable's value is the variable's.
func (l *loader) insideText(n *node, i, length int, code, text string, args ...any) *Fault {
	i = min(max(i, 0), len(n.text))
	end := min(i+max(length, 1), len(n.text))
	runes := utf8.RuneCountInString(n.text[i:max(i, end)])
	shift := 0
	for _, s := range n.subs {
		if i >= s.toEnd && s.toEnd > s.to || i > s.toEnd {
			shift = s.fromEnd - s.toEnd
			continue
		}
		if i >= s.to {
			return l.inside(n, s.from, utf8.RuneCountInString(n.raw[s.from:s.fromEnd]), code, text, args...)
		}
		break
	}
	return l.inside(n, i+shift, max(1, runes), code, text, args...)
}

// place finds byte i of a scalar's raw text in the file. It walks text and file side by side, because quotes, escapes and
// folded lines make them differ; where they cannot be brought together it is the scalar as a whole.
func (l *loader) place(n *node, i, length int) span {
	w := walker{l: l, n: n, line: n.line, col: n.col}
	switch {
	case n.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		w.line, w.col = w.line+1, 1
		w.indent()
	case !n.plain():
		w.col++
	}
	for k := 0; k < i && k < len(n.raw); {
		r, size := utf8.DecodeRuneInString(n.raw[k:])
		if !w.pass(r) {
			return n.span()
		}
		k += size
	}
	if i < len(n.raw) {
		w.content()
	}
	left := len(l.line(w.line)) - w.col + 1
	if left < 1 {
		return span{w.line, w.col, 1}
	}
	return span{w.line, w.col, max(1, min(length, left))}
}

// walker is a place in the file.
type walker struct {
	l         *loader
	n         *node
	line, col int
}

func (w *walker) at() (rune, bool) {
	s := w.l.line(w.line)
	if w.col < 1 || w.col > len(s) {
		return 0, false
	}
	return s[w.col-1], true
}

// indent passes over blanks and empty lines.
func (w *walker) indent() {
	for w.line <= len(w.l.lines) {
		r, ok := w.at()
		switch {
		case ok && (r == ' ' || r == '\t'):
			w.col++
		case !ok && w.line < len(w.l.lines):
			w.line, w.col = w.line+1, 1
		default:
			return
		}
	}
}

// content goes on to the next line if this one is at its end, or escapes it.
func (w *walker) content() {
	if w.line < len(w.l.lines) && w.atEnd() {
		w.line, w.col = w.line+1, 1
		w.indent()
	}
}

func (w *walker) atEnd() bool {
	s := w.l.line(w.line)
	for i := max(w.col, 1) - 1; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t':
		case '\\':
			return i == len(s)-1 && w.n.style&yaml.DoubleQuotedStyle != 0
		default:
			return false
		}
	}
	return true
}

// pass moves past the character r of the text; false: the file has another one here.
func (w *walker) pass(r rune) bool {
	f, ok := w.at()
	if r == ' ' || r == '\n' || r == '\t' {
		if ok && f == r {
			w.col++
			return true
		}
		if ok && f == '\\' && w.line < len(w.l.lines) && w.atEnd() {
			w.content()
			return w.pass(r)
		}
		if !ok || w.n.style&yaml.DoubleQuotedStyle == 0 || f != '\\' {
			w.content() // a fold; or blanks that are the file's indentation
			return true
		}
	} else {
		w.content()
		f, ok = w.at()
	}
	switch {
	case !ok:
		return false
	case w.n.style&yaml.DoubleQuotedStyle != 0 && f == '\\':
		w.escape()
	case f != r:
		return false
	case w.n.style&yaml.SingleQuotedStyle != 0 && r == '\'':
		w.col += 2
	default:
		w.col++
	}
	return true
}

// escape passes over \n, \x41, \u00e9 and the like.
func (w *walker) escape() {
	w.col++
	f, _ := w.at()
	w.col++
	switch f {
	case 'x':
		w.col += 2
	case 'u':
		w.col += 4
	case 'U':
		w.col += 8
	}
}
