package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

const hidden = "***"

var (
	indices = regexp.MustCompile(`\[\d*\]`)
)

// loader reads one file.
type loader struct {
	file    string
	lines   [][]rune
	comps   Components
	opt     Options
	used    map[string]bool // variables that were asked for
	faults  []Fault
	dropped int // faults beyond maxFaults
	secrets []string
	spans   []span          // of secrets in the text
	meant   map[string]bool // paths that misspelt keys were probably meant to be
	named   map[span]bool   // keys that are names of columns, whatever they sound like
}

// fault notes a fault. The pointer is good until the next one.
func (l *loader) fault(at span, code, text string, args ...any) *Fault {
	if len(l.faults) >= maxFaults {
		l.dropped++
		return &Fault{}
	}
	l.faults = append(l.faults, Fault{
		File: l.file, Line: at.line, Column: at.col, Length: at.length, Code: code, Text: fmt.Sprintf(text, args...),
		Warning: strings.HasPrefix(code, "W"),
	})
	return &l.faults[len(l.faults)-1]
}

// line is line n, counted from 1, without its end.
func (l *loader) line(n int) []rune {
	if n < 1 || n > len(l.lines) {
		return nil
	}
	return l.lines[n-1]
}

func (l *loader) setText(text string) {
	text = strings.TrimPrefix(text, "\ufeff")
	for s := range strings.SplitSeq(text, "\n") {
		l.lines = append(l.lines, []rune(strings.TrimSuffix(s, "\r")))
	}
	if n := len(l.lines); n > 1 && len(l.lines[n-1]) == 0 {
		l.lines = l.lines[:n-1]
	}
}

// secret hides a value in whatever is shown from now on: its text, and its place in the file.
func (l *loader) secret(n *node) {
	if n == nil {
		return
	}
	for _, v := range n.vals {
		l.secret(v)
	}
	if n.kind != scalar {
		return
	}
	n.secret = true
	for line := range strings.SplitSeq(n.text, "\n") {
		l.hide(strings.TrimSpace(line))
	}
	if len(n.subs) == 0 {
		l.spans = append(l.spans, n.span())
	}
}

// hide keeps s out of every message. Shorter ones would garble what people read, and hide nothing.
func (l *loader) hide(s string) {
	if len(s) >= 3 && !slices.Contains(l.secrets, s) {
		l.secrets = append(l.secrets, s)
		slices.SortFunc(l.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	}
}

// clean replaces secrets, and the beginnings of secrets that somebody shortened.
func clean(s string, secrets []string) string {
	const telling = 8
	for _, x := range secrets {
		s = strings.ReplaceAll(s, x, hidden)
		if len(x) <= telling {
			continue
		}
		for i := strings.Index(s, x[:telling]); i >= 0; i = strings.Index(s, x[:telling]) {
			n := telling
			for n < len(x) && i+n < len(s) && s[i+n] == x[n] {
				n++
			}
			s = s[:i] + hidden + s[i+n:]
		}
	}
	return s
}

// secretKey finds values that look like secrets in lines that were never understood.
var secretKey = regexp.MustCompile(`(?i)["']?\w*(?:password|passphrase|passwd|secret|token|credential|private_key|access_key)\w*["']?\s*:\s+("[^"]*"?|'[^']*'?|[^\s,}#][^,}#]*)`)

// finish shows the lines of all faults, without secrets.
func (l *loader) finish() []Fault {
	for i := range l.faults {
		f := &l.faults[i]
		f.Text, f.Fix = clean(f.Text, l.secrets), clean(f.Fix, l.secrets)
		for k := range f.Notes {
			f.Notes[k] = clean(f.Notes[k], l.secrets)
		}
		if f.Line > 0 && f.Line <= len(l.lines) && len(l.line(f.Line)) <= maxShown {
			f.Source, f.caret = l.show(f.Line, f.Column)
		}
	}
	if l.dropped > 0 {
		l.faults = append(l.faults, Fault{File: l.file, Line: l.faults[len(l.faults)-1].Line, Column: 1, Code: codeTooManyFaults, Text: fmt.Sprintf("and %d faults more", l.dropped)})
	}
	return l.faults
}

// maxShown is the longest line that is shown: nobody reads a longer one.
const maxShown = 4000

// show is a line with its secrets hidden, and where column col is in it.
func (l *loader) show(n, col int) (string, int) {
	line := slices.Clone(l.line(n))
	type cut struct{ from, to int } // characters, from 0
	var cuts []cut
	for _, s := range l.spans {
		if s.line == n {
			cuts = append(cuts, cut{s.col - 1, s.col - 1 + s.length})
		}
	}
	text := string(line)
	runes := func(b int) int { return len([]rune(text[:b])) }
	for _, m := range secretKey.FindAllStringSubmatchIndex(text, -1) {
		if l.named[span{n, runes(m[0]) + 1, 0}] {
			continue
		}
		if v := text[m[2]:m[3]]; !strings.HasPrefix(strings.Trim(v, `"'`), "${") && !strings.HasPrefix(v, "{") && !strings.HasPrefix(v, "[") {
			cuts = append(cuts, cut{runes(m[2]), runes(m[2]) + len([]rune(strings.TrimRight(v, " ")))})
		}
	}
	for _, x := range l.secrets {
		for from := 0; ; {
			i := strings.Index(text[from:], x)
			if i < 0 {
				break
			}
			cuts = append(cuts, cut{runes(from + i), runes(from+i) + len([]rune(x))})
			from += i + len(x)
		}
	}
	slices.SortFunc(cuts, func(a, b cut) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to)) })
	var out []rune
	at, caret := 0, col
	for _, c := range cuts {
		c.to = min(c.to, len(line))
		if c.from < at {
			c.from = at
		}
		if c.from >= c.to {
			continue
		}
		out = append(out, line[at:c.from]...)
		if col-1 >= c.to {
			caret += len(hidden) - (c.to - c.from)
		} else if col-1 > c.from {
			caret = len(out) + 1
		}
		out = append(out, []rune(hidden)...)
		at = c.to
	}
	return string(append(out, line[at:]...)), caret
}

