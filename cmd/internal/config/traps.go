package config

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// syntax reports the parser's error. Most of them are one of a few traps, which are told in words of their own, and whose
// line it returns; 0: it was another.
func (l *loader) syntax(err error) int {
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		l.fault(span{}, codeSyntax, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return 0
	}
	at := span{le.Mark.Line, le.Mark.Column, 1}
	at.line = min(max(at.line, 1), len(l.lines))
	// The parser notices some faults only on the line behind; a trap is told where it stands.
	for _, n := range []int{at.line, at.line - 1, le.ContextMark.Line} {
		if n >= 1 && n <= len(l.lines) && l.trap(n) {
			return n
		}
	}
	if strings.HasPrefix(le.Message, "exceeded max depth") {
		l.fault(at, codeTooLarge, "more than %d levels deep", maxDepth)
		return 0
	}
	f := l.fault(at, codeSyntax, "not YAML: %s", le.Message)
	f.Fix = syntaxHints[le.Message]
	if le.ContextMsg != "" && le.ContextMark.Line > 0 {
		f.Notes = append(f.Notes, le.ContextMsg+", from line "+itoa(le.ContextMark.Line))
	}
	return 0
}

var syntaxHints = map[string]string{ //nolint:gochecknoglobals // a table, never written
	"mapping values are not allowed in this context":         "a value with a colon in it needs quotes; or the indentation is wrong",
	"did not find expected key":                              "the indentation is wrong, or a value needs quotes",
	"did not find expected ',' or '}'":                       "a brace is missing, or a value in it needs quotes",
	"did not find expected ',' or ']'":                       "a bracket is missing, or a value in it needs quotes",
	"found unexpected end of stream":                         "a quote, bracket or brace is not closed",
	"found character that cannot start any token":            "a value that begins with this character needs quotes",
	"did not find expected <document start>":                 "the indentation of the first lines differs",
	"did not find expected '-' indicator":                    "the indentation of this list differs",
	"could not find expected ':'":                            "a key needs a colon and a blank behind it",
	"found undefined tag handle":                             "a value that begins with ! needs quotes",
	"found unknown escape character":                         `write the value in single quotes, or double the backslash`,
	"block sequence entries are not allowed in this context": "a list begins on a line of its own",
}

var (
	keyValue   = regexp.MustCompile(`^(\s*(?:- +)*(?:"[^"]*"|'[^']*'|[^\s:#'"{\[]+):\s+)(\S.*)$`)
	ternary    = regexp.MustCompile(`\S\s*\?\s.*\s:\s`)
	quotedExpr = regexp.MustCompile(`^('(?:[^']|'')*'|"(?:[^"\\]|\\.)*")\s*([^\s#,}\]].*)$`)
	templated  = regexp.MustCompile(`\{\{.*\}\}`)
)

// trap tells whether line n holds one of the faults that YAML's own words do not explain.
func (l *loader) trap(n int) bool {
	line := string(l.line(n))
	if i := strings.IndexByte(line, '\t'); i >= 0 && strings.TrimSpace(line[:i]) == "" {
		l.fault(span{n, utf8.RuneCountInString(line[:i]) + 1, 1}, codeTab, "a tab as indentation").Fix = "YAML indents with blanks"
		return true
	}
	col := func(byteIndex int) int { return utf8.RuneCountInString(line[:byteIndex]) + 1 }
	if m := templated.FindStringIndex(line); m != nil {
		l.fault(span{n, col(m[0]), m[1] - m[0]}, codeVariable, "templates {{…}} are not taken").Fix = "write ${NAME} for a variable"
		return true
	}
	m := keyValue.FindStringSubmatchIndex(line)
	value, at := line, 0
	if m != nil {
		value, at = line[m[4]:m[5]], m[4]
	}
	if t := ternary.FindStringIndex(value); t != nil {
		q := strings.IndexByte(value[t[0]:], '?') + t[0]
		f := l.fault(span{n, col(at + q), 1}, codeTernary, "a ? b : c is not SQL, and its colon is YAML's")
		f.Fix = "write CASE WHEN a THEN b ELSE c END"
		return true
	}
	if m != nil {
		if q := quotedExpr.FindStringSubmatchIndex(value); q != nil {
			f := l.fault(span{n, col(at), utf8.RuneCountInString(strings.TrimRight(value, " "))}, codeQuoted,
				"a value that starts with a quote ends at the next one; YAML cannot read what follows")
			f.Fix = "put the whole expression into quotes: " + requote(strings.TrimSpace(value))
			return true
		}
	}
	return false
}

