package sink

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

// DefaultPartition is the folder value of null and of the empty string, as Hive names it.
const DefaultPartition = "__HIVE_DEFAULT_PARTITION__"

// escaped is Hive's set (FileUtils.charToEscape), and NUL, which no file system takes.
const escaped = "\"#%'*/:=?\\{[]^\x7f"

// Escape is a partition column's name or value as it stands in a folder's name: as Hive and Spark write it.
func Escape(s string) string {
	i := 0
	for i < len(s) && !mustEscape(s[i]) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if mustEscape(s[i]) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func mustEscape(c byte) bool { return c < ' ' || strings.IndexByte(escaped, c) >= 0 }

// Folder is the path of a table partition below the table's location, without a slash at its end; "" for a table without
// partitions.
func Folder(values []stream.PartitionValue) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(folder(v))
	}
	return b.String()
}

func folder(v stream.PartitionValue) string {
	value := DefaultPartition
	if !v.Null {
		value = Escape(v.Value)
	}
	return Escape(v.Column) + "=" + value
}

// partColumn is a partition column of the batches of a sink.
type partColumn struct {
	name string
	col  int // index in the batch
	typ  arrow.DataType
}

// newPartColumn refuses types whose values have no one way to be written.
func newPartColumn(name string, col int, typ arrow.DataType) (partColumn, error) {
	switch typ.(type) {
	case *arrow.StringType, *arrow.BooleanType, *arrow.Int32Type, *arrow.Int64Type, *arrow.Date32Type, *arrow.TimestampType, *arrow.Decimal128Type:
		return partColumn{name, col, typ}, nil
	}
	return partColumn{}, stream.WithNext(fmt.Errorf("sink: partition column %q has type %s, whose values have no one way to be written: %w", name, typ, stream.ErrPermanent),
		"partition by a string, a number without a fraction, a date or a truth value; compute one, for example {day: date(created_at)}")
}

// null tells whether row i goes to the default partition. Hive cannot tell null from the empty string, nor from a string
// that is the default partition's name.
func (p *partColumn) null(v *stream.Vec, i int) bool {
	if v.IsNull(i) {
		return true
	}
	if p.typ.ID() != arrow.STRING {
		return false
	}
	s := v.StringAt(i)
	return s == "" || s == DefaultPartition
}

// same tells whether rows i and j have the same value.
func (p *partColumn) same(v *stream.Vec, i, j int) bool {
	if len(v.Valid) != 0 && (v.IsNull(i) || v.IsNull(j)) {
		return v.IsNull(i) && v.IsNull(j)
	}
	switch p.typ.ID() {
	case arrow.STRING:
		return v.StringAt(i) == v.StringAt(j)
	case arrow.BOOL:
		return v.Bits.Get(i) == v.Bits.Get(j)
	case arrow.INT32, arrow.DATE32:
		return v.I32[i] == v.I32[j]
	case arrow.INT64, arrow.TIMESTAMP:
		return v.I64[i] == v.I64[j]
	default:
		return v.Dec[i] == v.Dec[j]
	}
}

// appendKey adds row i's value to key, such that different values never make the same key.
func (p *partColumn) appendKey(key []byte, v *stream.Vec, i int) []byte {
	if p.null(v, i) {
		return append(key, 0)
	}
	key = append(key, 1)
	switch p.typ.ID() {
	case arrow.STRING:
		s := v.BytesAt(i)
		return append(binary.AppendUvarint(key, uint64(len(s))), s...)
	case arrow.BOOL:
		if v.Bits.Get(i) {
			return append(key, 1)
		}
		return append(key, 0)
	case arrow.INT32, arrow.DATE32:
		return binary.LittleEndian.AppendUint32(key, uint32(v.I32[i])) //nolint:gosec // the bits
	case arrow.INT64, arrow.TIMESTAMP:
		return binary.LittleEndian.AppendUint64(key, uint64(v.I64[i])) //nolint:gosec // the bits
	default:
		key = binary.LittleEndian.AppendUint64(key, uint64(v.Dec[i].HighBits())) //nolint:gosec // the bits
		return binary.LittleEndian.AppendUint64(key, v.Dec[i].LowBits())
	}
}

// value writes row i's value out.
func (p *partColumn) value(v *stream.Vec, i int) stream.PartitionValue {
	out := stream.PartitionValue{Column: p.name}
	if p.null(v, i) {
		out.Null = true
		return out
	}
	switch t := p.typ.(type) {
	case *arrow.StringType:
		out.Value = string(v.BytesAt(i))
	case *arrow.BooleanType:
		out.Value = strconv.FormatBool(v.Bits.Get(i))
	case *arrow.Int32Type:
		out.Value = strconv.FormatInt(int64(v.I32[i]), 10)
	case *arrow.Date32Type:
		out.Value = time.Unix(int64(v.I32[i])*86400, 0).UTC().Format("2006-01-02")
	case *arrow.Int64Type:
		out.Value = strconv.FormatInt(v.I64[i], 10)
	case *arrow.TimestampType:
		out.Value = time.UnixMicro(v.I64[i]).UTC().Format("2006-01-02 15:04:05.999999")
	case *arrow.Decimal128Type:
		out.Value = decimalText(v.Dec[i], t.Scale)
	}
	return out
}

// decimalText writes every digit of the scale: 12.50, -0.05, 7.
func decimalText(d decimal128.Num, scale int32) string {
	n := d.BigInt()
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
	}
	digits := new(big.Int).Abs(n).String()
	if scale <= 0 {
		return sign + digits + strings.Repeat("0", int(-scale))
	}
	if pad := int(scale) + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	at := len(digits) - int(scale)
	return sign + digits[:at] + "." + digits[at:]
}
