package raw

import (
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
)

var _ decode.Row = (*row)(nil)

type row struct {
	schema *arrow.Schema
	text   bool
	fault  decode.Fault
}

// Config is empty: there is nothing to choose.
type Config struct{}

// DefaultConfig is the only one.
func DefaultConfig() Config { return Config{} }

// Validate finds nothing.
func (Config) Validate() []stream.Fault { return nil }

// Schema is what New takes when the configuration names no columns: value, of bytes.
func Schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true}}, nil)
}

// New makes a decoder into the one column of schema, which is of bytes or string; nil means Schema(). A string column
// takes valid UTF-8 only. An empty value is an empty value.
func New(_ Config, schema *arrow.Schema) (decode.Row, error) {
	if schema == nil {
		schema = Schema()
	}
	if schema.NumFields() == 1 {
		switch schema.Field(0).Type.(type) {
		case *arrow.BinaryType:
			return &row{schema: schema}, nil
		case *arrow.StringType:
			return &row{schema: schema, text: true}, nil
		}
	}
	return nil, stream.WithNext(fmt.Errorf("raw: the schema is not one column of bytes or string: %w", stream.ErrPermanent),
		"write `schema: {value: bytes}`, or leave the schema out; topic, offset and so on are metadata columns")
}

func (r *row) Schema() *arrow.Schema { return r.schema }

// Append implements decode.Row.
func (r *row) Append(value []byte, cols []*stream.Vec) (decode.Notes, *decode.Fault) {
	if r.text && !utf8.Valid(value) {
		name := r.schema.Field(0).Name
		r.fault = decode.Fault{Column: name, Code: decode.BadUTF8, Reason: fmt.Sprintf("column %q: the value is not UTF-8; declare the column as bytes to keep it", name)}
		return 0, &r.fault
	}
	cols[0].AppendBytes(value)
	return 0, nil
}
