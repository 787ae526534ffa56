package config

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds of a file: far above what people write, far below what hurts.
const (
	maxFile   = 1 << 20
	maxDepth  = 50
	maxFaults = 100
	maxTraps  = 20 // each is one more parsing of the file
)

type kind uint8

const (
	scalar kind = iota
	mapping
	sequence
)

// node is a value of the file with its place.
type node struct {
	kind      kind
	line, col int
	length    int // characters of a scalar on its line, quotes included
	style     yaml.Style
	tag       string // of a plain scalar, as YAML reads it: !!str, !!int, !!null …
	raw       string // a scalar as it stands in the file
	text      string // with its variables replaced
	subs      []sub  // where text differs from raw
	secret    bool   // text came from a file: never shown
	broken    bool   // a fault was reported: say nothing more about it
	key       *node  // of the mapping that it is a value in
	keys      []*node
	vals      []*node
}

// span is a place in a file.
type span struct{ line, col, length int }

func (n *node) span() span {
	if n.kind != scalar {
		if n.key != nil {
			return n.key.span()
		}
		return span{n.line, n.col, 1}
	}
	return span{n.line, n.col, max(1, n.length)}
}

// get is the value of key, or nil.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.vals[i]
		}
	}
	return nil
}

func (n *node) flow() bool { return n.style&yaml.FlowStyle != 0 }

func (n *node) plain() bool {
	return n.kind == scalar && n.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

func (n *node) null() bool { return n.kind == scalar && n.tag == "!!null" && len(n.subs) == 0 }

// show is a scalar for a message: quoted, shortened, hidden if it is a secret.
func (n *node) show() string {
	switch {
	case n.kind == mapping:
		return "a map"
	case n.kind == sequence:
		return "a list"
	case n.null() && n.text == "":
		return "nothing"
	case n.secret:
		return `"` + hidden + `"`
	}
	return quote(n.text)
}

func quote(s string) string {
	r := []rune(s)
	if len(r) > 80 {
		s = string(r[:77]) + "…"
	}
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s) + `"`
}

// parse reads the text of one file. It returns nil if there is nothing to go on with.
func (l *loader) parse(text []byte) *node {
	if len(text) > maxFile {
		l.fault(span{}, codeTooLarge, "the file has %d bytes; a pipeline has at most %d", len(text), maxFile)
		return nil
	}
	if !l.checkText(text) {
		return nil
	}
	doc := l.composed(string(text))
	if doc == nil {
		return nil
	}
	root := l.tree(doc, 0)
	if root == nil {
		return nil
	}
	if root.null() {
		l.fault(span{}, codeEmpty, "the file is empty").Fix = "a pipeline has at least `source` and `sinks`"
		return nil
	}
	if root.kind != mapping {
		l.fault(root.span(), codeType, "a pipeline is a map of keys, not %s", root.show())
		return nil
	}
	return root
}

// checkText refuses what is no text before the parser sees it, with its place.
func (l *loader) checkText(text []byte) bool {
	line, col := 1, 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			l.fault(span{line, col, 1}, codeText, "byte 0x%02x is not UTF-8", text[i]).Fix = "save the file as UTF-8"
			return false
		case r == '\u0085', r == '\u2028', r == '\u2029', r == '\r' && (i+1 == len(text) || text[i+1] != '\n'):
			l.fault(span{line, col, 1}, codeText, "character U+%04X, which ends a line to YAML and to few others", r).Fix = "end lines with a newline"
			return false
		case r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f:
			l.fault(span{line, col, 1}, codeText, "control character 0x%02x", r).Fix = `remove it; in a quoted value it is written "\x` + fmt.Sprintf("%02x", r) + `"`
			return false
		}
		i += size
		col++
		if r == '\n' {
			line, col = line+1, 1
		} else if r == '\ufeff' && i == size {
			col = 1
		}
	}
	return true
}

// composed parses, and if a line holds a trap, tells it and parses again without that line's value, so that the faults
// of all other lines are told as well.
func (l *loader) composed(text string) *yaml.Node {
	for tries := 0; ; tries++ {
		doc, err := l.compose(text)
		if err == nil {
			return doc
		}
		n := l.syntax(err)
		lines := strings.Split(text, "\n")
		if tries == maxTraps || n < 1 || n > len(lines) || strings.ContainsRune(lines[n-1], poison) {
			return nil
		}
		m := keyValue.FindStringSubmatchIndex(lines[n-1])
		if m == nil || strings.ContainsAny(lines[n-1][m[4]:m[4]+1], "{[") {
			return nil
		}
		lines[n-1] = lines[n-1][:m[4]] + string(poison)
		text = strings.Join(lines, "\n")
	}
}

// poison stands for a value that was told to be wrong already.
const poison = '\U0010fef0'

