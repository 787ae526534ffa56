package config

import (
	"fmt"
	"time"
)

// sinkPlaces are the nodes of a sink, for faults that are found after reading.
type sinkPlaces struct{ block, from, partition, location, catalog *node }

// check looks at what only the whole pipeline shows.
func (c *chain) check(root *node) {
	c.ledgerKind(root)
	c.overlaps(root)
	c.sameTables()
	c.smallFiles(root)
}

// ledgerKind: a remote table may be written by several hosts, so its ledger has to be remote as well; a local table is
// published by the host it is on, so its ledger has to be there.
func (c *chain) ledgerKind(root *node) {
	l, p := c.l, c.p
	ln := root.get("delivery").get("ledger")
	remote, local := -1, -1
	for i := range p.Sinks {
		switch loc := p.Sinks[i].Parquet.Location; {
		case loc == "":
		case Remote(loc):
			remote = i
		default:
			local = i
		}
	}
	ledger := p.Delivery.Ledger
	switch {
	case remote >= 0 && local >= 0:
		l.fault(c.places[local].location.span(), codeLedgerKind, "sink %q is local and sink %q is remote; one ledger cannot serve both", p.Sinks[local].Name, p.Sinks[remote].Name).Fix = "make two pipelines of it"
	case remote >= 0 && ln == nil && l.meant["delivery.ledger"]:
	case remote >= 0 && ln == nil:
		at := span{c.places[remote].location.line, c.places[remote].location.col, max(1, c.places[remote].location.length)}
		if d := root.get("delivery"); d != nil && d.key != nil {
			at = d.key.span()
		}
		l.fault(at, codeLedgerKind, "delivery.ledger is required, because sink %q is remote", p.Sinks[remote].Name).Fix = "write delivery: {ledger: s3://bucket/_millrace/" + p.Name + "/}"
	case remote >= 0 && ledger != "" && !Remote(ledger):
		l.fault(ln.span(), codeLedgerKind, "the ledger is local, but sink %q is remote: another host would not see what this one committed", p.Sinks[remote].Name).Fix = "put it beside the table: s3://bucket/_millrace/" + p.Name + "/"
	case local >= 0 && Remote(ledger):
		l.fault(ln.span(), codeLedgerKind, "the ledger is remote, but sink %q is a folder of this host: another host could not publish it", p.Sinks[local].Name).Fix = "use a local ledger, or a remote table"
	}
	dead := root.get("dead_letter").get("parquet").get("location")
	if d := p.DeadLetter.Location; dead != nil && d != "" && ledger != "" && ln != nil && Remote(d) != Remote(ledger) {
		l.fault(dead.span(), codeLedgerKind, "dead letters are in another kind of place than the ledger, so one host could not finish the other's commits").Fix = "put both on s3://, or both into folders"
	}
}

// place is a location that must not meet another one.
type place struct {
	what     string
	location string
	at       *node
	table    bool
}

func (c *chain) overlaps(root *node) {
	l, p := c.l, c.p
	var ps []place
	for i := range p.Sinks {
		if loc := p.Sinks[i].Parquet.Location; loc != "" {
			ps = append(ps, place{fmt.Sprintf("sink %q", p.Sinks[i].Name), loc, c.places[i].location, true})
		}
	}
	if d := p.DeadLetter.Location; d != "" {
		ps = append(ps, place{"dead letters", d, root.get("dead_letter").get("parquet").get("location"), true})
	}
	if g := p.Delivery.Ledger; g != "" {
		ps = append(ps, place{"the ledger", g, root.get("delivery").get("ledger"), false})
	}
	for i := range ps {
		for k := range i {
			a, b := ps[k], ps[i]
			if !overlap(a.location, b.location) {
				continue
			}
			at := b.at.or(a.at)
			if at == nil {
				at = root
			}
			f := l.fault(at.span(), codeOverlap, "%s", meet(a, b))
			f.Fix = "give each a place of its own"
			f.Notes = append(f.Notes, a.what+": "+a.location, b.what+": "+b.location)
		}
	}
}

func meet(a, b place) string {
	switch {
	case a.location == b.location:
		return a.what + " and " + b.what + " have one location"
	case len(a.location) > len(b.location):
		return a.what + " lies inside " + b.what
	}
	return b.what + " lies inside " + a.what
}

func (c *chain) sameTables() {
	seen := map[string]int{}
	for i := range c.p.Sinks {
		s := &c.p.Sinks[i]
		id := tableID(s.Catalog)
		if id == "" {
			continue
		}
		if first, ok := seen[id]; ok {
			at := c.places[i].catalog
			if t := at.get(s.Catalog.Kind).get("table"); t != nil {
				at = t
			}
			c.l.fault(at.span(), codeSameTable, "sinks %q and %q have one table, %s", c.p.Sinks[first].Name, s.Name, tableName(s.Catalog)).Fix = "one table is written by one sink"
			continue
		}
		seen[id] = i
	}
}

// What is absurd: more than a file a second in the one partition that a commit touches at the least, kept up for a day;
// or files that are smaller than the footers of a sane table.
const (
	manyFiles = 86_400
	tinyFile  = 1 << 20
)

func (c *chain) smallFiles(root *node) {
	l, d := c.l, c.p.Delivery
	lanes := d.Lanes
	if lanes == 0 {
		lanes = 8
	}
	dn := root.get("delivery")
	for i := range c.p.Sinks {
		s := &c.p.Sinks[i]
		if rn := s.Parquet.RollSize; rn > 0 && rn < tinyFile {
			if at, ok := c.places[i].block.find(s.Kind + ".roll.size"); ok && !l.told(at) {
				l.fault(at.span(), codeSmallFiles, "sink %q rolls files of %s; readers spend their time on footers", s.Name, rn).Fix = "256MiB is a good size"
			}
		}
		if at := dn.get("commit_every"); at != nil && d.CommitEvery > 0 && !l.told(at) && Remote(s.Parquet.Location) {
			files := int64(lanes) * int64(24*time.Hour/d.CommitEvery)
			if files > manyFiles {
				f := l.fault(at.span(), codeSmallFiles, "commit_every %s makes about %s files a day for each partition of sink %q that rows fall into", human(d.CommitEvery), thousands(files), s.Name)
				f.Fix = fmt.Sprintf("1m makes about %s", thousands(int64(lanes)*1440))
				break
			}
		}
	}
	if at := dn.get("commit_size"); at != nil && d.CommitSize < tinyFile && !l.told(at) {
		l.fault(at.span(), codeSmallFiles, "commit_size %s ends a transaction after very few rows", d.CommitSize).Fix = "1GiB is a good size"
	}
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