// component finds the one component that a block names. others are the keys of the block that are no component.
func (l *loader) component(n *node, path string, list []Component, others []string) (Component, *node) {
	var found []*node
	var chosen Component
	for i, k := range n.keys {
		for _, c := range list {
			if c.Kind == k.text {
				found = append(found, n.vals[i])
				chosen = c
			}
		}
	}
	switch {
	case len(found) == 1:
		return chosen, found[0]
	case len(found) > 1:
		l.fault(found[1].key.span(), codeComponent, "%s has two components, %s and %s", path, found[0].key.text, found[1].key.text).Fix = "keep one"
	default:
		for _, k := range n.keys {
			if !slices.Contains(others, k.text) {
				return Component{}, nil // that key gets a fault of its own
			}
		}
		l.fault(n.span(), codeComponent, "%s names no component", path).Fix = "one of: " + strings.Join(kinds(list), ", ")
	}
	return Component{}, nil
}

// configure fills a component's configuration from its block and asks it what is wrong.
func (l *loader) configure(c Component, n *node, path string, also ...any) Chosen {
	conf := c.New()
	if n != nil {
		l.fill(n, path, append([]any{conf}, also...)...)
	}
	l.validate(n, path, conf)
	return Chosen{c.Kind, conf}
}

// oneOf checks a word against what it may be, and tells of those that a later version brings.
func (l *loader) oneOf(n *node, path string, v *string, now, laterOn []string) {
	if n == nil || n.broken {
		return
	}
	var s string
	if n.kind == scalar && !n.null() {
		s = n.text
	}
	switch {
	case slices.Contains(now, s):
		*v = s
	case slices.Contains(laterOn, s):
		l.fault(n.span(), codeLater, "%s: %s is not yet known in this version", path, s).Fix = "now: " + strings.Join(now, ", ")
	default:
		f := l.fault(n.span(), codeValue, "%s: %s is not one of %s", path, n.show(), strings.Join(now, ", "))
		f.Fix = didYouMean(s, now)
	}
}

// bound refuses a number outside [low, high]; n is where it stands, nil: it is a default.
func bound[T int | time.Duration | stream.Bytes](l *loader, n *node, path string, v, low, high T) {
	if n == nil || n.broken || v >= low && v <= high || l.told(n) {
		return
	}
	l.fault(n.span(), codeRange, "%s: %s is not between %s and %s", path, n.show(), human(low), human(high))
}

// told tells whether a fault was reported at n already.
func (l *loader) told(n *node) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Line == n.line && f.Column == n.col && !f.Warning })
}

// human writes a bound as people write it: 12h instead of 12h0m0s.
func human(v any) string {
	d, ok := v.(time.Duration)
	if !ok {
		return fmt.Sprint(v)
	}
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// nowhere stands for what has no place in the file of its own.
func (l *loader) nowhere() *node { return &node{kind: mapping, line: 1, col: 1} }
