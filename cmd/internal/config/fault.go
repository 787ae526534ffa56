package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a file. Line and Column count from 1, columns in characters; Line 0: the file as a whole.
type Fault struct {
	File    string   `json:"file"`
	Line    int      `json:"line,omitempty"`
	Column  int      `json:"column,omitempty"`
	Length  int      `json:"length,omitempty"` // characters that the fault is about
	Code    string   `json:"code"`
	Warning bool     `json:"warning,omitempty"`
	Text    string   `json:"text"`
	Fix     string   `json:"fix,omitempty"`
	Notes   []string `json:"notes,omitempty"`  // further lines for people
	Source  string   `json:"source,omitempty"` // the line, secrets hidden

	caret int // column in Source, which hiding may have moved
}

// Faults are all faults of one loading, sorted by file and place. It is an error if it is not empty.
type Faults []Fault

// Errors is the number of faults that are not warnings.
func (f Faults) Errors() int {
	n := 0
	for i := range f {
		if !f[i].Warning {
			n++
		}
	}
	return n
}

// Error is every fault, as String shows it.
func (f Faults) Error() string {
	var b strings.Builder
	for i := range f {
		b.WriteString(f[i].String())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Code, b.Code), strings.Compare(a.Text, b.Text))
	})
}

// Place is file:line:column, as compilers write it.
func (f *Fault) Place() string {
	if f.Line == 0 {
		return f.File
	}
	return fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
}

// String is the fault as people read it: place, text and code, the line with what is meant underlined, the fix, the notes.
func (f *Fault) String() string {
	var b strings.Builder
	if f.Warning {
		b.WriteString("warning ")
	}
	fmt.Fprintf(&b, "%s: %s [%s]\n", f.Place(), f.Text, f.Code)
	if f.Source != "" {
		line, col, n := window(f.Source, f.caret, f.Length)
		fmt.Fprintf(&b, "%5d | %s\n", f.Line, line)
		fmt.Fprintf(&b, "      | %s%s", strings.Repeat(" ", col-1), strings.Repeat("^", n))
		if f.Fix != "" {
			b.WriteString(" " + f.Fix)
		}
		b.WriteByte('\n')
	} else if f.Fix != "" {
		b.WriteString("      " + f.Fix + "\n")
	}
	for _, n := range f.Notes {
		b.WriteString("      " + n + "\n")
	}
	return b.String()
}

// lineWidth bounds the part of a line that is shown: a screen's width and a half.
const lineWidth = 120

// window cuts a long line around the fault and keeps the caret inside. Control characters become spaces, so that the
// underline stays below what it means.
func window(line string, col, n int) (string, int, int) {
	r := []rune(line)
	for i := range r {
		if r[i] < ' ' || r[i] == 0x7f {
			r[i] = ' '
		}
	}
	col, n = max(col, 1), max(n, 1)
	col = min(col, len(r)+1)
	if len(r) > lineWidth {
		from := 0
		if col > lineWidth*2/3 {
			from = col - lineWidth/3
		}
		to := min(len(r), from+lineWidth)
		cut := append([]rune{}, r[from:to]...)
		col -= from
		if from > 0 {
			cut = append([]rune("… "), cut...)
			col += 2
		}
		if to < len(r) {
			cut = append(cut, []rune(" …")...)
		}
		r = cut
	}
	return string(r), col, max(1, min(n, len(r)-col+1))
}
