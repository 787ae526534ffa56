package syntax

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tokEnd    kind = iota
	tokName        // a word, keywords among them
	tokQuoted      // "a name"
	tokString      // 'text'
	tokInt
	tokDecimal
	tokFloat
	tokOp
)

// token is a word of the text. For quoted names and strings, text is what the quotes enclose.
type token struct {
	Place
	kind kind
	text string
	word string // of a name: in upper case
}

const maxText = 64 << 10

type lexer struct {
	text string
	pos  int
	toks []token
	errs []*Error
	lost int // from here on the text was not read; -1: all of it was
}

func (l *lexer) fail(pos, n int, code, text, fix string) {
	l.errs = append(l.errs, &Error{Pos: pos, Len: n, Code: code, Text: text, Fix: fix})
}

// run cuts the whole text. It reports every trap that it meets and goes on with the operator that was meant.
func (l *lexer) run() {
	l.lost = -1
	for {
		for l.pos < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.pos]) >= 0 {
			l.pos++
		}
		if l.pos >= len(l.text) {
			break
		}
		if from := l.pos; !l.next() {
			l.lost = from
			break
		}
	}
	l.toks = append(l.toks, token{Place: Place{len(l.text), 0}, kind: tokEnd})
}

func (l *lexer) add(k kind, n int, text string) {
	l.toks = append(l.toks, token{Place: Place{l.pos, n}, kind: k, text: text})
	l.pos += n
}

func (l *lexer) next() bool {
	c := l.text[l.pos]
	switch {
	case c == '\'' || c == '"':
		return l.quoted(c)
	case c >= '0' && c <= '9', c == '.' && l.pos+1 < len(l.text) && isDigit(l.text[l.pos+1]) && !l.afterValue():
		return l.number()
	case isNameStart(l.text[l.pos:]):
		n := nameLen(l.text[l.pos:])
		text := l.text[l.pos : l.pos+n]
		l.add(tokName, n, text)
		l.toks[len(l.toks)-1].word = strings.ToUpper(text)
		return true
	}
	return l.operator()
}

// afterValue tells whether a dot here continues a path, as in a.b, rather than starting a number, as in .5.
func (l *lexer) afterValue() bool {
	if len(l.toks) == 0 {
		return false
	}
	t := l.toks[len(l.toks)-1]
	return t.Pos+t.Len == l.pos && (t.kind == tokName || t.kind == tokQuoted || t.text == "]")
}

func (l *lexer) quoted(q byte) bool {
	var b strings.Builder
	for i := l.pos + 1; i < len(l.text); i++ {
		if l.text[i] != q {
			b.WriteByte(l.text[i])
			continue
		}
		if i+1 < len(l.text) && l.text[i+1] == q {
			b.WriteByte(q)
			i++
			continue
		}
		k := tokString
		if q == '"' {
			k = tokQuoted
		}
		l.add(k, i+1-l.pos, b.String())
		return true
	}
	l.fail(l.pos, len(l.text)-l.pos, CodeSyntax, "the quote that starts here is never closed", "close it with "+string(q))
	l.pos = len(l.text)
	return false
}

func (l *lexer) number() bool {
	s, i, k := l.text, l.pos, tokInt
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i < len(s) && s[i] == '.' {
		k = tokDecimal
		for i++; i < len(s) && isDigit(s[i]); i++ {
			continue
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		j := i + 1
		if j < len(s) && (s[j] == '+' || s[j] == '-') {
			j++
		}
		if j < len(s) && isDigit(s[j]) {
			k = tokFloat
			for i = j; i < len(s) && isDigit(s[i]); i++ {
				continue
			}
		}
	}
	if i < len(s) && isNameStart(s[i:]) {
		n := i - l.pos + nameLen(s[i:])
		l.fail(l.pos, n, CodeSyntax, s[l.pos:l.pos+n]+" is neither a number nor a name",
			"write numbers like 12, 1.5 or 1e6, and names that start with a digit in double quotes")
		l.add(tokInt, n, "0")
		return true
	}
	l.add(k, i-l.pos, s[l.pos:i])
	return true
}

// foreignOp is an operator of another language: what it means here, and what to say.
type foreignOp struct{ text, op, word, fix string }

func foreignOps() []foreignOp {
	return []foreignOp{
		{"===", "=", "", "write = for equality"},
		{"==", "=", "", "write = for equality"},
		{"<=>", "=", "", "write `a = b OR (a IS NULL AND b IS NULL)`"},
		{"&&", "", "AND", "write AND"},
		{"::", "", "", "write CAST(x AS type)"},
		{"->", "", "", "write a.b for a field, a[0] for an element, a['key'] for a map"},
		{"--", "", "", "expressions have no comments; use YAML's #"},
		{"/*", "", "", "expressions have no comments; use YAML's #"},
		{"?", "", "", "write `CASE WHEN a THEN b ELSE c END`, or if(a, b, c)"},
		{"!", "", "NOT", "write NOT"},
		{"&", "", "", "write AND; there are no bit operators"},
		{"|", "", "", "write OR; || joins strings"},
		{"^", "", "", ""},
		{";", "", "", "leave it out"},
		{"`", "", "", `put names in double quotes: "name"`},
		{"$", "", "", ""},
		{"{", "", "", ""},
		{"}", "", "", ""},
		{":", "", "", ""},
	}
}

func (l *lexer) operator() bool {
	rest := l.text[l.pos:]
	for _, f := range foreignOps() {
		if !strings.HasPrefix(rest, f.text) || f.text == "|" && strings.HasPrefix(rest, "||") || f.text == "!" && strings.HasPrefix(rest, "!=") && !strings.HasPrefix(rest, "!==") {
			continue
		}
		if f.text == "--" && !strings.HasPrefix(rest, "-- ") { // 1--1 is arithmetic
			continue
		}
		l.fail(l.pos, len(f.text), CodeForeign, "there is no operator "+f.text+" here", f.fix)
		switch {
		case f.op != "":
			l.add(tokOp, len(f.text), f.op)
		case f.word != "":
			l.add(tokName, len(f.text), f.word)
			l.toks[len(l.toks)-1].word = f.word
		default:
			l.pos = len(l.text)
			return false
		}
		return true
	}
	for _, op := range []string{"<=", ">=", "<>", "!=", "||", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", "."} {
		if strings.HasPrefix(rest, op) {
			l.add(tokOp, len(op), op)
			return true
		}
	}
	r, n := utf8.DecodeRuneInString(rest)
	fix := ""
	switch r {
	case '‘', '’', '“', '”':
		fix = "write straight quotes: ' for strings"
	case '\u00a0':
		fix = "this is a no-break space; write a plain one"
	}
	l.fail(l.pos, n, CodeSyntax, "unexpected character "+quoteRune(r), fix)
	l.pos = len(l.text)
	return false
}

func quoteRune(r rune) string {
	if r == utf8.RuneError {
		return "that is not UTF-8"
	}
	if !unicode.IsPrint(r) {
		return fmt.Sprintf("%U", r)
	}
	return `"` + string(r) + `"`
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameStart(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r == '_' || r != utf8.RuneError && unicode.IsLetter(r)
}

func nameLen(s string) int {
	for i, r := range s {
		if r == utf8.RuneError || r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r) {
			return i
		}
	}
	return len(s)
}
