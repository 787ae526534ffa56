package config

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// sourceKeys are the keys of `source` beside the component's name.
var sourceKeys = []string{"decode", "schema", "metadata", "null_values", "max_record_size", "on_error", "on_gap"} //nolint:gochecknoglobals // a table, never written

const (
	defaultMaxRecord = 16 << 20 // 16 times the brokers' own default limit of 1 MiB
	largestMaxRecord = 256 << 20
)

// source reads the block and finds the schema that the steps begin with; nil: it is not known.
func (c *chain) source(root *node) {
	l, s := c.l, &c.p.Source
	*s = Source{NullValues: "skip", MaxRecordSize: defaultMaxRecord, OnError: "dead_letter", OnGap: "halt"}
	n := root.get("source")
	switch {
	case n == nil && l.meant["source"]:
		return
	case n == nil:
		l.fault(span{1, 1, 1}, codeMissing, "there is no `source`").Fix = "write source: {" + strings.Join(kinds(l.comps.Sources), " | ") + ": …, decode: …, schema: …}"
		return
	case n.broken:
		return
	case n.kind != mapping:
		l.fault(n.span(), codeType, "source takes keys, not %s", n.show())
		return
	}
	for _, k := range n.keys {
		if known := append(kinds(l.comps.Sources), sourceKeys...); !slices.Contains(known, k.text) {
			l.unknown(k, "source", known)
		}
	}
	if comp, at := l.component(n, "source", l.comps.Sources, sourceKeys); at != nil {
		s.Chosen = l.configure(comp, at, "source."+comp.Kind)
	}
	l.oneOf(n.get("null_values"), "source.null_values", &s.NullValues, []string{"skip", "row", "dead_letter"}, nil)
	l.oneOf(n.get("on_error"), "source.on_error", &s.OnError, []string{"dead_letter", "drop", "fail"}, nil)
	l.oneOf(n.get("on_gap"), "source.on_gap", &s.OnGap, []string{"halt"}, []string{"skip"})
	var own struct {
		MaxRecordSize stream.Bytes `yaml:"max_record_size"`
		Metadata      Metadata     `yaml:"metadata"`
	}
	own.MaxRecordSize = s.MaxRecordSize
	l.fill(n.only("max_record_size", "metadata"), "source", &own)
	bound(l, n.get("max_record_size"), "source.max_record_size", own.MaxRecordSize, 1, largestMaxRecord)
	s.MaxRecordSize, s.Metadata = own.MaxRecordSize, own.Metadata
	c.decoder(n)
}

// only is a map with just these keys.
func (n *node) only(keys ...string) *node {
	m := *n
	m.keys, m.vals = nil, nil
	for i, k := range n.keys {
		if slices.Contains(keys, k.text) {
			m.keys, m.vals = append(m.keys, k), append(m.vals, n.vals[i])
		}
	}
	return &m
}

// decoder reads `decode` and `schema`, and adds the metadata columns.
func (c *chain) decoder(n *node) {
	l, s := c.l, &c.p.Source
	comp := c.format(n)
	sn := n.get("schema")
	switch {
	case sn != nil:
		s.Declared = l.schema(sn)
	case comp.New == nil, l.meant["source.schema"]:
	case comp.Columns != nil:
		s.Declared = comp.Columns
	default:
		l.fault(n.span(), codeMissing, "source.schema is missing; decode: %s needs the columns", comp.Kind).Fix = "write schema: {order_id: string!, amount: decimal(18,2), …}"
	}
	if s.Declared == nil || comp.New == nil {
		return
	}
	if comp.Accept != nil {
		if err := comp.Accept(s.Decode.Config, s.Declared); err != nil {
			l.fault(sn.or(n.get("decode")).span(), codeSchema, "source.schema: %s", plainError(err)).Fix = stream.Next(err)
			return
		}
	}
	c.metadata(n)
	if s.NullValues == "row" {
		for _, f := range s.Declared.Fields() {
			if !f.Nullable {
				l.fault(n.get("null_values").span(), codeSchema, "source.null_values: a null value cannot become a row, because column %q is required", f.Name).Fix = "take the ! off its type, or write skip or dead_letter"
				return
			}
		}
	}
}

func (c *chain) metadata(n *node) {
	l, s := c.l, &c.p.Source
	fields := slices.Clone(s.Declared.Fields())
	seen := map[string]string{}
	for _, f := range fields {
		seen[strings.ToLower(f.Name)] = f.Name
	}
	ok := true
	for _, f := range s.Metadata.fields() {
		if first, twice := seen[strings.ToLower(f.Name)]; twice {
			at := n.get("metadata").valueOf(f.Name)
			l.fault(at.span(), codeFold, "metadata column %q: there is a column %q already", f.Name, first).Fix = "give it another name; upper and lower case count as equal"
			ok = false
			continue
		}
		seen[strings.ToLower(f.Name)] = f.Name
		fields = append(fields, f)
	}
	if ok {
		s.Schema = arrow.NewSchema(fields, nil)
	}
}

// valueOf is the last value of a map that has this text.
func (n *node) valueOf(text string) *node {
	var at *node
	for _, v := range n.vals {
		if v.text == text {
			at = v
		}
	}
	if at == nil {
		return n
	}
	return at
}

// format reads `decode`: a word, or a map of one.
func (c *chain) format(n *node) Component {
	l := c.l
	d := n.get("decode")
	if d == nil && l.meant["source.decode"] {
		return Component{}
	}
	if d == nil {
		l.fault(n.span(), codeMissing, "source.decode is missing").Fix = "write decode: " + strings.Join(kinds(l.comps.Formats), " | ")
		return Component{}
	}
	if d.broken {
		return Component{}
	}
	if d.kind == scalar {
		for _, comp := range l.comps.Formats {
			if comp.Kind == d.text {
				c.p.Source.Decode = l.configure(comp, nil, "source.decode."+comp.Kind)
				return comp
			}
		}
		if !d.null() && later("source.decode."+d.text) {
			l.fault(d.span(), codeLater, "source.decode: %s is not yet known in this version", d.text).Fix = "now: " + strings.Join(kinds(l.comps.Formats), ", ")
			return Component{}
		}
		f := l.fault(d.span(), codeValue, "source.decode: %s is no format; there are %s", d.show(), strings.Join(kinds(l.comps.Formats), ", "))
		f.Fix = didYouMean(d.text, kinds(l.comps.Formats))
		return Component{}
	}
	if d.kind != mapping {
		l.fault(d.span(), codeType, "source.decode takes a format, not %s", d.show()).Fix = "write decode: json"
		return Component{}
	}
	for _, k := range d.keys {
		if !slices.Contains(kinds(l.comps.Formats), k.text) {
			l.unknown(k, "source.decode", kinds(l.comps.Formats))
		}
	}
	comp, at := l.component(d, "source.decode", l.comps.Formats, nil)
	if at == nil {
		return Component{}
	}
	c.p.Source.Decode = l.configure(comp, at, "source.decode."+comp.Kind)
	return comp
}

// plainError is an error without the word for its class, which says nothing to people who write files.
func plainError(err error) string {
	return strings.TrimSuffix(err.Error(), ": "+stream.ErrPermanent.Error())
}
