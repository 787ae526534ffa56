package config

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// chain follows the columns from the decoder to the sinks. After a fault it goes on with what is known, and is silent
// about names that would be there without the fault.
type chain struct {
	l         *loader
	p         *Pipeline
	places    []sinkPlaces
	functions *transform.Registry
	unknown   map[string]bool   // columns that a broken step would have made
	lost      map[string]string // columns that steps took out, and which did
}

// before is the schema that enters step i; nil: not known.
func (c *chain) before(i int) *arrow.Schema {
	if i <= 0 {
		return c.p.Source.Schema
	}
	return c.p.Steps[i-1].Schema
}

// build compiles one transform against its input and reports its faults. part finds the node that an error's path is about.
func (c *chain) build(b transform.Builder, in *arrow.Schema, what string, part func(path string) *node) *arrow.Schema {
	step, errs := b.Build(in, what, c.functions)
	for _, e := range errs {
		c.report(e, what, part(e.Path))
	}
	if len(errs) > 0 || step == nil {
		return nil
	}
	return step.Ports()[0].Schema
}

// report gives an error of an expression its place in the file.
func (c *chain) report(e *syntax.Error, what string, n *node) {
	name := ""
	if n != nil && n.kind == scalar && e.Pos >= 0 && e.Pos+e.Len <= len(n.text) {
		name = strings.Trim(n.text[e.Pos:e.Pos+e.Len], `"`)
	}
	if e.Code == codeColumn && c.unknown[name] {
		return
	}
	var f *Fault
	if n.kind == scalar {
		f = c.l.insideText(n, e.Pos, e.Len, e.Code, "%s: %s", what, e.Text)
	} else {
		f = c.l.fault(n.span(), e.Code, "%s: %s", what, e.Text)
	}
	f.Fix = e.Fix
	if e.Note != "" {
		for note := range strings.SplitSeq(e.Note, "\n") {
			f.Notes = append(f.Notes, shorten(note))
		}
	}
	if e.Code != codeColumn {
		return
	}
	if by := c.lost[name]; by != "" {
		f.Notes = append(f.Notes, "dropped before: "+name+" ("+by+")")
	}
	if n.kind == scalar && !n.plain() && name == n.text && f.Fix == "" {
		f.Fix = "for the text write " + requote("'"+name+"'")
	}
}

// parseOnly finds what is wrong with an expression whose columns are not known.
func (c *chain) parseOnly(what string, n *node) {
	_, errs := syntax.Parse(n.text)
	for _, e := range errs {
		c.report(e, what, n)
	}
}

// gone notes which columns a step took out.
func (c *chain) gone(in, out *arrow.Schema, by string) {
	for _, f := range in.Fields() {
		if !out.HasField(f.Name) {
			c.lost[f.Name] = by
		}
	}
	for _, f := range out.Fields() {
		delete(c.lost, f.Name)
	}
}

func names(s *arrow.Schema) []string {
	var list []string
	for _, f := range s.Fields() {
		list = append(list, f.Name)
	}
	return list
}

// shorten keeps a list of very many columns from burying the fault.
func shorten(note string) string {
	const most = 400
	if len(note) <= most {
		return note
	}
	i := strings.LastIndex(note[:most], ", ")
	if i < 0 {
		return note
	}
	return fmt.Sprintf("%s, … and %d more", note[:i], strings.Count(note[i+2:], ", ")+1)
}
