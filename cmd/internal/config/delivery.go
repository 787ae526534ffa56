package config

import (
	"path"
	"time"

	"github.com/millrace/millrace/stream"
)

type deliveryBlock struct {
	CommitEvery time.Duration `yaml:"commit_every" doc:"A transaction ends after this time at the latest."`
	CommitSize  stream.Bytes  `yaml:"commit_size" doc:"A transaction ends when its files reach this size."`
	Lanes       int           `yaml:"lanes" doc:"Number of lanes, fixed when the pipeline is created; default: max(1, min(source partitions, 8))."`
	Ledger      string        `yaml:"ledger" doc:"Where the ledger is kept; required once a sink is remote."`
	History     time.Duration `yaml:"history" doc:"How long manifests and states are kept for going back."`
	MaxPending  int           `yaml:"max_pending" doc:"Committed transactions of a lane that may wait to be published."`
}

// The bounds of delivery. A transaction must be over long before stores give up unfinished uploads (24 h at the least).
const (
	minCommitEvery = 100 * time.Millisecond
	maxCommitEvery = 6 * time.Hour
	maxLanes       = 1024
)

// delivery reads the block. The sinks are read already: they decide where the ledger may be.
func (l *loader) delivery(root *node, p *Pipeline) {
	b := deliveryBlock{CommitEvery: time.Minute, CommitSize: 1 << 30, History: 7 * 24 * time.Hour, MaxPending: 64}
	n := root.get("delivery")
	if n != nil {
		l.fill(n, "delivery", &b)
	}
	bound(l, n.get("commit_every"), "delivery.commit_every", b.CommitEvery, minCommitEvery, maxCommitEvery)
	bound(l, n.get("commit_size"), "delivery.commit_size", b.CommitSize, 64<<10, 1<<40)
	bound(l, n.get("lanes"), "delivery.lanes", b.Lanes, 1, maxLanes)
	bound(l, n.get("history"), "delivery.history", b.History, time.Minute, maxDuration)
	bound(l, n.get("max_pending"), "delivery.max_pending", b.MaxPending, 1, 10_000)
	p.Delivery = Delivery{b.CommitEvery, b.CommitSize, b.Lanes, "", b.History, b.MaxPending}
	if ln := n.get("ledger"); ln != nil {
		p.Delivery.Ledger = l.location(ln, "delivery.ledger", b.Ledger)
		return
	}
	if p.Name == "" {
		return
	}
	p.Delivery.Ledger = l.absolute("./.millrace/" + p.Name + "/ledger/")
}

type deadLetterBlock struct {
	Parquet  *node        `yaml:"parquet" doc:"The table of dead letters; default: beside the ledger."`
	MaxRatio share        `yaml:"max_ratio" doc:"Share of records over 10 minutes above which the pipeline halts."`
	RawLimit stream.Bytes `yaml:"raw_limit" doc:"Bytes of a record that its dead letter keeps at most."`
}

// deadLetter reads the block. Without a location it is beside the ledger, under the pipeline's name: ledgers that stand side by side
// must not share one table.
func (l *loader) deadLetter(n *node, p *Pipeline) {
	b := deadLetterBlock{MaxRatio: 0.05, RawLimit: 1 << 20}
	if n != nil {
		l.fill(n, "dead_letter", &b)
	}
	bound(l, n.get("raw_limit"), "dead_letter.raw_limit", b.RawLimit, 1, largestMaxRecord)
	p.DeadLetter = DeadLetter{MaxRatio: float64(b.MaxRatio), RawLimit: b.RawLimit}
	var where struct {
		Location string `yaml:"location" doc:"Where the files go."`
	}
	for _, format := range l.comps.Sinks {
		if format.Kind == "parquet" {
			p.DeadLetter.Chosen = l.configure(format, b.Parquet, "dead_letter.parquet", &where)
		}
	}
	if b.Parquet != nil {
		if ln := b.Parquet.get("location"); ln != nil {
			p.DeadLetter.Location = l.location(ln, "dead_letter.parquet.location", where.Location)
			return
		}
	}
	if led := p.Delivery.Ledger; led != "" && p.Name != "" {
		p.DeadLetter.Location = beside(led, "dead_letter/"+p.Name)
	}
}

// beside is <ledger>/../name/.
func beside(ledger, name string) string {
	if Remote(ledger) {
		bucket, prefix := splitBucket(ledger)
		return "s3://" + path.Join(bucket, path.Dir(path.Clean("/"+prefix)), name) + "/"
	}
	return path.Join(path.Dir(path.Clean(ledger)), name) + "/"
}

type retryBlock struct {
	Initial     time.Duration `yaml:"initial" doc:"Wait before the first repeat."`
	Max         time.Duration `yaml:"max" doc:"Longest wait between two tries."`
	GiveUpAfter patience      `yaml:"give_up_after" doc:"The lane halts after trying this long; never: it does not."`
}

func (l *loader) retry(n *node, p *Pipeline) {
	b := retryBlock{Initial: 500 * time.Millisecond, Max: 30 * time.Second}
	if n != nil {
		l.fill(n, "retry", &b)
	}
	bound(l, n.get("initial"), "retry.initial", b.Initial, time.Millisecond, time.Hour)
	bound(l, n.get("max"), "retry.max", b.Max, time.Millisecond, 24*time.Hour)
	if m := n.get("max"); b.Initial > b.Max && !l.told(n.get("initial").or(m)) {
		l.fault(m.or(n.get("initial")).span(), codeRange, "retry.max %s is less than retry.initial %s", human(b.Max), human(b.Initial))
	}
	if b.GiveUpAfter != 0 {
		bound(l, n.get("give_up_after"), "retry.give_up_after", time.Duration(b.GiveUpAfter), time.Second, maxDuration)
	} else if g := n.get("give_up_after"); g != nil && g.text != "never" && !g.broken && !l.told(g) {
		l.fault(g.span(), codeRange, "retry.give_up_after: %s is not between 1s and %s", g.show(), human(maxDuration)).Fix = "write never for no end"
	}
	p.Retry = Retry{b.Initial, b.Max, time.Duration(b.GiveUpAfter)}
}

// or is n, or other if there is no n.
func (n *node) or(other *node) *node {
	if n != nil {
		return n
	}
	return other
}
