package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

var topKeys = []string{"version", "name", "description", "source", "steps", "sinks", "delivery", "dead_letter", "retry", "store"} //nolint:gochecknoglobals // a table, never written

// pipeline reads the blocks in an order in which each finds what it needs.
func (l *loader) pipeline(root *node, p *Pipeline) {
	for _, k := range root.keys {
		if !slices.Contains(topKeys, k.text) {
			l.unknown(k, "", topKeys)
		}
	}
	l.head(root, p)
	l.store(root.get("store"), p)
	c := &chain{l: l, p: p, functions: l.comps.Functions, unknown: map[string]bool{}, lost: map[string]string{}}
	if c.functions == nil {
		c.functions = transform.Builtins()
	}
	c.source(root)
	c.steps(root.get("steps"))
	c.sinks(root)
	c.partitions()
	l.retry(root.get("retry"), p)
	l.delivery(root, p)
	l.deadLetter(root.get("dead_letter"), p)
	c.check(root)
}

var nameForm = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

func (l *loader) head(root *node, p *Pipeline) {
	p.Version = 1
	if n := root.get("version"); n != nil && !n.broken {
		if n.kind != scalar || n.text != "1" {
			l.fault(n.span(), codeValue, "version %s is not known; this millrace reads version 1", n.show()).Fix = "write 1"
		}
	}
	if n := root.get("description"); n != nil && n.kind == scalar {
		p.Description = n.text // free text: a number is as good as a word
	} else if n != nil && !n.broken {
		l.fault(n.span(), codeType, "description takes a text, not %s", n.show())
	}
	n := root.get("name")
	if n == nil {
		base := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(l.file), ".yaml"), ".yml")
		if !nameForm.MatchString(base) {
			f := l.fault(span{1, 1, 1}, codeMissing, "the pipeline needs a `name`, because the file's name %s is none", quote(base))
			f.Fix = "write name: " + asName(base)
			return
		}
		p.Name = base
		return
	}
	p.Name = l.name(n, "name")
}

// name reads a name: small letters, digits and underscores.
func (l *loader) name(n *node, path string) string {
	if n.broken {
		return ""
	}
	if n.kind != scalar || n.null() {
		l.fault(n.span(), codeType, "%s takes a name, not %s", path, n.show())
		return ""
	}
	s := n.text
	if nameForm.MatchString(s) {
		return s
	}
	f := l.fault(n.span(), codeValue, "%s: %s is no name; a name has small letters, digits and _, at most 63 of them", path, n.show())
	if a := asName(s); a != "" && !n.secret {
		f.Fix = "write " + a
	}
	return ""
}

// asName is the nearest name to s.
func asName(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, s)
	s = strings.Trim(s, "_")
	return s[:min(len(s), 63)]
}

type storeBlock struct {
	S3 struct {
		Endpoint  string `yaml:"endpoint" doc:"Address of an S3-compatible store; empty: AWS."`
		PathStyle bool   `yaml:"path_style" doc:"Bucket in the path instead of the host name; default: true if there is an endpoint."`
		Region    string `yaml:"region" doc:"Region of the buckets; empty: what the AWS SDK finds."`
	} `yaml:"s3" doc:"How s3:// locations are reached; credentials come from the AWS SDK's usual chain."`
}

func (l *loader) store(n *node, p *Pipeline) {
	var b storeBlock
	if n != nil {
		l.fill(n, "store", &b)
	}
	if n.get("s3").get("path_style") == nil {
		b.S3.PathStyle = b.S3.Endpoint != ""
	}
	if e := b.S3.Endpoint; e != "" && !strings.HasPrefix(e, "http://") && !strings.HasPrefix(e, "https://") {
		if at := n.get("s3").get("endpoint"); !l.told(at) {
			l.fault(at.span(), codeValue, "store.s3.endpoint: %s is no address", at.show()).Fix = "write http://host:port or https://host"
		}
	}
	p.Store.S3 = stream.StoreRef{Endpoint: strings.TrimSuffix(b.S3.Endpoint, "/"), Region: b.S3.Region, PathStyle: b.S3.PathStyle}
}
