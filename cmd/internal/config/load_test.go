package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

// TestDefaults pins what holds for keys that are left out.
func TestDefaults(t *testing.T) {
	p := good(t, base)
	if p.Name != "p" || p.Version != 1 {
		t.Errorf("got name %q, version %d", p.Name, p.Version)
	}
	s := p.Source
	if s.NullValues != "skip" || s.MaxRecordSize != 16<<20 || s.OnError != "dead_letter" || s.OnGap != "halt" || s.Kind != "kafka" || s.Decode.Kind != "json" {
		t.Errorf("got source %+v", s)
	}
	want := config.Delivery{CommitEvery: time.Minute, CommitSize: 1 << 30, Ledger: "/data/dir/.millrace/p/ledger/", History: 7 * 24 * time.Hour, MaxPending: 64}
	if p.Delivery != want {
		t.Errorf("got %+v, want %+v", p.Delivery, want)
	}
	if d := p.DeadLetter; d.Location != "/data/dir/.millrace/p/dead_letter/p/" || d.MaxRatio != 0.05 || d.RawLimit != 1<<20 || d.Kind != "parquet" {
		t.Errorf("got %+v", d)
	}
	if p.Retry != (config.Retry{Initial: 500 * time.Millisecond, Max: 30 * time.Second}) {
		t.Errorf("got %+v", p.Retry)
	}
	k := p.Sinks[0]
	if k.Name != "parquet" || k.From != 0 || k.Hidden != nil || k.Catalog != nil || k.Parquet.Location != "/data/dir/t/" || k.Parquet.RollSize != 256<<20 ||
		k.Parquet.Write != "append" || k.Parquet.MaxOpen != 10000 || k.Parquet.PartitionBy != nil {
		t.Errorf("got %+v", k)
	}
	if e := k.Config.(*encoder); e.Compression != "zstd" || e.RowGroup.Size != 64<<20 {
		t.Errorf("got %+v", e)
	}
}