// compose runs the YAML parser: one document, no more. A panic inside it is a syntax error of the file, not of ours.
func (l *loader) compose(text string) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("%v", r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(mask(text)))
	var n yaml.Node
	switch err := dec.Decode(&n); {
	case errors.Is(err, io.EOF):
		l.fault(span{}, codeEmpty, "the file is empty").Fix = "a pipeline has at least `source` and `sinks`"
		return nil, nil
	case err != nil:
		return nil, err
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, err
	default:
		at := span{second.Line, second.Column, 3}
		if len(second.Content) > 0 {
			at = span{second.Content[0].Line, second.Content[0].Column, 1}
		}
		l.fault(at, codeDocuments, "a second document begins here").Fix = "one file is one pipeline; put the other into a file of its own"
	}
	if len(n.Content) == 0 {
		return nil, nil
	}
	return n.Content[0], nil
}

// tree copies the parser's nodes, checks what may not be, and replaces variables.
func (l *loader) tree(y *yaml.Node, depth int) *node {
	n := &node{line: y.Line, col: y.Column, style: y.Style, tag: y.Tag}
	if depth > maxDepth {
		l.fault(n.span(), codeTooLarge, "more than %d levels deep", maxDepth)
		return nil
	}
	if y.Anchor != "" {
		l.fault(span{y.Line, y.Column, len(y.Anchor) + 1}, codeAlias, "anchor &%s: anchors and aliases are not taken", y.Anchor).Fix = "write it out where it is needed"
	}
	switch y.Kind {
	case yaml.ScalarNode:
		n.raw = unmask(y.Value)
		n.length = l.extent(n)
		if y.Style&yaml.TaggedStyle != 0 {
			l.tag(n)
			return n
		}
		n.text = n.raw
		n.broken = strings.ContainsRune(n.raw, poison)
		l.substitute(n)
	case yaml.AliasNode:
		l.fault(span{y.Line, y.Column, len(y.Value) + 1}, codeAlias, "alias *%s: anchors and aliases are not taken", y.Value).Fix = "write it out here"
		n.broken = true
	case yaml.SequenceNode:
		n.kind = sequence
		for _, c := range y.Content {
			if c := l.tree(c, depth+1); c != nil {
				n.vals = append(n.vals, c)
			}
		}
		l.tornList(n)
	case yaml.MappingNode:
		n.kind = mapping
		l.pairs(n, y, depth)
		l.tornMap(n)
	}
	if n.kind != scalar && y.Style&yaml.TaggedStyle != 0 {
		l.fault(span{y.Line, y.Column, 1}, codeTag, "tag %s: tags are not taken", y.Tag).Fix = "leave it out"
	}
	return n
}

func (l *loader) pairs(n *node, y *yaml.Node, depth int) {
	seen := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		yk := y.Content[i]
		at := span{yk.Line, yk.Column, max(1, utf8.RuneCountInString(yk.Value))}
		v := l.tree(y.Content[i+1], depth+1)
		switch {
		case yk.Kind == yaml.AliasNode:
			l.fault(at, codeAlias, "alias *%s: anchors and aliases are not taken", yk.Value)
			continue
		case yk.Kind != yaml.ScalarNode:
			l.fault(at, codeType, "a key is a word, not a list or map").Fix = l.braceHint(yk)
			n.broken = true
			continue
		case yk.Tag == "!!merge":
			l.fault(at, codeAlias, "merge keys are not taken").Fix = "write the keys out here"
			continue
		case yk.Value == "":
			l.fault(at, codeType, "a key is missing before the colon")
			continue
		}
		k := &node{line: yk.Line, col: yk.Column, style: yk.Style, tag: yk.Tag, raw: unmask(yk.Value)}
		k.text, k.length = k.raw, l.extent(k)
		if yk.Style&yaml.TaggedStyle != 0 || yk.Anchor != "" {
			l.fault(at, codeTag, "tags and anchors are not taken")
		}
		if first, ok := seen[k.text]; ok {
			l.fault(k.span(), codeDuplicate, "key %q stands here twice", k.text).Fix = fmt.Sprintf("the first is in line %d; keep one", first)
			continue
		}
		seen[k.text] = k.line
		if v == nil {
			continue
		}
		v.key = k
		n.keys, n.vals = append(n.keys, k), append(n.vals, v)
	}
}

// braceHint is for {{X}} of template languages.
func (l *loader) braceHint(y *yaml.Node) string {
	if y.Kind == yaml.MappingNode && y.Style&yaml.FlowStyle != 0 {
		return "templates {{…}} are not taken; write ${NAME} for a variable"
	}
	return ""
}

// extent is how many characters of its first line a scalar takes.
func (l *loader) extent(n *node) int {
	line := l.line(n.line)
	if n.col < 1 || n.col > len(line) {
		return 1
	}
	rest := line[n.col-1:]
	quoteChar := rune(0)
	switch {
	case n.style&yaml.DoubleQuotedStyle != 0:
		quoteChar = '"'
	case n.style&yaml.SingleQuotedStyle != 0:
		quoteChar = '\''
	case !n.plain():
		return 1
	}
	if quoteChar == 0 {
		return max(1, min(utf8.RuneCountInString(n.raw), len(rest)))
	}
	for i := 1; i < len(rest); i++ {
		switch {
		case quoteChar == '"' && rest[i] == '\\':
			i++
		case rest[i] == quoteChar && quoteChar == '\'' && i+1 < len(rest) && rest[i+1] == '\'':
			i++
		case rest[i] == quoteChar:
			return i + 1
		}
	}
	return len(rest)
}
