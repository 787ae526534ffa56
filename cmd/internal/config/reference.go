package config

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/millrace/millrace/stream/transform"
)

// Key is one key of the language, for the reference.
type Key struct {
	Name    string // below its section: tls.ca
	Type    string
	Default string // as a file would say it; empty: none
	Doc     string // one line
}

// Section is the keys of one block of a file.
type Section struct {
	Path string // where the block is: source.kafka, sinks[].parquet
	Doc  string
	Keys []Key
}

// Reference lists every key that a file may have with these components, in the order in which people write them. Types,
// defaults and texts are those of the program itself.
func Reference(c Components) []Section {
	l := &loader{file: "reference", comps: c, used: map[string]bool{}, meant: map[string]bool{}, named: map[span]bool{}}
	l.opt.Dir = "/"
	p := &Pipeline{Name: "NAME"}
	l.delivery(&node{kind: mapping}, p)
	l.deadLetter(nil, p)
	l.retry(nil, p)

	sections := []Section{{Path: "", Doc: "The top level of a file.", Keys: []Key{
		{"version", "number", "1", "version of the language"},
		{"name", "name", "the file's name", "name of the pipeline: lower-case letters, digits and _; it cannot be changed later"},
		{"description", "text", "", "for people"},
		{"source", "block", "", "what is read"},
		{"steps", "list", "none", "what happens to the rows"},
		{"sinks", "list", "", "the tables that they become"},
		{"delivery", "block", "", "when a transaction ends, and where the ledger is"},
		{"dead_letter", "block", "", "the table of records that could not become rows"},
		{"retry", "block", "", "how patiently calls are repeated"},
		{"store", "block", "", "how s3:// locations are reached"},
	}}, {Path: "source", Doc: "One source, by its name, and what its records are.", Keys: []Key{
		{"decode", "format", "", "how bytes become columns: " + strings.Join(kinds(c.Formats), " or ") + ", alone or with settings"},
		{"schema", "columns", "", "name: type, one a line; ! behind a type: required"},
		{"metadata", "block", "none", "columns that say where a row came from"},
		{"null_values", "word", "skip", "a record without a value: skip, row or dead_letter"},
		{"max_record_size", "size", "16MiB", "a larger record becomes a dead letter with a digest"},
		{"on_error", "word", "dead_letter", "a record that does not fit: dead_letter, drop or fail"},
		{"on_gap", "word", "halt", "records that are gone before they were read: halt"},
	}}}
	for _, s := range c.Sources {
		sections = append(sections, section("source."+s.Kind, s.New()))
	}
	for _, f := range c.Formats {
		if s := section("source.decode."+f.Kind, f.New()); len(s.Keys) > 0 {
			sections = append(sections, s)
		}
	}
	sections = append(sections, section("source.metadata", &Metadata{}))
	sections = append(sections, Section{Path: "sinks[]", Doc: "One file format, by its name, and where its rows come from.", Keys: []Key{
		{"name", "name", "the format's name", "name of the sink, as metrics and commits call it"},
		{"from", "name", "the last step", "the step whose rows it takes: the step's `as`"},
		{"catalog", "block", "none", "the catalog that the table is registered with"},
	}})
	for _, s := range c.Sinks {
		b := layout{MaxOpen: 10_000}
		b.Roll.Size = 256 << 20
		sections = append(sections, section("sinks[]."+s.Kind, &b, s.New()))
	}
	for _, s := range c.Catalogs {
		sections = append(sections, section("sinks[].catalog."+s.Kind, s.New()))
	}
	d := p.Delivery
	sections = append(sections,
		section("delivery", &deliveryBlock{d.CommitEvery, d.CommitSize, d.Lanes, strings.ReplaceAll(d.Ledger, "/.millrace", "./.millrace"), d.History, d.MaxPending}),
		section("dead_letter", &deadLetterBlock{MaxRatio: share(p.DeadLetter.MaxRatio), RawLimit: p.DeadLetter.RawLimit}),
		section("retry", &retryBlock{p.Retry.Initial, p.Retry.Max, patience(p.Retry.GiveUpAfter)}),
		section("store", &storeBlock{}))
	return sections
}