func TestSchema(t *testing.T) {
	p := good(t, base)
	var got []string
	for _, f := range p.Source.Schema.Fields() {
		name := f.Name + " " + transform.TypeName(f.Type)
		if !f.Nullable {
			name += "!"
		}
		got = append(got, name)
	}
	want := []string{"id string!", "amount decimal(18,2)", "qty int32", "ratio float64", "at timestamp", "tags [string]",
		"buyer {id: int64!, name: string}", "props map(string, int64)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

const full = `
version: 1
name: orders
source:
  kafka: {brokers: ${KAFKA_BROKERS}, topics: orders}
  decode: {json: {duplicate_keys: last_wins}}
  schema: {id: string!, amount: "decimal(18,2)!", country: string, at: timestamp!}
  metadata: {topic: _topic, partition: _partition, offset: _offset, key: _key, timestamp: _ts, headers: _headers}
  null_values: dead_letter
  max_record_size: 1MiB
  on_error: drop
steps:
  - filter: amount > 0
    as: positive
  - set: {day: date(at), twice: amount * 2}
  - rename: {country: land}
  - drop: [_headers]
  - drop_nulls: [land]
    as: clean
  - select: [id, land, day, twice, at]
sinks:
  - name: all
    from: positive
    parquet: {location: s3://${LAKE}/all/, partition_by: {order_date: date(at), country: country}}
    catalog: {glue: {database: d, table: all}}
  - name: lands
    parquet: {location: s3://${LAKE}/lands, partition_by: [land, day], roll: {size: 1.5GiB}, compression: snappy, row_group: {rows: 1000}, max_open: 10, write: append}
delivery: {commit_every: 1m30s, commit_size: 10MiB, lanes: 3, ledger: "s3://${LAKE}/_millrace/orders/", history: 2d12h, max_pending: 1}
dead_letter: {max_ratio: 0.5%, raw_limit: 1KiB}
retry: {initial: 1s, max: 1m, give_up_after: 1h}
store: {s3: {endpoint: http://localhost:9000/, region: eu-central-1}}
`

func TestEverything(t *testing.T) {
	p := good(t, full)
	if got := p.Source.Config.(*kafka).Brokers; !slices.Equal(got, []string{"a:9092", "b:9092"}) {
		t.Errorf("got brokers %q", got)
	}
	if p.Source.Decode.Config.(*jsonFormat).DuplicateKeys != "last_wins" || p.Source.NullValues != "dead_letter" || p.Source.MaxRecordSize != 1<<20 || p.Source.OnError != "drop" {
		t.Errorf("got %+v", p.Source)
	}
	if n := p.Source.Declared.NumFields(); n != 4 || p.Source.Schema.NumFields() != 10 {
		t.Errorf("got %d and %d columns", n, p.Source.Schema.NumFields())
	}
	var kinds []string
	for _, s := range p.Steps {
		kinds = append(kinds, s.Kind+" "+s.Name)
		if s.Builder == nil || s.Builder.Kind() != s.Kind || s.Schema == nil || s.Line == 0 {
			t.Errorf("step %s: %+v", s.Kind, s)
		}
	}
	if want := []string{"filter positive", "set ", "rename ", "drop ", "drop_nulls clean", "select "}; !slices.Equal(kinds, want) {
		t.Errorf("got %q, want %q", kinds, want)
	}
	all, lands := p.Sinks[0], p.Sinks[1]
	if all.From != 0 || lands.From != 5 || all.Hidden == nil || lands.Hidden != nil {
		t.Errorf("got %+v, %+v", all, lands)
	}
	if want := []stream.PartitionColumn{{Name: "order_date", Type: "date"}, {Name: "country", Type: "string"}}; !slices.Equal(all.Parquet.PartitionBy, want) {
		t.Errorf("got %+v, want %+v", all.Parquet.PartitionBy, want)
	}
	if !all.Schema.HasField("order_date") || all.Catalog.Config.(*catalog).Table != "all" {
		t.Errorf("got %v", all.Schema)
	}
	if lands.Parquet.Location != "s3://lake/lands/" || lands.Parquet.RollSize != 3<<29 || lands.Parquet.MaxOpen != 10 {
		t.Errorf("got %+v", lands.Parquet)
	}
	d := p.Delivery
	if d.CommitEvery != 90*time.Second || d.CommitSize != 10<<20 || d.Lanes != 3 || d.Ledger != "s3://lake/_millrace/orders/" || d.History != 60*time.Hour || d.MaxPending != 1 {
		t.Errorf("got %+v", d)
	}
	if p.DeadLetter.Location != "s3://lake/_millrace/dead_letter/orders/" || p.DeadLetter.MaxRatio != 0.005 || p.DeadLetter.RawLimit != 1024 {
		t.Errorf("got %+v", p.DeadLetter)
	}
	if p.Retry != (config.Retry{Initial: time.Second, Max: time.Minute, GiveUpAfter: time.Hour}) {
		t.Errorf("got %+v", p.Retry)
	}
	if p.Store.S3 != (stream.StoreRef{Endpoint: "http://localhost:9000", Region: "eu-central-1", PathStyle: true}) {
		t.Errorf("got %+v", p.Store.S3)
	}
}

// TestRaw: a format that always makes the same columns needs no schema.
func TestRaw(t *testing.T) {
	p := good(t, `
source:
  kafka: {brokers: [a:9092], topics: [t]}
  decode: raw
  null_values: row
  metadata: {offset: o}
sinks: [{parquet: {location: ./a/}}]
`)
	if s := p.Source.Schema; s.NumFields() != 2 || s.Field(0).Name != "value" || s.Field(1).Name != "o" {
		t.Errorf("got %v", s)
	}
	if p.Sinks[0].From != -1 {
		t.Errorf("got from %d, want the decoder", p.Sinks[0].From)
	}
}

// TestVariables: values replace variables in scalars of the tree, and are never YAML.
func TestVariables(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret-password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(map[string]string{"A": "x, y: {", "E": "", "SIZE": "7MiB", "N": "12", "B": "true", "DOLLAR": "$HOME ${A}"})
	o.Set = map[string]string{"A": "set"}
	o.EnvFile = map[string]string{"SIZE": "1MiB", "FILE": "from_file"}
	text := strings.Replace(base, "- filter: amount > 0", `- set: {a: "'${A} ${E:-dflt}${E} $$ $x ${DOLLAR}'", b: "${N} + 1"}`, 1)
	text = strings.Replace(text, "location: ./t/", "location: ./${FILE}/${U:-a:b,c}/, roll: {size: ${SIZE}}, max_open: ${N}", 1)
	text = strings.Replace(text, "topics: [orders]", "topics: [orders], sasl: {username: ${A}, password: ${file:"+secret+"}}", 1)
	p, faults := config.LoadText("p.yaml", []byte(text+"description: ${INJECT:-x: y}\nstore: {s3: {path_style: ${B}}}\n"), components(), o)
	if p == nil {
		t.Fatal(faults)
	}
	if got := p.Steps[0].Builder.(transform.Set).Assigns[0].Expr; got != "'set dflt $ $x $HOME ${A}'" {
		t.Errorf("got %q", got)
	}
	if got := p.Sinks[0].Parquet; got.Location != "/data/dir/from_file/a:b,c/" || got.RollSize != 7<<20 || got.MaxOpen != 12 {
		t.Errorf("got %+v", got)
	}
	if k := p.Source.Config.(*kafka); k.SASL.Username != "set" || k.SASL.Password.Reveal() != "s3cret-password" {
		t.Errorf("got %q", k.SASL.Password.Reveal())
	}
	if p.Description != "x: y" || !p.Store.S3.PathStyle {
		t.Errorf("got %q, %+v", p.Description, p.Store)
	}
	if e := p.Effective(); strings.Contains(e, "s3cret") || !strings.Contains(e, "password: \"***\"") {
		t.Errorf("got\n%s", e)
	}
}

// TestSecretsStayHidden puts a secret where every kind of fault could show it.
func TestSecretsStayHidden(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("tops3cret value/with space"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := "${file:" + secret + "}"
	for _, text := range []string{
		change("[a:9092]", file), change("[orders]", "["+file+"]"), change("decode: json", "decode: "+file), change("id: string!", "id: "+file),
		change("amount > 0", file), change("./t/", "s3://"+file), change("./t/", "./t/, roll: {size: "+file+"}, max_open: "+file+", write: "+file),
		base + "name: " + file, base + "version: " + file, base + "delivery: {commit_every: " + file + ", lanes: " + file + "}",
		base + "dead_letter: {max_ratio: " + file + "}", base + "store: {s3: {endpoint: " + file + ", path_style: " + file + "}}", base + "retry: " + file,
		change("./t/}", "./t/, partition_by: ["+file+"]}"), change("./t/}", "./t/}\n    from: "+file), change("decode: json", "decode: json\n  null_values: "+file),
		change("decode: json", "decode: {json: {duplicate_keys: "+file+"}}"),
	} {
		p, faults := load(t, "p.yaml", text)
		if got := faults.Error(); p != nil && strings.Contains(p.Effective(), "tops3cret") || strings.Contains(got, "tops3") || strings.Contains(got, "with space") {
			t.Errorf("the secret is shown:\n%s", got)
		}
	}
}

func TestWarningsComeWithAPipeline(t *testing.T) {
	text := strings.Replace(change("./t/", "s3://lake/t/"), "sinks:", "delivery: {ledger: s3://lake/ledger/, commit_every: 1s}\nsinks:", 1)
	p, faults := load(t, "p.yaml", text)
	if p == nil || len(faults) != 1 || faults.Errors() != 0 || !strings.HasPrefix(faults[0].String(), "warning p.yaml:15:53: commit_every 1s makes about 691,200 files a day") {
		t.Errorf("got %v", faults)
	}
}

func TestBounds(t *testing.T) {
	bad(t, strings.Repeat("#", 1<<20)+"\n"+base, "a pipeline has at most 1048576 [E1011]")
	bad(t, "a: "+strings.Repeat("[", 60)+strings.Repeat("]", 60), "more than 50 levels deep [E1011]")
	bad(t, "a: "+strings.Repeat("[", 20000), "more than 50 levels deep [E1011]")
	f := bad(t, base+strings.Repeat("x: 1\n", 500), "and 400 faults more [E1099]")
	if len(f) != 101 {
		t.Errorf("got %d faults", len(f))
	}
	deep := "s" + strings.Repeat(": {a", 40) + ": string" + strings.Repeat("}", 40)
	bad(t, change("id: string!", deep), "types nest at most 32 deep")
	wide := "\n"
	for i := range 300 {
		wide += "    column_" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + ": string\n"
	}
	for _, f := range bad(t, strings.Replace(change("id: string!", "id: string!"+wide), "amount > 0", "nothing > 0", 1), "more") {
		if len(f.String()) > 1000 {
			t.Errorf("a fault of %d bytes", len(f.String()))
		}
	}
}

// TestHostile: files made to take time take none.
func TestHostile(t *testing.T) {
	const n = 1 << 16
	fill := func(s string) string { return strings.Repeat(s, n/len(s)-10) }
	for name, text := range map[string]string{
		"open variables":  "a: " + fill("${"),
		"unset variables": "a: " + fill("${X}"),
		"escapes":         `a: "` + fill(`\x41`) + `${X}"`,
		"torn map":        "a: {" + fill("a: f(1, 2), ") + "}",
		"torn list":       "a: [" + fill("f(1, 2), ") + "]",
		"traps":           fill("- 'x' = 1\n"),
		"trap lines":      "a:\n" + fill("  b: 'x' = 1\n"),
		"keys":            fill("a: 1\n"),
		"columns":         change("id: string!", "id: string!\n"+fill("    a: x\n")),
		"brackets":        fill("["),
		"braces":          fill("{"),
		"anchors":         "a:\n" + fill(" - &x 1\n"),
		"quotes":          "a: [" + fill("'',") + "]",
		"expression":      change("amount > 0", fill("amount > 0 AND ")+"true"),
		"parentheses":     change("amount > 0", fill("(")),
		"comment":         fill("# ${ password: x "),
		"one long line":   "password: [" + fill("password: xxx, ") + "]",
	} {
		t.Run(name, func(t *testing.T) {
			if p, faults := load(t, "p.yaml", text); p != nil || len(faults) == 0 {
				t.Error("accepted")
			} else {
				_ = faults.Error()
			}
		})
	}
}

// TestLongLines: the line is cut around what it is about.
func TestLongLines(t *testing.T) {
	f := bad(t, change("amount > 0", strings.Repeat("amount > 0 AND ", 40)+"amout > 0 AND "+strings.Repeat("amount > 0 AND ", 40)+"true"), `"amout"`)
	lines := strings.Split(f[0].String(), "\n")
	if len(lines[1]) > 150 {
		t.Errorf("got a line of %d", len(lines[1]))
	}
	at := strings.Index(lines[2], "^^^^^")
	if under := []rune(lines[1])[at : at+5]; string(under) != "amout" {
		t.Errorf("got\n%s\n%s", lines[1], lines[2])
	}
}
