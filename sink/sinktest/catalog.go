package sinktest

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// Catalog is a catalog under test.
type Catalog interface {
	// Ref names a table that does not exist yet, in a database that does not exist yet, at a location of its own, without
	// partitions.
	Ref(t testing.TB) stream.TableRef
	// Open opens a table as another worker would: nothing is shared with other openings but catalog and store.
	Open(t testing.TB, ref stream.TableRef) stream.Table
	// Read is what any client sees of a table; nil: there is none.
	Read(t testing.TB, ref stream.TableRef) *Entry
	// Write creates or replaces a table with its partitions, as any client may.
	Write(t testing.TB, ref stream.TableRef, e Entry)
	// Drop removes a table and its partitions.
	Drop(t testing.TB, ref stream.TableRef)
}

// Entry is a table in a catalog.
type Entry struct {
	Columns    []Column
	Keys       []Column
	Location   string
	Properties map[string]string
	Partitions []Partition
}

// Column is a column's name and its type as Hive writes it.
type Column struct{ Name, Type string }

// Partition is a partition's values, plain, and its folder, escaped.
type Partition struct {
	Values   []string
	Location string
	Columns  []Column // nil: this catalog keeps none for a partition
}

// Owner is the owner that the suite's tables have.
func Owner() stream.Owner {
	return stream.Owner{Pipeline: "orders", Incarnation: "7f3a51c2", Ledger: "/ledgers/orders/"}
}

// Schema has a column of every type.
func Schema() *arrow.Schema {
	str := arrow.BinaryTypes.String
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: str},
		{Name: "paid", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "quantity", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "cents", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "weight", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "amount", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}, Nullable: true},
		{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
		{Name: "created_at", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true},
		{Name: "raw", Type: arrow.BinaryTypes.Binary, Nullable: true},
		{Name: "tags", Type: arrow.ListOf(str), Nullable: true},
		{Name: "attributes", Type: arrow.MapOf(str, arrow.PrimitiveTypes.Int64), Nullable: true},
		{Name: "lines", Type: arrow.ListOf(arrow.StructOf(
			arrow.Field{Name: "sku", Type: str, Nullable: true},
			arrow.Field{Name: "price", Type: &arrow.Decimal128Type{Precision: 12, Scale: 2}, Nullable: true},
		)), Nullable: true},
		{Name: "buyer", Type: arrow.StructOf(
			arrow.Field{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
			arrow.Field{Name: "tags", Type: arrow.ListOf(str), Nullable: true},
		), Nullable: true},
	}, nil)
}

// SchemaColumns are the columns of Schema in a catalog.
func SchemaColumns() []Column {
	return []Column{
		{"order_id", "string"}, {"paid", "boolean"}, {"quantity", "int"}, {"cents", "bigint"}, {"weight", "double"},
		{"amount", "decimal(18,2)"}, {"day", "date"}, {"created_at", "timestamp"}, {"raw", "binary"}, {"tags", "array<string>"},
		{"attributes", "map<string,bigint>"}, {"lines", "array<struct<sku:string,price:decimal(12,2)>>"},
		{"buyer", "struct<id:bigint,tags:array<string>>"},
	}
}

// Columns makes a schema of nullable string columns.
func Columns(names ...string) *arrow.Schema {
	var fs []arrow.Field
	for _, n := range names {
		fs = append(fs, arrow.Field{Name: n, Type: arrow.BinaryTypes.String, Nullable: true})
	}
	return arrow.NewSchema(fs, nil)
}