// Steps lists the transforms with what they take.
func Steps() []Key {
	docs := map[string][2]string{
		"filter":     {"expression", "keeps the rows for which it is true; false and NULL go"},
		"set":        {"{column: expression}", "adds or replaces columns; all expressions see the columns as they came in"},
		"select":     {"[column]", "keeps these columns, in this order"},
		"drop":       {"[column]", "takes columns away"},
		"rename":     {"{old: new}", "gives columns other names"},
		"drop_nulls": {"[column]", "takes away rows in which one of the columns is null, and makes these columns required"},
	}
	var ks []Key
	for _, k := range stepKinds {
		ks = append(ks, Key{Name: k, Type: docs[k][0], Doc: docs[k][1]})
	}
	return ks
}

// section lists the keys of structs by their tags; what they hold are the defaults.
func section(path string, of ...any) Section {
	s := Section{Path: path}
	for _, v := range of {
		rv := reflect.ValueOf(v).Elem()
		if rv.Kind() == reflect.Struct {
			s.Keys = append(s.Keys, keysIn("", rv)...)
		}
	}
	return s
}

func keysIn(prefix string, v reflect.Value) []Key {
	var ks []Key
	t := v.Type()
	for _, f := range fields(t) {
		sf, fv := t.FieldByIndex(f.index), v.FieldByIndex(f.index)
		if fv.Kind() == reflect.Pointer && fv.Type() != nodeType {
			fv = reflect.New(fv.Type().Elem()).Elem() // an optional block
		}
		k := Key{Name: prefix + f.key, Type: typeWord(sf.Type), Doc: oneLine(sf.Tag.Get("doc"))}
		if fv.Kind() == reflect.Struct {
			ks = append(ks, k)
			ks = append(ks, keysIn(k.Name+".", fv)...)
			continue
		}
		if !fv.IsZero() || fv.Kind() == reflect.Bool {
			k.Default = defaultText(fv)
		}
		if fv.Type() == patienceType {
			k.Default = "never"
		}
		ks = append(ks, k)
	}
	return ks
}

func defaultText(v reflect.Value) string {
	if v.Type() == shareType {
		return fmt.Sprintf("%g%%", v.Float()*100)
	}
	return strings.Trim(fmt.Sprint(settingText(v)), `"`)
}

// typeWord is what people call a type.
func typeWord(t reflect.Type) string {
	switch {
	case t == durationType, t == patienceType:
		return "duration"
	case t == bytesType:
		return "size"
	case t == secretType:
		return "secret"
	case t == shareType:
		return "percentage"
	case t == nodeType:
		return "see below"
	case t.Kind() == reflect.Pointer, t.Kind() == reflect.Struct:
		return "block"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "number"
}

// oneLine brings the texts of many authors to one way of writing: a lower-case beginning, no full stop.
func oneLine(s string) string {
	s = strings.TrimSuffix(s, ".")
	r := []rune(s)
	if len(r) > 1 && unicode.IsUpper(r[0]) && !unicode.IsUpper(r[1]) {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// Types are the words of the schema language with what they mean.
func Types() []Key {
	var ks []Key
	for _, t := range []Key{
		{Type: "string", Doc: "UTF-8 text"}, {Type: "bool", Doc: "true or false"},
		{Type: "int32", Doc: "whole numbers of 32 bits"}, {Type: "int64", Doc: "whole numbers of 64 bits"}, {Type: "float64", Doc: "floating point, 64 bits"},
		{Type: "decimal(18,2)", Doc: "exact: 18 digits, 2 of them behind the point; up to 38 digits"},
		{Type: "date", Doc: "a day, `2026-01-31`"}, {Type: "timestamp", Doc: "an instant in UTC, to the microsecond; RFC 3339 in JSON"},
		{Type: "bytes", Doc: "bytes; base64 in JSON"},
	} {
		if _, err := transform.ParseType(t.Type); err == nil {
			ks = append(ks, t)
		}
	}
	return append(ks, Key{Type: "{name: type}", Doc: "a struct"}, Key{Type: "[type]", Doc: "a list"}, Key{Type: "map(string, type)", Doc: "a map"})
}
