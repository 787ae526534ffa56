package config

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/stream"
)

var sinkKeys = []string{"name", "from", "catalog"} //nolint:gochecknoglobals // a table, never written

// layout are the keys of a file format's block that are not the encoder's.
type layout struct {
	Location    string `yaml:"location" doc:"Where the table's files go: s3://bucket/prefix/ or a folder."`
	PartitionBy *node  `yaml:"partition_by" doc:"Folder levels: [column] takes columns, {name: expression} computes them."`
	Roll        struct {
		Size stream.Bytes `yaml:"size" doc:"A file ends at this size; a commit ends every open file too."`
	} `yaml:"roll" doc:"When a file ends."`
	Write   *node `yaml:"write" doc:"append: rows are added."`
	MaxOpen int   `yaml:"max_open" doc:"Open files at most; beyond it the coldest is closed."`
}

// reserved names are taken by tables of the pipeline itself.
var reserved = []string{"dead_letter", "source"} //nolint:gochecknoglobals // a table, never written

func (c *chain) sinks(root *node) {
	l := c.l
	n := root.get("sinks")
	switch {
	case n == nil && l.meant["sinks"]:
		return
	case n == nil:
		l.fault(span{1, 1, 1}, codeMissing, "there are no `sinks`").Fix = "write sinks: [{" + strings.Join(kinds(l.comps.Sinks), " | ") + ": {location: …}}]"
		return
	case n.broken:
		return
	case n.kind != sequence:
		f := l.fault(n.span(), codeType, "sinks is a list, not %s", n.show())
		if n.kind == mapping {
			f.Fix = "put - before the sink"
		}
		return
	case len(n.vals) == 0:
		l.fault(n.span(), codeMissing, "sinks is empty").Fix = "a pipeline has at least one"
		return
	}
	names := map[string]*node{}
	for i, sn := range n.vals {
		c.sink(sn, "sinks["+itoa(i)+"]", names)
	}
}

func (c *chain) sink(n *node, path string, names map[string]*node) {
	l := c.l
	if n.broken {
		return
	}
	if n.kind != mapping {
		l.fault(n.span(), codeType, "%s takes keys, not %s", path, n.show()).Fix = "write - parquet: {location: …}"
		return
	}
	s := Sink{From: len(c.p.Steps) - 1}
	at := sinkPlaces{block: n}
	known := append(kinds(l.comps.Sinks), sinkKeys...)
	for _, k := range n.keys {
		if !slices.Contains(known, k.text) {
			l.unknown(k, path, known)
		}
	}
	comp, body := l.component(n, path, l.comps.Sinks, sinkKeys)
	c.sinkName(n, path, comp.Kind, &s, names)
	if fn := n.get("from"); fn != nil {
		s.From = c.from(fn, path)
		at.from = fn
	}
	if body != nil {
		c.layout(&s, &at, comp, body, path+"."+comp.Kind)
	}
	if cn := n.get("catalog"); cn != nil && !cn.broken {
		s.Catalog = c.catalog(cn, path+".catalog")
		at.catalog = cn
	}
	c.p.Sinks = append(c.p.Sinks, s)
	c.places = append(c.places, at)
}

func (c *chain) sinkName(n *node, path, kind string, s *Sink, names map[string]*node) {
	l, at := c.l, n.get("name")
	switch {
	case at != nil:
		s.Name = l.name(at, path+".name")
	case kind != "":
		s.Name, at = kind, n
	}
	if s.Name == "" {
		return
	}
	if slices.Contains(reserved, s.Name) {
		l.fault(at.span(), codeStepNames, "%s.name: %q is a name of the pipeline's own", path, s.Name).Fix = "take another"
	}
	if first := names[s.Name]; first != nil {
		f := l.fault(at.span(), codeStepNames, "two sinks are called %q; the first is in line %d", s.Name, first.line)
		f.Fix = "give each a name of its own"
	}
	names[s.Name] = at
}

// from finds the step that a sink reads.
func (c *chain) from(n *node, path string) int {
	l := c.l
	if n.broken {
		return -2
	}
	if n.kind != scalar || n.null() {
		l.fault(n.span(), codeType, "%s.from takes the name of a step, not %s", path, n.show())
		return -2
	}
	var named, kinds []string
	for i := range c.p.Steps {
		s := &c.p.Steps[i]
		if s.Name == n.text {
			return i
		}
		if s.Name != "" {
			named = append(named, s.Name)
		}
		kinds = append(kinds, s.Kind)
	}
	f := l.fault(n.span(), codeFrom, "%s.from: no step is called %s", path, n.show())
	switch f.Fix = didYouMean(n.text, named); {
	case f.Fix != "":
	case slices.Contains(kinds, n.text):
		f.Fix = "name it: add `as: " + n.text + "` to that step"
	case len(named) == 0:
		f.Fix = "no step has a name; add `as: " + asName(n.text) + "` to the one you mean"
	default:
		f.Fix = "steps with a name: " + strings.Join(named, ", ")
	}
	return -2
}

func (c *chain) layout(s *Sink, at *sinkPlaces, comp Component, n *node, path string) {
	l := c.l
	b := layout{MaxOpen: 10_000}
	b.Roll.Size = 256 << 20
	s.Chosen = l.configure(comp, n, path, &b)
	s.Parquet = Parquet{RollSize: b.Roll.Size, Write: "append", MaxOpen: b.MaxOpen}
	if n.broken || n.kind != mapping {
		return
	}
	at.partition, at.location = b.PartitionBy, n.get("location")
	switch {
	case at.location == nil && l.meant[path+".location"]:
	case at.location == nil:
		l.fault(n.span(), codeMissing, "%s.location is missing", path).Fix = "write location: s3://bucket/prefix/ or a folder"
	default:
		s.Parquet.Location = l.location(at.location, path+".location", b.Location)
	}
	bound(l, n.get("roll").get("size"), path+".roll.size", b.Roll.Size, 64<<10, 64<<30)
	bound(l, n.get("max_open"), path+".max_open", b.MaxOpen, 1, 1_000_000)
	l.oneOf(b.Write, path+".write", &s.Parquet.Write, []string{"append"}, []string{"overwrite_table", "overwrite_partitions", "replace_slice", "upsert"})
}

func (c *chain) catalog(n *node, path string) *Chosen {
	l := c.l
	if n.kind != mapping {
		l.fault(n.span(), codeType, "%s takes a catalog, not %s", path, n.show()).Fix = "write catalog: {" + strings.Join(kinds(l.comps.Catalogs), " | ") + ": {database: …, table: …}}"
		return nil
	}
	for _, k := range n.keys {
		if !slices.Contains(kinds(l.comps.Catalogs), k.text) {
			l.unknown(k, path, kinds(l.comps.Catalogs))
		}
	}
	comp, at := l.component(n, path, l.comps.Catalogs, nil)
	if at == nil {
		return nil
	}
	ch := l.configure(comp, at, path+"."+comp.Kind)
	return &ch
}
