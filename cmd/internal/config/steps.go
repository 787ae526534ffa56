package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform"
)

// stepKinds are the transforms of this version.
var stepKinds = []string{"filter", "set", "select", "drop", "rename", "drop_nulls"} //nolint:gochecknoglobals // a table, never written

func (c *chain) steps(n *node) {
	l := c.l
	switch {
	case n == nil || n.broken:
		return
	case n.kind != sequence:
		f := l.fault(n.span(), codeType, "steps is a list, not %s", n.show())
		if n.kind == mapping {
			f.Fix = "put - before each step"
		}
		return
	}
	names := map[string]*node{}
	for i, sn := range n.vals {
		s := Step{Line: sn.line}
		in := c.before(i)
		c.step(sn, i, &s, in, names)
		c.p.Steps = append(c.p.Steps, s)
	}
}

// args are the arguments of a step: names, expressions, or both, with the nodes that they stand in.
type args struct {
	names, texts []string
	nodes        []*node
	whole        *node
}

// newStep makes the builder of a step.
func newStep(kind string, a args) transform.Builder {
	switch kind {
	case "filter":
		return transform.Filter{Expr: a.texts[0]}
	case "set":
		var s transform.Set
		for i := range a.names {
			s.Assigns = append(s.Assigns, transform.Assign{Name: a.names[i], Expr: a.texts[i]})
		}
		return s
	case "rename":
		var s transform.Rename
		for i := range a.names {
			s.Pairs = append(s.Pairs, transform.Pair{From: a.names[i], To: a.texts[i]})
		}
		return s
	case "select":
		return transform.Select{Columns: a.names}
	case "drop":
		return transform.Drop{Columns: a.names}
	case "drop_nulls":
		return transform.DropNulls{Columns: a.names}
	}
	panic("config: no step is called " + kind)
}

// good are those assignments that have an expression.
func (a *args) good() *args {
	g := &args{whole: a.whole}
	for i, t := range a.texts {
		if t != "" && !a.nodes[i].broken {
			g.names, g.texts, g.nodes = append(g.names, a.names[i]), append(g.texts, t), append(g.nodes, a.nodes[i])
		}
	}
	return g
}

// build tells what is wrong with assignments that are not all there.
func (a *args) build(c *chain, in *arrow.Schema, what string) {
	if len(a.names) > 0 {
		c.build(newStep("set", *a), in, what, a.part)
	}
}

// part finds the node that an error of a step is about: by name, by [number], or the step's only text.
func (a *args) part(path string) *node {
	var i int
	if n, err := fmt.Sscanf(path, "[%d]", &i); err == nil && n == 1 && i >= 0 && i < len(a.nodes) {
		return a.nodes[i]
	}
	if i := slices.Index(a.names, path); i >= 0 && path != "" {
		return a.nodes[i]
	}
	if path == "" && len(a.nodes) == 1 && a.whole.kind == scalar {
		return a.nodes[0]
	}
	return a.whole
}

func (c *chain) step(n *node, i int, s *Step, in *arrow.Schema, names map[string]*node) {
	l := c.l
	if n.broken {
		return
	}
	path := "steps[" + itoa(i) + "]"
	if n.kind != mapping {
		l.fault(n.span(), codeType, "%s takes the name of a step and its arguments, not %s", path, n.show()).Fix = "write - filter: amount > 0"
		return
	}
	var body *node
	for k, key := range n.keys {
		switch {
		case key.text == "as":
		case !slices.Contains(stepKinds, key.text):
			l.unknown(key, path, append([]string{"as"}, stepKinds...))
		case body != nil:
			l.fault(key.span(), codeComponent, "%s has two steps, %s and %s", path, body.key.text, key.text).Fix = "put - before each"
		default:
			body, s.Kind = n.vals[k], key.text
			s.Line = key.line
		}
	}
	if as := n.get("as"); as != nil {
		c.stepName(as, path, s, names)
	}
	if body == nil {
		if len(n.keys) == 0 || len(n.keys) == 1 && n.keys[0].text == "as" {
			l.fault(n.span(), codeComponent, "%s names no step", path).Fix = "one of: " + strings.Join(stepKinds, ", ")
		}
		s.Schema = in
		return
	}
	a, ok := c.arguments(s.Kind, body, path)
	s.text = a.entries(s.Kind)
	what := fmt.Sprintf("step %d %q", i, s.Kind)
	if ok && in != nil {
		s.Builder = newStep(s.Kind, a)
		s.Schema = c.build(s.Builder, in, what, a.part)
		if s.Schema != nil && !c.folded(s.Schema, &a, what) {
			s.Schema = nil
		}
	} else if in != nil && s.Kind == "set" {
		a.good().build(c, in, what)
	} else if in == nil && (s.Kind == "filter" || s.Kind == "set") {
		for k, t := range a.nodes {
			if t.kind == scalar && a.texts[k] != "" {
				c.parseOnly(what, t)
			}
		}
	}
	if s.Schema == nil && in != nil {
		// What a broken step would have made is not missed by those that follow.
		made := a.names
		if s.Kind == "rename" {
			made = a.texts
		}
		for _, name := range made {
			c.unknown[name] = true
		}
		s.Schema = in
		return
	}
	if in != nil {
		c.gone(in, s.Schema, fmt.Sprintf("step %d, line %d", i, s.Line))
	}
}

