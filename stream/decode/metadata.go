package decode

import (
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// HeadersType is the type of the headers column.
func HeadersType() arrow.DataType {
	return arrow.ListOf(arrow.StructOf(
		arrow.Field{Name: "key", Type: arrow.BinaryTypes.String, Nullable: true},
		arrow.Field{Name: "value", Type: arrow.BinaryTypes.Binary, Nullable: true}))
}

// metaColumn is a metadata column: its field, and how a record fills it.
type metaColumn struct {
	field  arrow.Field
	append func(v *stream.Vec, raw *stream.RawBatch, r *stream.Record) *Fault
}

func (m Metadata) columns() []metaColumn {
	all := []struct {
		name   string
		typ    arrow.DataType
		append func(*stream.Vec, *stream.RawBatch, *stream.Record) *Fault
	}{
		{m.Topic, arrow.BinaryTypes.String, func(v *stream.Vec, raw *stream.RawBatch, _ *stream.Record) *Fault {
			v.AppendString(raw.Topic)
			return nil
		}},
		{m.Partition, arrow.PrimitiveTypes.Int32, func(v *stream.Vec, raw *stream.RawBatch, _ *stream.Record) *Fault {
			v.AppendI32(raw.Number)
			return nil
		}},
		{m.Offset, arrow.PrimitiveTypes.Int64, func(v *stream.Vec, _ *stream.RawBatch, r *stream.Record) *Fault {
			v.AppendI64(r.Offset)
			return nil
		}},
		{m.Key, arrow.BinaryTypes.Binary, func(v *stream.Vec, _ *stream.RawBatch, r *stream.Record) *Fault {
			appendMaybe(v, r.Key)
			return nil
		}},
		{m.Timestamp, arrow.FixedWidthTypes.Timestamp_us, func(v *stream.Vec, _ *stream.RawBatch, r *stream.Record) *Fault {
			return appendTime(v, m.Timestamp, r.Timestamp)
		}},
		{m.Headers, HeadersType(), func(v *stream.Vec, _ *stream.RawBatch, r *stream.Record) *Fault {
			return appendHeaders(v, m.Headers, r.Headers)
		}},
	}
	var cols []metaColumn
	for _, c := range all {
		if c.name != "" {
			cols = append(cols, metaColumn{arrow.Field{Name: c.name, Type: c.typ, Nullable: true}, c.append})
		}
	}
	return cols
}

// appendMaybe keeps apart what is null and what is empty.
func appendMaybe(v *stream.Vec, b []byte) {
	if b == nil {
		v.AppendNull()
		return
	}
	v.AppendBytes(b)
}

const (
	firstTime stream.Micros = -62135596800_000_000 // 0001-01-01T00:00:00Z
	lastTime  stream.Micros = 253402300799_999_999 // 9999-12-31T23:59:59.999999Z
)

// appendTime refuses what lies outside the years that SQL can write, as decoders do with columns of their own.
func appendTime(v *stream.Vec, column string, at stream.Micros) *Fault {
	switch {
	case at == stream.NoTime:
		v.AppendNull()
	case at < firstTime || at > lastTime:
		return &Fault{column, BadTimestamp, fmt.Sprintf("column %q: the record's timestamp, %d ms after 1970, is not in the years 0001 to 9999", column, at/1000)}
	default:
		v.AppendI64(int64(at))
	}
	return nil
}

func appendHeaders(v *stream.Vec, column string, hs []stream.Header) *Fault {
	pair := v.Kids[0]
	for i := range hs {
		if !utf8.ValidString(hs[i].Key) {
			return &Fault{column, BadUTF8, fmt.Sprintf("column %q: the key of header %d is not UTF-8: %.64q", column, i, hs[i].Key)}
		}
		pair.Kids[0].AppendString(hs[i].Key)
		appendMaybe(pair.Kids[1], hs[i].Value)
		pair.EndRow()
	}
	v.EndRow()
	return nil
}
