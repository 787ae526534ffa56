package transform

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/decimal"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// arith makes + - * / %.
func (k *checker) arith(op string, l, r node, at syntax.Place) node {
	lk, rk := kindOf(l.typ()), kindOf(r.typ())
	if lk == kindNull {
		l, lk = nullOf(r.typ()), rk
	}
	if rk == kindNull {
		r, rk = nullOf(l.typ()), lk
	}
	if lk == kindNull {
		return nullOf(typeI32())
	}
	if !lk.numeric() || !rk.numeric() {
		return k.fail(at, CodeType, fmt.Sprintf("%s needs numbers, and got %s and %s", op, article(l.typ()), article(r.typ())), arithFix(op, lk, rk))
	}
	if lk.integer() && rk.integer() && op != "/" {
		t := common(l.typ(), r.typ())
		fn := intKernel[int64](op, "int64")
		if kindOf(t) == kindI32 {
			fn = intKernel[int32](op, "int32")
		}
		return k.apply(&applyNode{t: t, fn: fn, args: k.both(l, r, t, at)}, at)
	}
	if lk == kindF64 || rk == kindF64 || lk.integer() && rk.integer() {
		return k.apply(&applyNode{t: typeF64(), fn: floatKernel(op), args: k.both(l, r, typeF64(), at)}, at)
	}
	l, r = k.toDec(l, at), k.toDec(r, at)
	x, y := decOf(l.typ()), decOf(r.typ())
	var t decimal.Type
	switch op {
	case "+", "-":
		t = decimal.AddType(x, y)
	case "*":
		t = decimal.MulType(x, y)
	case "/":
		t = decimal.DivType(x, y)
	default:
		t = decimal.ModType(x, y)
	}
	return k.apply(&applyNode{t: typeDec(t), fn: decKernel(op, x, y, t), args: []node{l, r}}, at)
}

func arithFix(op string, l, r kind) string {
	switch {
	case op == "+" && (l == kindStr || r == kindStr):
		return "|| joins strings; CAST(x AS int64) makes a number of one"
	case op == "-" && (l == kindDate || l == kindTime) && (r == kindDate || r == kindTime):
		return "date_diff(a, b) counts days, unix_micros(a) - unix_micros(b) microseconds"
	case l == kindDate || r == kindDate:
		return "date_add(day, n) moves by days"
	case l == kindTime || r == kindTime:
		return "unix_micros(ts) makes a number, from_unix_millis(n) a timestamp"
	case l == kindBool || r == kindBool:
		return "if(condition, 1, 0) makes a number"
	case l == kindStr || r == kindStr:
		return "CAST(x AS int64) or CAST(x AS decimal(18,2)) makes a number of a string"
	}
	return ""
}

func (k *checker) both(l, r node, t arrow.DataType, at syntax.Place) []node {
	return []node{k.coerce(l, t, at), k.coerce(r, t, at)}
}

// toDec makes a decimal of a number; a constant integer becomes one with just its digits, so that `amount * 2` grows by
// one digit and not by ten.
func (k *checker) toDec(n node, at syntax.Place) node {
	t := n.typ()
	if kindOf(t) == kindDec {
		return n
	}
	d := decOf(t)
	if c, ok := n.(*constNode); ok && !c.null() {
		i := int64(0)
		if c.k == kindI32 {
			i = int64(c.one.i32[0])
		} else {
			i = c.one.i64[0]
		}
		for d.Precision = 1; !decimal.Fits(decimal.FromInt(i), d.Precision); {
			d.Precision++
		}
	}
	return k.coerce(n, typeDec(d), at)
}

// compare makes = <> < <= > >=.
func (k *checker) compare(op string, l, r node, at syntax.Place) node {
	lk, rk := kindOf(l.typ()), kindOf(r.typ())
	t := common(l.typ(), r.typ())
	if t == nil || kindOf(t) == kindNest {
		return k.fail(at, CodeType, fmt.Sprintf("%s cannot compare %s with %s", op, article(l.typ()), article(r.typ())), compareFix(l, r))
	}
	if kindOf(t) == kindNull {
		t = typeBool()
	}
	bool2 := func(k2 kind, sa, sb int32, args []node) node {
		return k.apply(&applyNode{t: typeBool(), fn: compareKernel(op, k2, sa, sb), args: args}, at)
	}
	if kindOf(t) == kindDec && lk != kindNull && rk != kindNull {
		l, r = k.toDec(l, at), k.toDec(r, at)
		x, y := decOf(l.typ()), decOf(r.typ())
		s := max(x.Scale, y.Scale)
		if p := max(x.Precision-x.Scale, y.Precision-y.Scale) + s; p > decimal.MaxPrecision {
			return bool2(kindDec, x.Scale, y.Scale, []node{l, r}) // no type holds both: compare as they are
		}
		t = typeDec(decimal.CommonType(x, y))
	}
	return bool2(kindOf(t), 0, 0, k.both(l, r, t, at))
}