func (c *chain) stepName(n *node, path string, s *Step, names map[string]*node) {
	l := c.l
	if s.Name = l.name(n, path+".as"); s.Name == "" {
		return
	}
	if slices.Contains(reserved, s.Name) {
		l.fault(n.span(), codeStepNames, "%s.as: %q is a name of the pipeline's own", path, s.Name).Fix = "take another"
	}
	if first := names[s.Name]; first != nil {
		l.fault(n.span(), codeStepNames, "two steps are called %q; the first is in line %d", s.Name, first.line).Fix = "give each a name of its own"
	}
	names[s.Name] = n
}

// arguments reads what stands behind a step's name.
func (c *chain) arguments(kind string, n *node, path string) (args, bool) {
	a := args{whole: n}
	path += "." + kind
	if n.broken {
		return a, false
	}
	switch kind {
	case "filter":
		a.nodes = []*node{n}
		text, ok := c.expression(n, path)
		a.texts = []string{text}
		return a, ok
	case "set", "rename":
		return c.pairsOf(kind, a, path)
	}
	return c.namesOf(a, path)
}

func (c *chain) pairsOf(kind string, a args, path string) (args, bool) {
	l, n := c.l, a.whole
	fix := "write {name: expression}"
	if kind == "rename" {
		fix = "write {old_name: new_name}"
	}
	if n.kind != mapping || len(n.keys) == 0 {
		l.fault(n.span(), codeType, "%s takes columns, not %s", path, n.show()).Fix = fix
		return a, false
	}
	ok := true
	for i, k := range n.keys {
		v := n.vals[i]
		var text string
		var good bool
		if kind == "set" {
			text, good = c.expression(v, path+"."+k.text)
		} else {
			text, good = c.column(v, path+"."+k.text)
			v = k // faults are about the old name
		}
		ok = ok && good && l.columnName(k)
		a.names, a.texts, a.nodes = append(a.names, k.text), append(a.texts, text), append(a.nodes, v)
	}
	return a, ok
}

func (c *chain) namesOf(a args, path string) (args, bool) {
	l, n := c.l, a.whole
	list := n.vals
	switch {
	case n.kind == scalar && !n.null():
		list = []*node{n}
	case n.kind != sequence || len(list) == 0:
		l.fault(n.span(), codeType, "%s takes a list of columns, not %s", path, n.show()).Fix = "write [order_id, amount]"
		return a, false
	}
	ok := true
	for i, v := range list {
		text, good := c.column(v, path+"["+itoa(i)+"]")
		ok = ok && good
		a.names, a.texts, a.nodes = append(a.names, text), append(a.texts, text), append(a.nodes, v)
	}
	return a, ok
}

func (c *chain) column(n *node, path string) (string, bool) {
	if n.broken {
		return "", false
	}
	if n.kind != scalar || n.null() && n.text == "" {
		c.l.fault(n.span(), codeType, "%s takes a column's name, not %s", path, n.show())
		return "", false
	}
	return n.text, true
}

// expression takes the text of an expression. Numbers and truth values are expressions too; a date is none.
func (c *chain) expression(n *node, path string) (string, bool) {
	l := c.l
	switch {
	case n.broken:
		return "", false
	case n.kind != scalar:
		l.fault(n.span(), codeType, "%s takes an expression, not %s", path, n.show())
		return "", false
	case n.null() && !strings.EqualFold(n.text, "null"):
		l.fault(n.span(), codeType, "%s has no expression", path).Fix = "write NULL for no value"
		return "", false
	case n.plain() && n.tag == "!!timestamp":
		f := l.fault(n.span(), codeType, "%s: %s is arithmetic to an expression", path, n.text)
		f.Fix = "write DATE '" + n.text + "'"
		if strings.ContainsAny(n.text, ":") {
			f.Fix = "write TIMESTAMP '" + n.text + "'"
		}
		return "", false
	}
	return n.text, true
}

// entries are a step's arguments as Effective shows them.
func (a *args) entries(kind string) any {
	switch kind {
	case "filter":
		if len(a.texts) == 1 {
			return a.texts[0]
		}
	case "set", "rename":
		var es []entry
		for i := range a.names {
			es = append(es, entry{a.names[i], a.texts[i], true})
		}
		return es
	}
	var items []string
	for _, t := range a.texts {
		items = append(items, yamlText(t))
	}
	return flow("[" + strings.Join(items, ", ") + "]")
}
