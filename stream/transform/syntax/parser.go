package syntax

import (
	"strconv"
	"strings"
)

const (
	maxDepth = 100 // of brackets within brackets
	maxChain = 2000
)

// Parse reads an expression. It returns either a tree or at least one error. After an error that leaves no doubt about
// what was meant it goes on, so that one call finds as many as it can.
func Parse(text string) (Node, []*Error) {
	if len(text) > maxText {
		return nil, []*Error{{Len: len(text), Code: CodeLimit, Text: "an expression is at most 64 KiB long",
			Fix: "split it into several `set` steps"}}
	}
	l := &lexer{text: text}
	l.run()
	p := &parser{text: text, toks: l.toks}
	var n Node
	func() {
		defer p.stop()
		n = p.or()
		if t := p.peek(); t.kind != tokEnd {
			p.unexpected(t, "an operator or the end")
		}
	}()
	// An error of the parser behind a place where the lexer gave up says nothing new.
	if p.err != nil && (l.lost < 0 || p.err.Pos < l.lost) {
		l.errs = append(l.errs, p.err)
	}
	if len(l.errs) > 0 {
		return nil, l.errs
	}
	return n, nil
}

// bail unwinds the parser to Parse after the first error that it cannot go on from.
type bail struct{}

type parser struct {
	text  string
	toks  []token
	i     int
	depth int
	chain int
	err   *Error
}

func (p *parser) stop() {
	if r := recover(); r != nil {
		if _, ok := r.(bail); !ok {
			panic(r)
		}
	}
}

func (p *parser) fail(at Place, code, text, fix string) {
	p.err = &Error{Pos: at.Pos, Len: at.Len, Code: code, Text: text, Fix: fix}
	panic(bail{})
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) peekAt(k int) token { return p.toks[min(p.i+k, len(p.toks)-1)] }

func (p *parser) take() token {
	t := p.toks[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

// word takes the keyword w if it comes next.
func (p *parser) word(w string) bool {
	if t := p.peek(); t.kind == tokName && t.word == w {
		p.i++
		return true
	}
	return false
}

func (p *parser) op(s string) bool {
	if t := p.peek(); t.kind == tokOp && t.text == s {
		p.i++
		return true
	}
	return false
}

func (p *parser) needWord(w, after string) {
	if !p.word(w) {
		p.unexpected(p.peek(), w+" "+after)
	}
}

func (p *parser) needOp(s, after string) {
	if !p.op(s) {
		p.unexpected(p.peek(), s+" "+after)
	}
}

func (p *parser) unexpected(t token, want string) {
	if t.kind == tokEnd {
		if len(p.toks) == 1 {
			p.fail(t.Place, CodeSyntax, "the expression is empty", "")
		}
		p.fail(t.Place, CodeSyntax, "the expression ends too early", "here should come "+want)
	}
	p.fail(t.Place, CodeSyntax, "unexpected "+p.text[t.Pos:t.Pos+t.Len], "here should come "+want)
}

// down guards against texts that nest so deep that reading them would eat the stack.
func (p *parser) down() {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.peek().Place, CodeLimit, "the expression is nested too deep", "split it into several `set` steps")
	}
}

func (p *parser) up() { p.depth-- }

// binary makes the tree of one operator. Long chains lean to the left and are bounded too.
func (p *parser) binary(op string, at Place, l, r Node) Node {
	if p.chain++; p.chain > maxChain {
		p.fail(at, CodeLimit, "the expression has too many operators", "split it into several `set` steps, or use IN")
	}
	return &Binary{Place: l.At().To(r.At()), Op: op, Word: at, L: l, R: r}
}

func (p *parser) or() Node {
	p.down()
	defer p.up()
	l := p.and()
	for {
		t := p.peek()
		if !p.word("OR") {
			return l
		}
		l = p.binary("OR", t.Place, l, p.and())
	}
}

func (p *parser) and() Node {
	l := p.not()
	for {
		t := p.peek()
		if !p.word("AND") {
			return l
		}
		l = p.binary("AND", t.Place, l, p.not())
	}
}

func (p *parser) not() Node {
	t := p.peek()
	if !p.word("NOT") {
		return p.compare()
	}
	p.down()
	defer p.up()
	x := p.not()
	return &Unary{Place: t.To(x.At()), Op: "NOT", X: x}
}

// comparison is the operator that a sign means, or "".
func comparison(t token) string {
	if t.kind == tokOp {
		switch t.text {
		case "!=":
			return "<>"
		case "=", "<>", "<", "<=", ">", ">=":
			return t.text
		}
	}
	return ""
}