func compareFix(l, r node) string {
	lk, rk := kindOf(l.typ()), kindOf(r.typ())
	if rk == kindStr {
		l, r, lk, rk = r, l, rk, lk
	}
	if lk != kindStr {
		if lk == kindNest || rk == kindNest {
			return "compare their fields or elements"
		}
		return ""
	}
	c, literal := l.(*constNode)
	switch {
	case literal && !c.null() && rk == kindDate:
		return "write DATE '" + c.one.str[0] + "'"
	case literal && !c.null() && rk == kindTime:
		return "write TIMESTAMP '" + c.one.str[0] + "'"
	case literal && !c.null() && rk.numeric():
		return "write the number without quotes"
	case literal && rk == kindBool:
		return "write TRUE or FALSE without quotes"
	}
	return "CAST the string AS " + TypeName(r.typ())
}

func (k *checker) hold(x node) (*heldNode, func(node) node) {
	h := &heldNode{x: x}
	return h, func(body node) node {
		if body == nil {
			return nil
		}
		return &letNode{held: h, body: body}
	}
}

func (k *checker) negate(n node, not bool, at syntax.Place) node {
	if n == nil || !not {
		return n
	}
	return k.apply(&applyNode{t: typeBool(), fn: notKernel, args: []node{n}}, at)
}

func (k *checker) between(n *syntax.Between) node {
	x, lo, hi := k.check(n.X), k.check(n.Lo), k.check(n.Hi)
	if x == nil || lo == nil || hi == nil {
		return nil
	}
	h, let := k.hold(x)
	l := k.compare(">=", h, lo, n.X.At().To(n.Lo.At()))
	r := k.compare("<=", h, hi, n.Place)
	if l == nil || r == nil {
		return nil
	}
	return k.negate(let(&logicNode{l: l, r: r}), n.Not, n.Place)
}

func (k *checker) in(n *syntax.In) node {
	x := k.check(n.X)
	var items []node
	ok := x != nil
	for _, it := range n.List {
		item := k.check(it)
		items = append(items, item)
		ok = ok && item != nil
	}
	if !ok {
		return nil
	}
	if set := k.inSet(x, items, n); set != nil {
		return set
	}
	h, let := k.hold(x)
	var body node
	for i, it := range items {
		eq := k.compare("=", h, it, n.X.At().To(n.List[i].At()))
		switch {
		case eq == nil:
			ok = false
		case body == nil:
			body = eq
		default:
			body = &logicNode{or: true, l: body, r: eq}
		}
	}
	if !ok {
		return nil
	}
	return k.negate(let(body), n.Not, n.Place)
}

// inSet is IN for constants that fit the type of x; nil: it has to be done by comparing.
func (k *checker) inSet(x node, items []node, n *syntax.In) node {
	t := x.typ()
	if !kindOf(t).integer() { // an integer would be widened for a list of integers only
		for _, it := range items {
			if !arrow.TypeEqual(it.typ(), t) && kindOf(it.typ()) != kindNull {
				if kindOf(t) != kindDec || kindOf(it.typ()) != kindDec && !kindOf(it.typ()).integer() {
					return nil
				}
			}
		}
	}
	for _, it := range items {
		if _, ok := it.(*constNode); !ok || common(t, it.typ()) == nil {
			return nil
		}
		if kindOf(t) == kindDec && kindOf(it.typ()) != kindNull {
			it = k.toDec(it, n.Place)
		}
		t = common(t, it.typ())
	}
	if kindOf(t) == kindDec {
		if c, f := decOf(t), decOf(x.typ()); kindOf(x.typ()) != kindDec || c.Precision-c.Scale < f.Precision-f.Scale || c.Scale < f.Scale {
			return nil
		}
	}
	var fn kernel
	switch kindOf(t) {
	case kindI32, kindDate:
		fn = setOf(k, items, t, n, func(c *col) int32 { return c.i32[0] })
	case kindI64, kindTime:
		fn = setOf(k, items, t, n, func(c *col) int64 { return c.i64[0] })
	case kindStr, kindBin:
		fn = setOf(k, items, t, n, func(c *col) string { return c.str[0] })
	case kindDec:
		fn = setOf(k, items, t, n, func(c *col) decimal.Num { return c.dec[0] })
	default:
		return nil
	}
	if fn == nil {
		return nil
	}
	return k.apply(&applyNode{t: typeBool(), fn: fn, args: []node{k.coerce(x, t, n.X.At())}, mayNull: true}, n.Place)
}

