package config

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// flow is text that is YAML already.
type flow string

// render writes entries as YAML. With forHash, what takes no part in the hash is left out.
func render(b *strings.Builder, es []entry, depth int, forHash bool, secrets []string) {
	for _, e := range es {
		if (!forHash || e.hash) && !e.empty() {
			b.WriteString(strings.Repeat("  ", depth))
			renderOne(b, e, depth, forHash, secrets)
		}
	}
}

func renderOne(b *strings.Builder, e entry, depth int, forHash bool, secrets []string) {
	b.WriteString(yamlText(e.key) + ":")
	switch v := e.value.(type) {
	case string:
		b.WriteString(" " + blockText(clean(v, secrets)) + "\n")
	case flow:
		b.WriteString(" " + clean(string(v), secrets) + "\n")
	case []entry:
		b.WriteString("\n")
		render(b, v, depth+1, forHash, secrets)
	case [][]entry:
		b.WriteString("\n")
		for _, item := range v {
			lead := "- "
			for _, x := range item {
				if x.empty() || forHash && !x.hash {
					continue
				}
				b.WriteString(strings.Repeat("  ", depth+1) + lead)
				renderOne(b, x, depth+2, forHash, secrets)
				lead = "  "
			}
		}
	}
}

func (e *entry) empty() bool {
	switch v := e.value.(type) {
	case string:
		return v == ""
	case flow:
		return v == ""
	case []entry:
		return !slices.ContainsFunc(v, func(x entry) bool { return !x.empty() })
	case [][]entry:
		return len(v) == 0
	}
	return e.value == nil
}

// yamlText writes a text so that this package reads it back as the same text; quotes only where they are needed.
func yamlText(s string) string {
	if !strings.ContainsAny(s, ",[]{}") {
		return blockText(s)
	}
	return quoted(s)
}

// blockText is yamlText outside of brackets and braces.
func blockText(s string) string {
	if s == hidden {
		return `"` + hidden + `"`
	}
	if plainText(s) {
		return dollars.Replace(s)
	}
	return quoted(s)
}

var dollars = strings.NewReplacer("$$", "$$$$", "${", "$${") //nolint:gochecknoglobals // a table, never written

func quoted(s string) string { return dollars.Replace(strconv.Quote(s)) }

func plainText(s string) bool {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsAny(s, "\n\t\r\\\"") || strings.Contains(s, ": ") || strings.Contains(s, " #") ||
		strings.HasSuffix(s, ":") || strings.ContainsAny(s[:1], "-?:=~<,[]{}#&*!|>'%@`") || surprising(s) {
		return false
	}
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(s), &n); err != nil || len(n.Content) != 1 || n.Content[0].Kind != yaml.ScalarNode {
		return false
	}
	return n.Content[0].Value == s && n.Content[0].Tag == "!!str"
}

func sortEntries(es []entry) {
	slices.SortFunc(es, func(a, b entry) int { return strings.Compare(a.key, b.key) })
}
