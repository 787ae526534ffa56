package daemon

import (
	"path/filepath"

	"github.com/millrace/millrace/stream"
)

// tableConfig is what every catalog is told of a table.
type tableConfig struct {
	Database       string `yaml:"database" doc:"Database in the catalog; created if it is not there."`
	Table          string `yaml:"table" doc:"Name of the table in it."`
	OnSchemaChange string `yaml:"on_schema_change" doc:"When the pipeline's columns are not the table's: fail, or add_columns."`
}

func (t *tableConfig) validate() []stream.Fault {
	var fs []stream.Fault
	if t.Database == "" {
		fs = append(fs, stream.Fault{Path: "database", Code: "E1601", Text: "the catalog needs a database", Fix: "database: sales"})
	}
	if t.Table == "" {
		fs = append(fs, stream.Fault{Path: "table", Code: "E1601", Text: "the catalog needs a table", Fix: "table: orders"})
	}
	switch t.OnSchemaChange {
	case "fail", "add_columns":
	case "evolve":
		fs = append(fs, stream.Fault{Path: "on_schema_change", Code: "E1602", Text: "evolve is not yet known in this version", Fix: "write fail or add_columns"})
	default:
		fs = append(fs, stream.Fault{Path: "on_schema_change", Code: "E1602", Text: "there is no policy \"" + t.OnSchemaChange + "\"", Fix: "write fail or add_columns"})
	}
	return fs
}

type glueConfig struct {
	Database       string `yaml:"database" doc:"Database in the Glue catalog; created if it is not there."`
	Table          string `yaml:"table" doc:"Name of the table in it."`
	Endpoint       string `yaml:"endpoint" doc:"Address of a service that speaks Glue's API; empty: AWS."`
	Region         string `yaml:"region" doc:"Region of the catalog; empty: from the environment."`
	OnSchemaChange string `yaml:"on_schema_change" doc:"When the pipeline's columns are not the table's: fail, or add_columns."`
}

func defaultGlue() glueConfig { return glueConfig{OnSchemaChange: "add_columns"} }

// Validate reports everything that is wrong.
func (c *glueConfig) Validate() []stream.Fault {
	return (&tableConfig{c.Database, c.Table, c.OnSchemaChange}).validate()
}

func (c *glueConfig) ref() stream.CatalogRef {
	return stream.CatalogRef{Kind: "glue", Database: c.Database, Table: c.Table, Endpoint: c.Endpoint, Region: c.Region, OnSchemaChange: c.OnSchemaChange}
}

type localConfig struct {
	Path           string `yaml:"path" doc:"Folder of the catalog's files."`
	Database       string `yaml:"database" doc:"Database in the catalog; created if it is not there."`
	Table          string `yaml:"table" doc:"Name of the table in it."`
	OnSchemaChange string `yaml:"on_schema_change" doc:"When the pipeline's columns are not the table's: fail, or add_columns."`
}

func defaultLocal() localConfig { return localConfig{OnSchemaChange: "add_columns"} }

// Validate reports everything that is wrong.
func (c *localConfig) Validate() []stream.Fault {
	fs := (&tableConfig{c.Database, c.Table, c.OnSchemaChange}).validate()
	if c.Path == "" {
		fs = append(fs, stream.Fault{Path: "path", Code: "E1601", Text: "the local catalog needs a folder", Fix: "path: ./catalog"})
	}
	return fs
}

func (c *localConfig) ref() stream.CatalogRef {
	path := c.Path
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return stream.CatalogRef{Kind: "local", Database: c.Database, Table: c.Table, Path: path, OnSchemaChange: c.OnSchemaChange}
}
