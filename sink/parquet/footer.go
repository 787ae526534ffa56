package parquet

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// output counts what goes to w, remembers its first error, which the library would wrap in text only, and keeps the end of
// the file for check.
type output struct {
	w    io.Writer
	n    int64
	err  error
	keep bool
	tail []byte
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.n += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	o.err = err
	if o.keep {
		o.tail = append(o.tail, p[:n]...)
	}
	return n, err
}

// cause is the writer's own error if there was one, else err.
func (o *output) cause(err error) error {
	if o.err != nil {
		return o.err
	}
	return err
}

const magic = "PAR1"

// check reads the footer back from the bytes just written (W2) and compares it with what was encoded.
func (e *Encoder) check() error {
	t := e.out.tail
	if len(t) < 8 || string(t[len(t)-4:]) != magic {
		return fmt.Errorf("parquet: the file does not end as a Parquet file does")
	}
	size := int(binary.LittleEndian.Uint32(t[len(t)-8:]))
	if size > len(t)-8 {
		return fmt.Errorf("parquet: footer of %d bytes in %d written", size, len(t)-8)
	}
	m, err := metadata.NewFileMetaData(t[len(t)-8-size:len(t)-8], nil)
	if err != nil {
		return fmt.Errorf("parquet: footer cannot be read back: %w", err)
	}
	if m.NumRows != e.rows || len(m.RowGroups) != e.groups || m.NumColumns() != len(e.layout.leaves) {
		return fmt.Errorf("parquet: footer tells of %d rows, %d row groups and %d columns, written were %d, %d and %d",
			m.NumRows, len(m.RowGroups), m.NumColumns(), e.rows, e.groups, len(e.layout.leaves))
	}
	for i, g := range m.RowGroups {
		for j, c := range g.Columns {
			end := c.MetaData.DataPageOffset + c.MetaData.TotalCompressedSize
			if d := c.MetaData.DictionaryPageOffset; d != nil {
				end = *d + c.MetaData.TotalCompressedSize
			}
			if end > e.out.n-int64(size)-8 {
				return fmt.Errorf("parquet: column %d of row group %d ends at %d, beyond the data", j, i, end)
			}
		}
	}
	return nil
}
