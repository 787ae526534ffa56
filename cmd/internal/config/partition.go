package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

// level is one folder level of partition_by: the value of expr in column name.
type level struct {
	name, expr string
	at, key    *node // of the expression and of the name; key is nil in the short form
}

// partitions reads partition_by of every sink and compiles what has to be computed into a hidden `set`.
func (c *chain) partitions() {
	for i := range c.p.Sinks {
		s := &c.p.Sinks[i]
		var in *arrow.Schema
		if s.From >= -1 {
			in = c.before(s.From + 1)
		}
		s.Schema = in
		n := c.places[i].partition
		if n == nil || n.broken {
			continue
		}
		levels, ok := c.levels(n, s)
		s.partition = levelEntries(levels)
		if !ok {
			s.Schema = nil
			continue
		}
		if in == nil {
			for _, v := range levels {
				c.parseOnly(what(s), v.at)
			}
			continue
		}
		s.Schema = c.compute(s, in, levels)
		if s.Schema != nil {
			c.keys(s, levels, n)
		}
	}
}

func what(s *Sink) string { return fmt.Sprintf("sink %q: partition_by", s.Name) }

func (c *chain) levels(n *node, s *Sink) ([]level, bool) {
	l := c.l
	var levels []level
	ok := true
	switch {
	case n.kind == mapping:
		for i, k := range n.keys {
			text, good := c.expression(n.vals[i], what(s)+" "+quote(k.text))
			ok = ok && good && l.columnName(k)
			levels = append(levels, level{k.text, strings.TrimSpace(text), n.vals[i], k})
		}
	case n.kind == sequence:
		for _, v := range n.vals {
			if v.kind == mapping && len(v.keys) == 1 || v.kind == scalar && strings.ContainsAny(v.text, "(") {
				f := l.fault(v.span(), codeType, "%s takes columns in a list", what(s))
				f.Fix = "what is computed needs a name: write {order_date: date(created_at)}"
				ok = false
				continue
			}
			text, good := c.column(v, what(s))
			ok = ok && good
			levels = append(levels, level{text, text, v, nil})
		}
	case n.kind == scalar && !n.null():
		text, good := c.column(n, what(s))
		return []level{{text, text, n, nil}}, good
	default:
		l.fault(n.span(), codeType, "%s takes columns, not %s", what(s), n.show()).Fix = "write [country], or {order_date: date(created_at)}"
		return nil, false
	}
	if len(n.vals) == 0 {
		l.fault(n.span(), codeMissing, "%s names no column", what(s)).Fix = "leave it out for a table without partitions"
		return nil, false
	}
	return levels, ok
}

func levelEntries(levels []level) any {
	var es []entry
	for _, v := range levels {
		es = append(es, entry{v.name, v.expr, true})
	}
	return es
}

// compute builds the hidden columns: those whose expression is more than the column's own name.
func (c *chain) compute(s *Sink, in *arrow.Schema, levels []level) *arrow.Schema {
	l := c.l
	a := args{whole: c.l.nowhere()}
	seen := map[string]bool{}
	ok := true
	for _, v := range levels {
		at := v.key.or(v.at)
		low := strings.ToLower(v.name)
		if seen[low] {
			l.fault(at.span(), codePartition, "%s names %q twice", what(s), v.name)
			ok = false
		}
		seen[low] = true
		switch {
		case v.expr == v.name && in.HasField(v.name):
			continue
		case v.expr == v.name:
			c.missingColumn(s, in, v)
			ok = false
			continue
		}
		for _, f := range in.Fields() {
			if strings.EqualFold(f.Name, v.name) {
				f := l.fault(at.span(), codePartition, "%s: there is a column %q already, whose values would be lost", what(s), f.Name)
				f.Fix = "give the partition another name"
				ok = false
			}
		}
		a.names, a.texts, a.nodes = append(a.names, v.name), append(a.texts, v.expr), append(a.nodes, v.at)
	}
	if !ok {
		return nil
	}
	if len(a.names) == 0 {
		return in
	}
	s.Hidden = newStep("set", a)
	out := c.build(s.Hidden, in, what(s), a.part)
	return out
}

func (c *chain) missingColumn(s *Sink, in *arrow.Schema, v level) {
	if c.unknown[v.name] {
		return
	}
	f := c.l.fault(v.at.span(), codeColumn, "%s: there is no column %s here", what(s), quote(v.name))
	f.Fix = didYouMean(v.name, names(in))
	f.Notes = append(f.Notes, shorten("columns here: "+strings.Join(names(in), ", ")))
	if by := c.lost[v.name]; by != "" {
		f.Notes = append(f.Notes, "dropped before: "+v.name+" ("+by+")")
	}
}

// keys checks the types of the partition columns.
func (c *chain) keys(s *Sink, levels []level, n *node) {
	l := c.l
	for _, v := range levels {
		i := s.Schema.FieldIndices(v.name)
		if len(i) == 0 {
			continue
		}
		t := s.Schema.Field(i[0]).Type
		switch t.ID() {
		case arrow.TIMESTAMP:
			l.fault(v.at.span(), codeTimestamp, "sink %q: partition_by %q is a timestamp; a partition per microsecond", s.Name, v.name).Fix = c.dateOf(v)
		case arrow.FLOAT64, arrow.FLOAT32:
			l.fault(v.at.span(), codePartition, "%s: %q is %s; two floats that print alike need not be equal", what(s), v.name, transform.TypeName(t)).Fix = "cast it to a decimal or an integer"
		case arrow.STRUCT, arrow.LIST, arrow.MAP, arrow.BINARY:
			l.fault(v.at.span(), codePartition, "%s: %q is %s, which no folder can be named by", what(s), v.name, transform.TypeName(t)).Fix = "partition by a string, a number or a date"
		default:
			s.Parquet.PartitionBy = append(s.Parquet.PartitionBy, stream.PartitionColumn{Name: v.name, Type: transform.TypeName(t)})
		}
	}
	if len(levels) >= s.Schema.NumFields() {
		l.fault(n.span(), codeNoColumns, "%s takes every column; the files would have none", what(s)).Fix = "leave at least one out"
	}
}

// dateOf is what was probably meant by a timestamp in partition_by.
func (c *chain) dateOf(v level) string {
	switch {
	case v.key != nil && v.at.text != v.name && strings.ContainsAny(v.expr, "( "):
		return "partition by date(…), and by hour(…) beside it"
	case v.key != nil:
		return "date(" + v.expr + ")?"
	}
	return "write {" + asName(v.name) + "_date: date(" + v.expr + ")}"
}

// folded refuses columns that a step makes and that differ from others only by case.
func (c *chain) folded(out *arrow.Schema, a *args, what string) bool {
	first := map[string]string{}
	ok := true
	for _, f := range out.Fields() {
		low := strings.ToLower(f.Name)
		other, twice := first[low]
		first[low] = f.Name
		if !twice {
			continue
		}
		at := a.whole
		if i := slices.Index(a.names, f.Name); i >= 0 && a.nodes[i].key != nil {
			at = a.nodes[i].key
		}
		c.l.fault(at.span(), codeFold, "%s: columns %q and %q differ only by case; catalogs take them for one", what, other, f.Name).Fix = "rename one"
		ok = false
	}
	return ok
}