// requote writes an expression as a YAML scalar that needs no second thought.
func requote(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// tag is a scalar with an explicit tag, which in an expression was meant as "not".
func (l *loader) tag(n *node) {
	n.broken = true
	name := strings.TrimPrefix(n.tag, "!")
	at := span{n.line, n.col, utf8.RuneCountInString(n.tag)}
	if strings.HasPrefix(n.tag, "!!") || strings.HasPrefix(n.tag, "tag:") {
		l.fault(at, codeTag, "tag %s: tags are not taken", n.tag).Fix = "leave it out; quotes make a text of a value"
		return
	}
	f := l.fault(at, codeTag, "YAML reads %s as a tag", n.tag)
	f.Fix = strings.TrimSpace("write NOT " + name + " " + n.raw)
}

// torn tells whether a plain scalar of a flow collection was cut at a comma within parentheses.
func torn(n *node) bool {
	return n.plain() && strings.Count(n.text, "(") > strings.Count(n.text, ")")
}

// tornMap mends {type: decimal(12,2)}, which YAML reads as two keys, and says so.
func (l *loader) tornMap(n *node) {
	if !n.flow() {
		return
	}
	for i := 0; i < len(n.vals); i++ {
		v := n.vals[i]
		if v.kind != scalar || !torn(v) || len(l.faults) >= maxFaults {
			continue
		}
		text, end := v.text, i+1
		for end < len(n.vals) && n.vals[end].null() && strings.Count(text, "(") > strings.Count(text, ")") {
			text += ", " + n.keys[end].text
			end++
		}
		if end == i+1 || strings.Count(text, "(") != strings.Count(text, ")") {
			continue
		}
		l.tornFault(v, n.keys[end-1], text, n.keys[i].text+": ")
		n.keys, n.vals = append(n.keys[:i+1], n.keys[end:]...), append(n.vals[:i+1], n.vals[end:]...)
	}
}

// tornList does the same for [round(a, 2)].
func (l *loader) tornList(n *node) {
	if !n.flow() {
		return
	}
	for i := 0; i < len(n.vals); i++ {
		v := n.vals[i]
		if v.kind != scalar || !torn(v) || len(l.faults) >= maxFaults {
			continue
		}
		text, end := v.text, i+1
		for end < len(n.vals) && n.vals[end].kind == scalar && strings.Count(text, "(") > strings.Count(text, ")") {
			text += ", " + n.vals[end].text
			end++
		}
		if end == i+1 || strings.Count(text, "(") != strings.Count(text, ")") {
			continue
		}
		l.tornFault(v, n.vals[end-1], text, "")
		n.vals = append(n.vals[:i+1], n.vals[end:]...)
	}
}

func (l *loader) tornFault(v, last *node, text, key string) {
	at := v.span()
	if last.line == v.line {
		at.length = last.col + last.length - v.col
		if line := l.line(v.line); at.col-1+at.length <= len(line) {
			text = string(line[at.col-1 : at.col-1+at.length]) // as it was spaced
		}
	}
	if v.secret {
		text = hidden
	}
	l.fault(at, codeTorn, "YAML cuts this at the comma: in {…} and […] a comma separates").Fix = "quote it: " + key + requote(text)
	v.text, v.raw, v.length = text, text, at.length
	v.broken = true
}
