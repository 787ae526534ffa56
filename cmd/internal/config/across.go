package config

import (
	"fmt"
	"strings"
)

// claim is something that only one of the pipelines loaded together may have.
type claim struct {
	p        *Pipeline
	what     string
	location string
	table    bool
}

// across checks pipelines against each other. A fault is told of the later file and names the earlier.
func across(ps []*Pipeline) Faults {
	var faults Faults
	fail := func(p *Pipeline, code, text, fix string) {
		faults = append(faults, Fault{File: p.File, Code: code, Text: text, Fix: fix})
	}
	names, tables := map[string]*Pipeline{}, map[string]*Pipeline{}
	var claims []claim
	for _, p := range ps {
		if first := names[p.Name]; first != nil {
			fail(p, codeSameName, fmt.Sprintf("two pipelines are called %q; the other is %s", p.Name, first.File), "give each a `name` of its own")
		}
		names[p.Name] = p
		for i := range p.Sinks {
			s := &p.Sinks[i]
			id := tableID(s.Catalog)
			if first := tables[id]; id != "" && first != nil && first != p {
				fail(p, codeSameTable, fmt.Sprintf("sink %q writes the table %s, which %s writes too", s.Name, tableName(s.Catalog), first.File), "one table is written by one pipeline")
			}
			tables[id] = p
		}
		mine := p.claims()
		for _, b := range mine {
			for _, a := range claims {
				if overlap(a.location, b.location) && a.p != p {
					f := clash(a, b)
					fail(p, f.Code, f.Text, f.Fix)
				}
			}
		}
		claims = append(claims, mine...)
	}
	return faults
}

func (p *Pipeline) claims() []claim {
	var cs []claim
	for i := range p.Sinks {
		cs = append(cs, claim{p, fmt.Sprintf("sink %q", p.Sinks[i].Name), p.store(p.Sinks[i].Parquet.Location), true})
	}
	return append(cs,
		claim{p, "the table of dead letters", p.store(p.DeadLetter.Location), true},
		claim{p, "the ledger", p.store(p.Delivery.Ledger), false})
}

// store tells buckets of one name at different endpoints apart.
func (p *Pipeline) store(location string) string {
	if Remote(location) && p.Store.S3.Endpoint != "" {
		return strings.TrimSuffix(p.Store.S3.Endpoint, "/") + " " + location
	}
	return location
}

func clash(a, b claim) Fault {
	where := b.location[strings.LastIndex(b.location, " ")+1:]
	f := Fault{Code: codeOverlap, Fix: "give each pipeline places of its own"}
	switch {
	case a.location == b.location && !a.table && !b.table:
		f.Code = codeSameLedger
		f.Text = fmt.Sprintf("the ledger %s is that of %s too", where, a.p.File)
		f.Fix = "one ledger serves one pipeline: give each a `delivery.ledger` of its own"
	case a.location == b.location:
		f.Text = fmt.Sprintf("%s and %s of %s have one location, %s", b.what, a.what, a.p.File, where)
	case len(a.location) > len(b.location):
		f.Text = fmt.Sprintf("%s of %s lies inside %s, %s", a.what, a.p.File, b.what, where)
	default:
		f.Text = fmt.Sprintf("%s, %s, lies inside %s of %s", b.what, where, a.what, a.p.File)
	}
	if b.what == "the table of dead letters" || a.what == "the table of dead letters" {
		f.Fix = "give each pipeline a `dead_letter.parquet.location` of its own"
	}
	return f
}
