package decode

import (
	"fmt"

	"github.com/millrace/millrace/stream"
)

// Policies for null values.
const (
	Skip       = "skip"
	AsRow      = "row"
	DeadLetter = "dead_letter"
)

// Options are the settings that hold for every format.
type Options struct {
	NullValues    string       `yaml:"null_values" doc:"What becomes of a record whose value is null: skip (and count), row (all columns null) or dead_letter."`
	MaxRecordSize stream.Bytes `yaml:"max_record_size" doc:"Key, value and headers of a record together; a larger one becomes a dead letter."`
	Metadata      Metadata     `yaml:"metadata" doc:"Names of columns that say where a record came from; empty: no such column."`
	Metrics       *Metrics     `yaml:"-"` // may be nil
}

// Metadata names the columns that say where a record came from. They follow the schema's, in this order.
type Metadata struct {
	Topic     string `yaml:"topic" doc:"Column for the topic, string."`
	Partition string `yaml:"partition" doc:"Column for the number of the partition, int32."`
	Offset    string `yaml:"offset" doc:"Column for the offset, int64."`
	Key       string `yaml:"key" doc:"Column for the record's key, bytes, null if there is none."`
	Timestamp string `yaml:"timestamp" doc:"Column for the record's timestamp, null if it has none."`
	Headers   string `yaml:"headers" doc:"Column for the record's headers, a list of {key: string, value: bytes}."`
}

const (
	// defaultMaxRecord is 16 times the broker's default limit of 1 MiB.
	defaultMaxRecord = 16 << 20
	// largestMaxRecord keeps the int32 offsets of a column safe: a batch stops at 64 MiB, so the worst is that and one
	// more record each byte of which became a replacement character of 3: 64 MiB + 3·256 MiB < 2 GiB.
	largestMaxRecord = 256 << 20
	// maxHeaders is far above what anybody sends on purpose.
	maxHeaders = 4096
)

// DefaultOptions skip null values, take records up to 16 MiB and add no metadata columns.
func DefaultOptions() Options {
	return Options{NullValues: Skip, MaxRecordSize: defaultMaxRecord}
}

// Validate reports everything that is wrong with the options.
func (o Options) Validate() []stream.Fault {
	var fs []stream.Fault
	switch o.NullValues {
	case Skip, AsRow, DeadLetter:
	default:
		fs = append(fs, stream.Fault{
			Path: "null_values", Code: "E1201",
			Text: fmt.Sprintf("%q is no policy for null values", o.NullValues), Fix: "write skip, row or dead_letter",
		})
	}
	if o.MaxRecordSize < 1 || o.MaxRecordSize > largestMaxRecord {
		fs = append(fs, stream.Fault{
			Path: "max_record_size", Code: "E1202",
			Text: fmt.Sprintf("%s is not between 1B and %s", o.MaxRecordSize, stream.Bytes(largestMaxRecord)),
			Fix:  "write a size like 16MiB",
		})
	}
	return fs
}
