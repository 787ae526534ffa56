package config_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/stream"
)

// The components of these tests. Adding one to a program is one line in a list like this.
func components() config.Components {
	return config.Components{
		Sources: []config.Component{{Kind: "kafka", New: func() any { return &kafka{StartAt: "earliest"} }}},
		Formats: []config.Component{
			{Kind: "json", New: func() any { return &jsonFormat{DuplicateKeys: "dead_letter"} }},
			{Kind: "raw", New: func() any { return &struct{}{} }, Columns: rawColumns(), Accept: acceptRaw},
		},
		Sinks: []config.Component{{Kind: "parquet", New: func() any { return &encoder{Compression: "zstd", RowGroup: rowGroup{Size: 64 << 20}} }}},
		Catalogs: []config.Component{
			{Kind: "glue", New: func() any { return &catalog{OnSchemaChange: "add_columns"} }},
			{Kind: "local", New: func() any { return &catalog{OnSchemaChange: "add_columns"} }},
		},
	}
}

type kafka struct {
	Brokers []string `yaml:"brokers"`
	Topics  []string `yaml:"topics"`
	StartAt string   `yaml:"start_at"`
	Rack    string   `yaml:"rack" plan:"-"`
	TLS     *struct {
		CA string `yaml:"ca"`
	} `yaml:"tls"`
	SASL *struct {
		Username string        `yaml:"username"`
		Password stream.Secret `yaml:"password"`
	} `yaml:"sasl"`
}

func (k *kafka) Validate() []stream.Fault {
	var fs []stream.Fault
	if len(k.Brokers) == 0 {
		fs = append(fs, stream.Fault{Path: "brokers", Code: "E3101", Text: "no brokers are given", Fix: "brokers: [localhost:9092]"})
	}
	for i, t := range k.Topics {
		if strings.ContainsAny(t, " /") {
			fs = append(fs, stream.Fault{Path: "topics[" + string(rune('0'+i)) + "]", Code: "E3105", Text: `"` + t + `" is not a topic's name`})
		}
	}
	if k.SASL != nil && k.SASL.Password == "" {
		fs = append(fs, stream.Fault{Path: "sasl.password", Code: "E3112", Text: "plain needs a password"})
	}
	return fs
}

type jsonFormat struct {
	DuplicateKeys string `yaml:"duplicate_keys"`
}

func (j *jsonFormat) Validate() []stream.Fault {
	if j.DuplicateKeys != "dead_letter" && j.DuplicateKeys != "last_wins" {
		return []stream.Fault{{Path: "duplicate_keys", Text: `"` + j.DuplicateKeys + `" is no policy`, Fix: "write dead_letter or last_wins"}}
	}
	return nil
}

type rowGroup struct {
	Size stream.Bytes `yaml:"size"`
	Rows int64        `yaml:"rows"`
}

type encoder struct {
	Compression string   `yaml:"compression"`
	RowGroup    rowGroup `yaml:"row_group"`
}

type catalog struct {
	Path           string `yaml:"path"`
	Database       string `yaml:"database"`
	Table          string `yaml:"table"`
	Endpoint       string `yaml:"endpoint"`
	OnSchemaChange string `yaml:"on_schema_change"`
}

func (c *catalog) Validate() []stream.Fault {
	if c.Table == "" {
		return []stream.Fault{{Path: "table", Code: "E1601", Text: "the catalog needs a table", Fix: "table: orders"}}
	}
	return nil
}

func rawColumns() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true}}, nil)
}

func acceptRaw(_ any, s *arrow.Schema) error {
	if s.NumFields() == 1 && s.Field(0).Type.ID() == arrow.BINARY {
		return nil
	}
	return stream.WithNext(errors.New("raw: the schema is not one column of bytes"), "leave the schema out")
}

// options are those of a world in which only the variables of vars are set.
func options(vars map[string]string) config.Options {
	return config.Options{Dir: "/data/dir", Env: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
}

var world = map[string]string{"LAKE": "lake", "KAFKA_BROKERS": "a:9092, b:9092", "EMPTY": "", "INJECT": "x\nsinks: []", "TEN": "10", "YES": "true"}

func load(t *testing.T, name, text string) (*config.Pipeline, config.Faults) {
	t.Helper()
	return config.LoadText(name, []byte(text), components(), options(world))
}

// base is a pipeline without a fault, for tests that change one line of it.
const base = `source:
  kafka: {brokers: [a:9092], topics: [orders]}
  decode: json
  schema:
    id: string!
    amount: decimal(18,2)
    qty: int32
    ratio: float64
    at: timestamp
    tags: [string]
    buyer: {id: int64!, name: string}
    props: map(string, int64)
steps:
  - filter: amount > 0
sinks:
  - parquet: {location: ./t/}
`

func good(t *testing.T, text string) *config.Pipeline {
	t.Helper()
	p, faults := load(t, "p.yaml", text)
	if p == nil || len(faults) > 0 {
		t.Fatalf("got faults:\n%s", faults.Error())
	}
	return p
}

// bad loads text and wants each of the parts in the faults.
func bad(t *testing.T, text string, parts ...string) config.Faults {
	t.Helper()
	p, faults := load(t, "p.yaml", text)
	if p != nil || faults.Errors() == 0 {
		t.Fatalf("no error in\n%s", text)
	}
	for _, part := range parts {
		if !strings.Contains(faults.Error(), part) {
			t.Errorf("got\n%s\nwant %s", faults.Error(), part)
		}
	}
	return faults
}

func change(from, to string) string { return strings.Replace(base, from, to, 1) }

func TestQuickstart(t *testing.T) {
	for _, name := range []string{"../../../deploy/quickstart/orders.yaml", "../../../deploy/examples/kafka-to-s3-glue.yaml", "../../../deploy/examples/kafka-raw.yaml"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			vars := map[string]string{"KAFKA_BROKERS": "k:9092", "LAKE": "lake", "TOPICS": "a,b"}
			p, faults := config.Load(name, components(), options(vars))
			if p == nil || len(faults) > 0 {
				t.Fatal(faults.Error())
			}
		})
	}
}
