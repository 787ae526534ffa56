package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

// entry is one key of what a pipeline means, with every default written out. It is rendered for people and hashed for the
// ledger. Empty values are left out.
type entry struct {
	key   string
	value any  // string, flow, []entry or [][]entry
	hash  bool // takes part in the hash
}

// Hash is the plan's hash: equal for two files that mean the same. Comments, the order of keys, ways of writing a value,
// the description and secrets do not count; the order of columns and of steps does.
func (p *Pipeline) Hash() string {
	var b strings.Builder
	b.WriteString("millrace plan 1\n")
	render(&b, p.entries(), 0, true, nil)
	sum := sha256.Sum256([]byte(clean(b.String(), p.hidden)))
	return hex.EncodeToString(sum[:])
}

// Effective is the pipeline as YAML with every default written out and every secret as ***.
func (p *Pipeline) Effective() string {
	var b strings.Builder
	render(&b, p.entries(), 0, false, p.hidden)
	return b.String()
}

func (p *Pipeline) entries() []entry {
	s := &p.Source
	source := []entry{{s.Kind, configEntries(s.Config), true}}
	if es := configEntries(s.Decode.Config); len(es) > 0 {
		source = append(source, entry{"decode", []entry{{s.Decode.Kind, es, true}}, true})
	} else {
		source = append(source, entry{"decode", s.Decode.Kind, true})
	}
	source = append(source, entry{"schema", columnEntries(s.Declared), true}, entry{"metadata", configEntries(&s.Metadata), true},
		entry{"null_values", s.NullValues, true}, entry{"max_record_size", s.MaxRecordSize.String(), true},
		entry{"on_error", s.OnError, true}, entry{"on_gap", s.OnGap, true})
	var steps, sinks [][]entry
	for i := range p.Steps {
		st := []entry{{p.Steps[i].Kind, p.Steps[i].text, true}}
		if p.Steps[i].Name != "" {
			st = append(st, entry{"as", p.Steps[i].Name, true})
		}
		steps = append(steps, st)
	}
	for i := range p.Sinks {
		sinks = append(sinks, p.sinkEntries(&p.Sinks[i]))
	}
	d := p.Delivery
	lanes := ""
	if d.Lanes > 0 {
		lanes = fmt.Sprint(d.Lanes)
	}
	give := "never"
	if p.Retry.GiveUpAfter > 0 {
		give = human(p.Retry.GiveUpAfter)
	}
	return []entry{
		{"version", number(p.Version), true}, {"name", p.Name, true}, {"description", p.Description, false},
		{"source", source, true}, {"steps", steps, true}, {"sinks", sinks, true},
		{"delivery", []entry{
			{"commit_every", human(d.CommitEvery), true}, {"commit_size", d.CommitSize.String(), true}, {"lanes", flow(lanes), true},
			{"ledger", d.Ledger, true}, {"history", human(d.History), true}, {"max_pending", number(d.MaxPending), true},
		}, true},
		{"dead_letter", []entry{
			{p.DeadLetter.Kind, append([]entry{{"location", p.DeadLetter.Location, true}}, configEntries(p.DeadLetter.Config)...), true},
			{"max_ratio", fmt.Sprintf("%g%%", p.DeadLetter.MaxRatio*100), true}, {"raw_limit", p.DeadLetter.RawLimit.String(), true},
		}, true},
		{"retry", []entry{{"initial", human(p.Retry.Initial), true}, {"max", human(p.Retry.Max), true}, {"give_up_after", give, true}}, true},
		{"store", []entry{{"s3", []entry{
			{"endpoint", p.Store.S3.Endpoint, true}, {"path_style", flow(fmt.Sprint(p.Store.S3.PathStyle)), true}, {"region", p.Store.S3.Region, true},
		}, true}}, true},
	}
}

func (p *Pipeline) sinkEntries(s *Sink) []entry {
	from := "" // the last step, as a step without a name cannot be named
	if s.From >= 0 && s.From < len(p.Steps) {
		from = p.Steps[s.From].Name
	}
	body := append([]entry{{"location", s.Parquet.Location, true}, {"partition_by", s.partition, true},
		{"roll", []entry{{"size", s.Parquet.RollSize.String(), true}}, true},
		{"write", s.Parquet.Write, true}, {"max_open", number(s.Parquet.MaxOpen), true}}, configEntries(s.Config)...)
	es := []entry{{"name", s.Name, true}, {"from", from, true}, {s.Kind, body, true}}
	if s.Catalog != nil {
		es = append(es, entry{"catalog", []entry{{s.Catalog.Kind, configEntries(s.Catalog.Config), true}}, true})
	}
	return es
}

func number(n int) flow { return flow(fmt.Sprint(n)) }

func columnEntries(s *arrow.Schema) []entry {
	var es []entry
	if s == nil {
		return nil
	}
	for _, f := range s.Fields() {
		t := transform.TypeName(f.Type)
		if !f.Nullable {
			t += "!"
		}
		es = append(es, entry{f.Name, t, true})
	}
	return es
}

// configEntries lists a component's settings in the order of its struct. Secrets take no part in the hash: a new password
// is no new plan.
func configEntries(conf any) []entry {
	v := reflect.ValueOf(conf)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil
	}
	var es []entry
	for _, f := range fields(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if fv.Kind() == reflect.Pointer && fv.IsNil() {
			continue
		}
		es = append(es, entry{f.key, settingText(fv), f.hash && fv.Type() != secretType})
	}
	return es
}

func settingText(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return human(x)
	case stream.Secret:
		if x == "" {
			return ""
		}
		return hidden
	case fmt.Stringer:
		return x.String()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Int32, reflect.Float64:
		return flow(fmt.Sprint(v.Interface()))
	case reflect.Pointer:
		return settingText(v.Elem())
	case reflect.Struct:
		return configEntries(v.Interface())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct {
			var list [][]entry
			for i := range v.Len() {
				list = append(list, configEntries(v.Index(i).Interface()))
			}
			return list
		}
		var items []string
		for i := range v.Len() {
			items = append(items, yamlText(fmt.Sprint(settingText(v.Index(i)))))
		}
		if len(items) == 0 {
			return ""
		}
		return flow("[" + strings.Join(items, ", ") + "]")
	case reflect.Map:
		var es []entry
		for _, k := range v.MapKeys() {
			es = append(es, entry{k.String(), settingText(v.MapIndex(k)), true})
		}
		sortEntries(es)
		return es
	}
	return fmt.Sprint(v.Interface())
}