func setOf[T interface {
	value
	comparable
}](k *checker, items []node, t arrow.DataType, n *syntax.In, get func(*col) T) kernel {
	var list []T
	hasNull := false
	for _, it := range items {
		c, ok := k.coerce(it, t, n.Place).(*constNode)
		if !ok {
			return nil
		}
		if c.null() {
			hasNull = true
			continue
		}
		list = append(list, get(&c.one))
	}
	return inSet(list, hasNull, n.Not)
}

func (k *checker) like(n *syntax.Like) node {
	x, p := k.check(n.X), k.check(n.Pattern)
	var esc node
	if n.Escape != nil {
		if esc = k.check(n.Escape); esc == nil {
			return nil
		}
	}
	if x == nil || p == nil {
		return nil
	}
	for i, s := range []node{x, p} {
		at := n.X.At()
		if i == 1 {
			at = n.Pattern.At()
		}
		if kd := kindOf(s.typ()); kd != kindStr && kd != kindNull {
			return k.fail(at, CodeType, "LIKE needs strings, and "+k.source(at)+" is "+article(s.typ()), "CAST("+k.source(at)+" AS string)")
		}
	}
	escape := rune(-1)
	if esc != nil {
		c, ok := esc.(*constNode)
		if !ok || c.k != kindStr || len([]rune(c.text())) != 1 {
			return k.fail(n.Escape.At(), CodeConstant, "ESCAPE takes one character", `write ESCAPE '\'`)
		}
		escape = []rune(c.text())[0]
	}
	x, p = k.coerce(x, typeString(), n.X.At()), k.coerce(p, typeString(), n.Pattern.At())
	var fn kernel
	if c, ok := p.(*constNode); ok && !c.null() {
		match, err := likeMatcher(c.text(), escape)
		if err != "" {
			return k.fail(n.Pattern.At(), CodeValue, err, "")
		}
		fn = map1(match)
		return k.negate(k.apply(&applyNode{t: typeBool(), fn: fn, args: []node{x}}, n.Place), n.Not, n.Place)
	}
	fn = likeKernel(escape)
	return k.negate(k.apply(&applyNode{t: typeBool(), fn: fn, args: []node{x, p}}, n.Place), n.Not, n.Place)
}

func (k *checker) caseWhen(n *syntax.Case) node {
	var h *heldNode
	let := func(n node) node { return n }
	ok := true
	if n.Operand != nil {
		x := k.check(n.Operand)
		if ok = x != nil; ok {
			h, let = k.hold(x)
		}
	}
	c := &caseNode{}
	var places []syntax.Place
	for _, w := range n.Whens {
		cond := k.check(w.If)
		switch {
		case cond == nil:
		case n.Operand == nil:
			cond = k.condition(cond, w.If.At(), "WHEN")
		case h != nil:
			cond = k.compare("=", h, cond, w.If.At())
		}
		then := k.check(w.Then)
		ok = ok && cond != nil && then != nil
		c.conds, c.thens = append(c.conds, cond), append(c.thens, then)
		places = append(places, w.Then.At())
	}
	last := nullOf(typeNull())
	at := n.Place
	if n.Else != nil {
		last, at = k.check(n.Else), n.Else.At()
	}
	if !ok || last == nil {
		return nil
	}
	c.thens, places = append(c.thens, last), append(places, at)
	if !k.unify(c, places, "the branches of CASE") {
		return nil
	}
	return let(c)
}

// unify gives all branches of c one type.
func (k *checker) unify(c *caseNode, places []syntax.Place, what string) bool {
	t, ok := k.commonOf(c.thens, places, what)
	if !ok {
		return false
	}
	c.t, c.k = t, kindOf(t)
	for i := range c.thens {
		if c.thens[i] = k.coerce(c.thens[i], t, places[i]); c.thens[i] == nil {
			return false
		}
		c.mayNull = c.mayNull || c.thens[i].nullable()
	}
	return true
}

// commonOf is the type that all of list can be widened to.
func (k *checker) commonOf(list []node, places []syntax.Place, what string) (arrow.DataType, bool) {
	t := typeNull()
	for i, n := range list {
		next := common(t, n.typ())
		if next == nil || kindOf(next) == kindNest {
			fix := "CAST them to one type"
			if kindOf(n.typ()) == kindNest {
				fix = "only fields and elements can be taken out of it"
			}
			k.fail(places[i], CodeType, fmt.Sprintf("%s need one type: %s does not go with %s", what, article(n.typ()), strings.TrimSpace(article(t))), fix)
			return nil, false
		}
		t = next
	}
	if kindOf(t) == kindNull {
		t = typeString()
	}
	return t, true
}