func (p *parser) compare() Node {
	l := p.sum()
	t := p.peek()
	if op := comparison(t); op != "" {
		p.take()
		r := p.sum()
		n := p.binary(op, t.Place, l, r)
		if t := p.peek(); comparison(t) != "" {
			if j, ok := r.(*Binary); ok && j.Op == "||" {
				p.fail(j.Word, CodeForeign, "|| joins strings", "write OR")
			}
			p.fail(t.Place, CodeSyntax, "comparisons do not chain", "write `a < b AND b < c`")
		}
		return n
	}
	if t.kind != tokName {
		return l
	}
	if p.word("IS") {
		not := p.word("NOT")
		if w := p.peek(); !p.word("NULL") {
			if w.word == "TRUE" || w.word == "FALSE" {
				p.fail(w.Place, CodeSyntax, "IS takes NULL only", "write `coalesce(x, FALSE)`, or `x = TRUE`")
			}
			p.unexpected(w, "NULL or NOT NULL after IS")
		}
		return &IsNull{Place: l.At().To(p.toks[p.i-1].Place), X: l, Not: not}
	}
	not := false
	if t.word == "NOT" {
		switch p.peekAt(1).word {
		case "IN", "BETWEEN", "LIKE":
			p.take()
			not = true
		}
	}
	switch {
	case p.word("IN"):
		p.needOp("(", "after IN")
		list := p.list("the list of IN")
		return &In{Place: l.At().To(p.toks[p.i-1].Place), X: l, List: list, Not: not}
	case p.word("BETWEEN"):
		lo := p.sum()
		p.needWord("AND", "after the lower bound of BETWEEN")
		hi := p.sum()
		return &Between{Place: l.At().To(hi.At()), X: l, Lo: lo, Hi: hi, Not: not}
	case p.word("LIKE"):
		n := &Like{X: l, Pattern: p.sum(), Not: not}
		n.Place = l.At().To(n.Pattern.At())
		if p.word("ESCAPE") {
			n.Escape = p.sum()
			n.Place = l.At().To(n.Escape.At())
		}
		return n
	}
	if t.word == "RLIKE" || t.word == "ILIKE" || t.word == "REGEXP" {
		p.fail(t.Place, CodeForeign, "there is no operator "+t.text+" here", "write regexp_like(x, 'pattern')")
	}
	return l
}

// list reads the rest of a bracketed list of at least one expression.
func (p *parser) list(what string) []Node {
	var list []Node
	for {
		list = append(list, p.or())
		if p.op(")") {
			return list
		}
		p.needOp(",", "or ) in "+what)
	}
}

func (p *parser) sum() Node {
	l := p.product()
	for {
		t := p.peek()
		if t.kind != tokOp || t.text != "+" && t.text != "-" && t.text != "||" {
			return l
		}
		p.take()
		l = p.binary(t.text, t.Place, l, p.product())
	}
}

func (p *parser) product() Node {
	l := p.unary()
	for {
		t := p.peek()
		if t.kind != tokOp || t.text != "*" && t.text != "/" && t.text != "%" {
			return l
		}
		p.take()
		l = p.binary(t.text, t.Place, l, p.unary())
	}
}

func (p *parser) unary() Node {
	t := p.peek()
	if t.kind != tokOp || t.text != "-" && t.text != "+" {
		return p.primary()
	}
	p.take()
	p.down()
	defer p.up()
	x := p.unary()
	if t.text == "+" {
		return x
	}
	// A minus before a number belongs to it: the smallest int64 has no positive twin.
	if l, ok := x.(*Literal); ok && (l.Kind == Integer || l.Kind == Decimal || l.Kind == Float) && !strings.HasPrefix(l.Text, "-") {
		return &Literal{Place: t.To(l.Place), Kind: l.Kind, Text: "-" + l.Text}
	}
	return &Unary{Place: t.To(x.At()), Op: "-", X: x}
}

func (p *parser) primary() Node {
	t := p.take()
	switch t.kind {
	case tokInt:
		return &Literal{t.Place, Integer, t.text}
	case tokDecimal:
		return &Literal{t.Place, Decimal, t.text}
	case tokFloat:
		return &Literal{t.Place, Float, t.text}
	case tokString:
		return &Literal{t.Place, String, t.text}
	case tokQuoted:
		return p.path(t)
	case tokName:
		return p.name(t)
	case tokOp:
		if t.text == "(" {
			n := p.or()
			p.needOp(")", "to close the bracket")
			return n
		}
	default:
	}
	p.unexpected(t, "a value: a column, a number, a 'string' or a function")
	return nil
}

// reserved words cannot name a column unless they are quoted.
func reserved(word string) bool {
	switch word {
	case "AND", "OR", "NOT", "IS", "IN", "BETWEEN", "LIKE", "ESCAPE", "WHEN", "THEN", "ELSE", "END", "AS", "SELECT", "FROM", "WHERE":
		return true
	}
	return false
}

