package cli

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/sink"
	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/kafka"
	"github.com/millrace/millrace/stream/lane"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/transform"
)

var update = flag.Bool("update", false, "write the generated pages of deploy/docs anew")

const docs = "../../../deploy/docs/"

// generated compares a page with what the program says now.
func generated(t *testing.T, name, want string) {
	t.Helper()
	path := filepath.Join(docs, name)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is out of date (%v); write it anew with `go test ./cmd/internal/cli -run TestPages -update`", path, err)
	}
}

const generatedNote = "<!-- Written by `go test ./cmd/internal/cli -run TestPages -update`. Change the program, then run that. -->\n\n"

func TestPagesConfiguration(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Configuration\n\n" + generatedNote + configurationIntro)
	for _, s := range config.Reference(daemon.Components()) {
		title := "`" + s.Path + "`"
		if s.Path == "" {
			title = "Top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n", title)
		if s.Doc != "" {
			b.WriteString(s.Doc + "\n\n")
		}
		b.WriteString("| key | type | default | |\n|---|---|---|---|\n")
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, cell(k.Type), code(k.Default), cell(k.Doc))
		}
		if s.Path == "source" {
			b.WriteString("\n### Types of `schema`\n\n| type | |\n|---|---|\n")
			for _, k := range config.Types() {
				fmt.Fprintf(&b, "| `%s` | %s |\n", k.Type, cell(k.Doc))
			}
		}
		if strings.HasPrefix(s.Path, "sinks[].") && !strings.HasPrefix(s.Path, "sinks[].catalog") {
			b.WriteString(partitionWords)
		}
	}
	b.WriteString("\n## Steps\n\nA step is one key: `- filter: amount > 0`. Beside it, `as: name` names what leaves it, for a sink's `from`.\n\n| step | takes | |\n|---|---|---|\n")
	for _, k := range config.Steps() {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", k.Name, k.Type, cell(k.Doc))
	}
	b.WriteString(expressionWords + "\n## Functions\n\n| call | result | | example |\n|---|---|---|---|\n")
	for _, f := range transform.Builtins().Functions() {
		example := ""
		if len(f.Examples) > 0 {
			example = code(f.Examples[0].Expr) + " → " + code(f.Examples[0].Value)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", bars(f.Usage), cell(f.Result), cell(f.Doc), example)
	}
	generated(t, "configuration.md", b.String())
}

// TestReferenceIsWhole: every key has a text, and none of those that people need most is left out.
func TestReferenceIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range config.Reference(daemon.Components()) {
		for _, k := range s.Keys {
			if k.Doc == "" {
				t.Errorf("%s.%s has no text", s.Path, k.Name)
			}
			if seen[s.Path+"."+k.Name] {
				t.Errorf("%s.%s is there twice", s.Path, k.Name)
			}
			seen[s.Path+"."+k.Name] = true
		}
	}
	for _, want := range []string{
		"source.kafka.tls.ca", "source.kafka.sasl.password", "source.decode.json.extra_fields", "sinks[].parquet.row_group.size",
		"sinks[].parquet.roll.size", "sinks[].catalog.glue.endpoint", "delivery.commit_every", "dead_letter.max_ratio", "retry.give_up_after", "store.s3.path_style",
	} {
		if !seen[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

// metric is one that the program registers.
type metric struct{ name, help, kind, labels string }

// recorder keeps the descriptions of what is registered.
type recorder struct {
	found  map[string]metric
	labels string // that the daemon adds
}

func (r *recorder) with(label string) *recorder {
	return &recorder{r.found, strings.TrimPrefix(r.labels+", "+label, ", ")}
}

func (r *recorder) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc)
	go func() { c.Describe(ch); close(ch) }()
	for d := range ch {
		m := describe.FindStringSubmatch(d.String())
		labels := []string{r.labels}
		for _, l := range constant.FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		labels = append(labels, strings.ReplaceAll(m[4], ",", ", "))
		labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
		kind := "gauge"
		switch c.(type) {
		case prometheus.Histogram, *prometheus.HistogramVec:
			kind = "histogram"
		default:
			if strings.HasSuffix(m[1], "_total") {
				kind = "counter"
			}
		}
		r.found[m[1]] = metric{m[1], strings.ReplaceAll(m[2], `\"`, `"`), kind, strings.Join(labels, ", ")}
	}
	return nil
}

func (r *recorder) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

func (*recorder) Unregister(prometheus.Collector) bool { return true }

var (
	describe = regexp.MustCompile(`fqName: "([^"]*)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{(.*?)\}, variableLabels: \{(.*?)\}`)
	constant = regexp.MustCompile(`(\w+)="`)
)

// registered are the metrics of every part that a daemon is made of.
func registered(t *testing.T) map[string]metric {
	t.Helper()
	r := &recorder{found: map[string]metric{}}
	pipeline := r.with("pipeline")
	lane.NewMetrics(pipeline)
	decode.NewMetrics(pipeline)
	hive.NewMetrics(pipeline)
	sink.NewMetrics(pipeline.with("sink"))
	store.NewMetrics(r)
	sink.NewPool(&stream.Budget{}, r)
	checkpoint.New(checkpoint.Options{Metrics: pipeline})
	src, err := kafka.New(kafka.Config{Brokers: []string{"127.0.0.1:1"}, Topics: []string{"t"}, StartAt: "earliest", Isolation: "read_committed", Identity: "topic_id"},
		kafka.Deps{Pipeline: "p", Session: "s", Metrics: pipeline})
	if err != nil {
		t.Fatal(err)
	}
	_ = src.Close()
	r.MustRegister(status.NewCollector(status.NewBoard(), status.Info{Budget: &stream.Budget{}}))
	return r.found
}

func TestPagesMetrics(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Metrics\n\n" + generatedNote + metricsIntro + "| metric | type | labels | |\n|---|---|---|---|\n")
	all := registered(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, cell(m.labels), cell(m.help))
	}
	b.WriteString(metricsQuestions)
	generated(t, "metrics.md", b.String())
}

func TestPagesDeadLetters(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Dead letters\n\n" + generatedNote + deadLettersIntro + "| column | type | |\n|---|---|---|\n")
	words := deadLetterColumns()
	for _, f := range lane.DeadLetterSchema().Fields() {
		doc, ok := words[f.Name]
		if !ok {
			t.Errorf("column %s has no text", f.Name)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, cell(transform.TypeName(f.Type)), cell(doc))
	}
	b.WriteString("\n## Codes\n\n| code | what was wrong |\n|---|---|\n")
	for _, c := range deadLetterCodes() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c[0], cell(c[1]))
	}
	b.WriteString(deadLettersEnd)
	generated(t, "dead-letters.md", b.String())
}

func code(s string) string {
	if s == "" || s == "none" || strings.HasPrefix(s, "the ") {
		return s
	}
	return "`" + bars(s) + "`"
}

func bars(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func cell(s string) string { return bars(strings.NewReplacer("<", "&lt;", "\n", " ").Replace(s)) }
