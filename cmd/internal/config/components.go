package config

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

// Component is one source, format, sink or catalog: the word that names it in a file, and its configuration.
//
// New returns a pointer to a configuration struct that holds the defaults. Its fields carry `yaml:"key"` tags and are
// filled from the file; a field without a tag, or with "-", is the program's own. If it has a method
// Validate() []stream.Fault, that is asked once the struct is filled.
//
// A field that differs between workers of one pipeline, such as a rack, is tagged `plan:"-"`: it takes no part in Hash.
type Component struct {
	Kind string
	New  func() any
	// Columns, of a format only: what it makes of a record when `schema` is left out; nil: `schema` is required.
	Columns *arrow.Schema
	// Accept, of a format only, may refuse columns that it cannot make; nil: it makes any. conf is what New returned.
	Accept func(conf any, columns *arrow.Schema) error
}

// Components is everything that a file may name. Adding a component is adding one line to one of the lists.
type Components struct {
	Sources  []Component
	Formats  []Component // of records: `decode`
	Sinks    []Component // of files: `parquet`
	Catalogs []Component

	// Functions are what expressions can call; nil: transform.Builtins().
	Functions *transform.Registry
}

// validator is what a component's configuration may have.
type validator interface{ Validate() []stream.Fault }

// Chosen is a component that a file named, with its filled configuration: what New returned.
type Chosen struct {
	Kind   string
	Config any
}

func kinds(cs []Component) []string {
	var names []string
	for _, c := range cs {
		names = append(names, c.Kind)
	}
	return names
}
