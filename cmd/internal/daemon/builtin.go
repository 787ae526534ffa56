package daemon

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/sink/parquet"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/json"
	"github.com/millrace/millrace/stream/decode/raw"
	"github.com/millrace/millrace/stream/kafka"
)

// Everything that a configuration may name is in the four lists below, one line each: the word for it, its configuration with
// defaults, and what makes it.

type source struct {
	config.Component
	open func(p *pipeline, c any) (input, error)
}

type format struct {
	config.Component
	open func(c any, s *arrow.Schema) (decode.Row, error)
}

type files struct {
	config.Component
	open func(c any) (func(*arrow.Schema, io.Writer) (stream.Encoder, error), error)
}

type catalog struct {
	config.Component
	ref func(c any) stream.CatalogRef
}

func sources() []source {
	return []source{
		{config.Component{Kind: "kafka", New: with(kafka.DefaultConfig)}, openKafka},
	}
}

func formats() []format {
	return []format{
		{config.Component{Kind: "json", New: with(json.DefaultConfig)}, func(c any, s *arrow.Schema) (decode.Row, error) { return json.New(*c.(*json.Config), s) }},
		{config.Component{Kind: "raw", New: with(raw.DefaultConfig), Columns: raw.Schema()}, func(c any, s *arrow.Schema) (decode.Row, error) { return raw.New(*c.(*raw.Config), s) }},
	}
}

func sinks() []files {
	return []files{
		{config.Component{Kind: "parquet", New: with(parquet.DefaultOptions)}, openParquet},
	}
}

func catalogs() []catalog {
	return []catalog{
		{config.Component{Kind: "glue", New: with(defaultGlue)}, func(c any) stream.CatalogRef { return c.(*glueConfig).ref() }},
		{config.Component{Kind: "local", New: with(defaultLocal)}, func(c any) stream.CatalogRef { return c.(*localConfig).ref() }},
	}
}

// Components is the list as a value, for whoever checks configurations.
func Components() config.Components {
	var c config.Components
	for _, s := range sources() {
		c.Sources = append(c.Sources, s.Component)
	}
	for _, f := range formats() {
		f.Accept = func(c any, s *arrow.Schema) error {
			_, err := f.open(c, s)
			return err
		}
		c.Formats = append(c.Formats, f.Component)
	}
	for _, s := range sinks() {
		c.Sinks = append(c.Sinks, s.Component)
	}
	for _, s := range catalogs() {
		c.Catalogs = append(c.Catalogs, s.Component)
	}
	return c
}

// with makes a constructor of pointers from one of values.
func with[T any](defaults func() T) func() any {
	return func() any {
		c := defaults()
		return &c
	}
}

// find is the entry of a kind that the configuration has checked to be there.
func find[T any](list []T, kind string, of func(T) string) (T, error) {
	for _, e := range list {
		if of(e) == kind {
			return e, nil
		}
	}
	var none T
	return none, fmt.Errorf("component %q is not in this binary: %w", kind, stream.ErrPermanent)
}

func openParquet(c any) (func(*arrow.Schema, io.Writer) (stream.Encoder, error), error) {
	f, err := parquet.NewFormat(*c.(*parquet.Options))
	if err != nil {
		return nil, err
	}
	return f.NewEncoder, nil
}
