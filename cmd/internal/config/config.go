package config

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform"
)

// Pipeline is one file, typed and checked.
type Pipeline struct {
	File        string
	Name        string
	Version     int
	Description string
	Source      Source
	Steps       []Step
	Sinks       []Sink
	Delivery    Delivery
	DeadLetter  DeadLetter
	Retry       Retry
	Store       Store

	hidden []string // values that came from secret files or stand under secret keys
}

// Source is what is read, and what becomes of a record that does not fit.
type Source struct {
	Chosen
	Decode        Chosen
	Declared      *arrow.Schema // `schema`, without metadata columns; of a format that takes none: its own columns
	Schema        *arrow.Schema // what the decoder makes: Declared and the metadata columns
	Metadata      Metadata
	NullValues    string // skip | row | dead_letter
	MaxRecordSize stream.Bytes
	OnError       string // dead_letter | drop | fail
	OnGap         string // halt
}

// Metadata names the columns that say where a record came from; empty: no such column.
type Metadata struct {
	Topic     string `yaml:"topic" doc:"Column for the topic, string."`
	Partition string `yaml:"partition" doc:"Column for the number of the partition, int32."`
	Offset    string `yaml:"offset" doc:"Column for the offset, int64."`
	Key       string `yaml:"key" doc:"Column for the record's key, bytes."`
	Timestamp string `yaml:"timestamp" doc:"Column for the record's timestamp, null if it has none."`
	Headers   string `yaml:"headers" doc:"Column for the record's headers, a list of {key, value}."`
}

// Step is one transform. Its transform.Builder makes one stream.Step a lane.
type Step struct {
	Name    string // its `as`; empty: none
	Kind    string // filter, set, …
	Line    int
	Builder transform.Builder
	Schema  *arrow.Schema // of what leaves it

	text any // its arguments, for Effective
}

// Sink is one table.
type Sink struct {
	Name    string
	Chosen                    // the file format: its kind, and the settings of the encoder
	From    int               // index of the step whose output it takes; -1: the decoder's
	Parquet Parquet           // where and how files are laid out
	Hidden  transform.Builder // computes partition columns before the sink; nil: none is computed
	Schema  *arrow.Schema     // of the table, partition columns included
	Catalog *Chosen           // nil: registered nowhere

	partition any // its argument, for Effective
}

// Parquet says where a table's files go. Location is canonical: s3://bucket/prefix/ or /absolute/folder/.
type Parquet struct {
	Location    string
	PartitionBy []stream.PartitionColumn
	RollSize    stream.Bytes
	Write       string // append
	MaxOpen     int
}

// Delivery says when a transaction ends and where the ledger is.
type Delivery struct {
	CommitEvery time.Duration
	CommitSize  stream.Bytes
	Lanes       int // 0: max(1, min(source partitions, 8))
	Ledger      string
	History     time.Duration
	MaxPending  int
}

// DeadLetter is the table of records that could not become rows.
type DeadLetter struct {
	Chosen
	Location string
	MaxRatio float64 // of 1, over 10 minutes; above it the pipeline halts
	RawLimit stream.Bytes
}

// Retry is how long the lane waits between tries, and when it gives up.
type Retry struct {
	Initial     time.Duration
	Max         time.Duration
	GiveUpAfter time.Duration // 0: never
}

// Store is how object stores are reached; every s3:// location of the file uses it.
type Store struct {
	S3 stream.StoreRef
}

// Remote tells whether a location is in an object store.
func Remote(location string) bool { return len(location) > 5 && location[:5] == "s3://" }
