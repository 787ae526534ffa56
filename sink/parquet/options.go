package parquet

import (
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/parquet/compress"

	"github.com/millrace/millrace/stream"
)

// Options are the keys of sinks[].parquet that say how a file is encoded.
type Options struct {
	Compression string   `yaml:"compression" doc:"zstd, snappy, lz4_raw or none"`
	RowGroup    RowGroup `yaml:"row_group" doc:"when a row group ends"`
}

// RowGroup bounds a row group; whichever bound is met first ends it.
type RowGroup struct {
	Size stream.Bytes `yaml:"size" doc:"bytes of Arrow columns, before encoding; this much memory is held for an open file at most"`
	Rows int64        `yaml:"rows" doc:"rows; 0: no bound"`
}

// The bounds of what can be asked for. A row group's string column is addressed by 32-bit offsets.
const (
	minRowGroup = 64 << 10
	maxRowGroup = 1 << 30
)

// DefaultOptions are zstd and row groups of 64 MiB: large enough that readers skip well and compress well, small enough
// that one open file does not fill the memory limit.
func DefaultOptions() Options {
	return Options{Compression: "zstd", RowGroup: RowGroup{Size: 64 << 20}}
}

// codec is what a word of the configuration means. Zstd runs at klauspost's fastest level: on generated orders the next
// level's files were not smaller (29.2 bytes a row against 28.6), and it is slower.
type codec struct {
	word  string
	kind  compress.Compression
	level int
}

func codecs() []codec {
	return []codec{
		{"zstd", compress.Codecs.Zstd, 1},
		{"snappy", compress.Codecs.Snappy, compress.DefaultCompressionLevel},
		{"lz4_raw", compress.Codecs.Lz4Raw, compress.DefaultCompressionLevel},
		{"none", compress.Codecs.Uncompressed, compress.DefaultCompressionLevel},
	}
}

func (o Options) codec() (codec, bool) {
	all := codecs()
	i := slices.IndexFunc(all, func(c codec) bool { return c.word == o.Compression })
	if i < 0 {
		return codec{}, false
	}
	return all[i], true
}

// Validate reports everything that is wrong with the options.
func (o Options) Validate() []stream.Fault {
	var faults []stream.Fault
	if _, ok := o.codec(); !ok {
		var words []string
		for _, c := range codecs() {
			words = append(words, c.word)
		}
		faults = append(faults, stream.Fault{Path: "compression", Code: "E5101",
			Text: "unknown compression " + quote(o.Compression), Fix: "write one of " + strings.Join(words, ", ")})
	}
	if o.RowGroup.Size < minRowGroup || o.RowGroup.Size > maxRowGroup {
		faults = append(faults, stream.Fault{Path: "row_group.size", Code: "E5102",
			Text: "a row group of " + o.RowGroup.Size.String() + " is out of bounds", Fix: "write a size from 64KiB to 1GiB; 64MiB suits most tables"})
	}
	if o.RowGroup.Rows < 0 {
		faults = append(faults, stream.Fault{Path: "row_group.rows", Code: "E5103",
			Text: "a row group cannot have fewer than no rows", Fix: "write a number of rows, or leave the key out for no bound"})
	}
	return faults
}

func quote(s string) string { return `"` + s + `"` }