func (p *parser) name(t token) Node {
	next := p.peek()
	switch t.word {
	case "NULL":
		return &Literal{t.Place, Null, t.text}
	case "TRUE":
		return &Literal{t.Place, True, t.text}
	case "FALSE":
		return &Literal{t.Place, False, t.text}
	case "DATE", "TIMESTAMP":
		if next.kind == tokString {
			p.take()
			k := Date
			if t.word == "TIMESTAMP" {
				k = Timestamp
			}
			return &Literal{t.To(next.Place), k, next.text}
		}
	case "INTERVAL":
		if next.kind == tokString || next.kind == tokInt {
			p.fail(t.Place, CodeForeign, "there are no intervals here", "write date_add(day, n)")
		}
	case "CASE":
		if next.kind != tokOp || next.text == "(" || next.text == "-" {
			return p.caseWhen(t)
		}
	case "CAST", "TRY_CAST":
		if next.kind == tokOp && next.text == "(" {
			return p.cast(t)
		}
	}
	if next.kind == tokOp && next.text == "(" && !reserved(t.word) {
		p.take()
		c := &Call{Name: strings.ToLower(t.text), Word: t.Place}
		if !p.op(")") {
			if s := p.peek(); s.kind == tokOp && s.text == "*" {
				p.fail(s.Place, CodeSyntax, "* is for aggregates", "aggregates belong in an `aggregate` step")
			}
			c.Args = p.list("the arguments of " + c.Name)
		}
		c.Place = t.To(p.toks[p.i-1].Place)
		return c
	}
	if reserved(t.word) {
		p.fail(t.Place, CodeSyntax, "unexpected "+t.text, `here should come a value; a column of that name is written "`+t.text+`"`)
	}
	return p.path(t)
}

func (p *parser) path(t token) Node {
	n := &Path{Place: t.Place, Column: t.text, Name: t.Place, Quoted: t.kind == tokQuoted}
	for {
		at := p.peek()
		switch {
		case p.op("."):
			f := p.peek()
			if f.kind != tokName && f.kind != tokQuoted {
				p.unexpected(f, "the name of a field after the dot")
			}
			p.take()
			n.Parts = append(n.Parts, Part{Place: at.To(f.Place), Name: f.text, Kind: Field})
		case p.op("["):
			k := p.take()
			part := Part{Kind: Element}
			switch k.kind {
			case tokInt:
				i, err := strconv.ParseInt(k.text, 10, 32)
				if err != nil {
					p.fail(k.Place, CodeValue, k.text+" is too large for an index", "")
				}
				part.Index = int(i)
			case tokString:
				part.Kind, part.Name = Key, k.text
			default:
				p.fail(k.Place, CodeSyntax, "an index is a whole number from 0, a map's key is a 'string'", "")
			}
			p.needOp("]", "after the index")
			part.Place = at.To(p.toks[p.i-1].Place)
			n.Parts = append(n.Parts, part)
		default:
			n.Place = t.To(p.toks[p.i-1].Place)
			n.FullText = p.text[n.Pos : n.Pos+n.Len]
			return n
		}
	}
}

func (p *parser) caseWhen(t token) Node {
	p.down()
	defer p.up()
	n := &Case{}
	if w := p.peek(); w.kind != tokName || w.word != "WHEN" {
		n.Operand = p.or()
	}
	for p.word("WHEN") {
		w := When{If: p.or()}
		p.needWord("THEN", "after the condition of WHEN")
		w.Then = p.or()
		n.Whens = append(n.Whens, w)
	}
	if len(n.Whens) == 0 {
		p.unexpected(p.peek(), "WHEN after CASE")
	}
	if p.word("ELSE") {
		n.Else = p.or()
	}
	p.needWord("END", "to close CASE")
	n.Place = t.To(p.toks[p.i-1].Place)
	return n
}

func (p *parser) cast(t token) Node {
	p.take() // (
	n := &Cast{X: p.or(), Try: t.word == "TRY_CAST"}
	p.needWord("AS", "in "+t.word+"(value AS type)")
	first := p.peek()
	end := first.Place
	for depth := 0; ; {
		k := p.peek()
		if k.kind == tokEnd {
			p.unexpected(k, ") to close "+t.word)
		}
		if k.kind == tokOp && k.text == "(" {
			depth++
		}
		if k.kind == tokOp && k.text == ")" {
			if depth--; depth < 0 {
				break
			}
		}
		end = k.Place
		p.take()
	}
	if first.kind == tokOp {
		p.unexpected(first, "a type after AS")
	}
	n.TypeWord = first.To(end)
	n.Type = p.text[n.TypeWord.Pos : n.TypeWord.Pos+n.TypeWord.Len]
	p.take() // )
	n.Place = t.To(p.toks[p.i-1].Place)
	return n
}
