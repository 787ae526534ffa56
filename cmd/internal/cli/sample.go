package cli

import (
	"fmt"
	"math/big"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// sampleWidth is the most columns of the screen that one value gets.
const sampleWidth = 40

// sampleRows reads the first rows of a Parquet file on disk as text: those of the wanted columns that are there and are no lists,
// maps or structs, in the order in which they are wanted.
func sampleRows(path string, rows int64, want []string) (header []string, cells [][]string, err error) {
	f, err := os.Open(path) //nolint:gosec // a file that this process has just published
	if err != nil {
		return nil, nil, fmt.Errorf("sample: %w", err)
	}
	r, err := file.NewParquetReader(f)
	if err != nil {
		return nil, nil, fmt.Errorf("sample %s: %w", path, err)
	}
	defer func() { _ = r.Close() }()
	if r.NumRowGroups() == 0 {
		return nil, nil, nil
	}
	group := r.RowGroup(0)
	rows = min(rows, group.NumRows())
	at := map[string]int{}
	for i := range r.MetaData().Schema.NumColumns() {
		if path := r.MetaData().Schema.Column(i).ColumnPath(); len(path) == 1 {
			at[path[0]] = i
		}
	}
	for _, name := range want {
		i, there := at[name]
		if !there {
			continue
		}
		col := r.MetaData().Schema.Column(i)
		chunk, err := group.Column(i)
		if err != nil {
			return nil, nil, fmt.Errorf("sample %s: column %s: %w", path, col.Name(), err)
		}
		text, err := sampleColumn(chunk, col, rows)
		if err != nil {
			return nil, nil, fmt.Errorf("sample %s: column %s: %w", path, col.Name(), err)
		}
		header = append(header, col.Name())
		for k := range rows {
			if int(k) == len(cells) {
				cells = append(cells, nil)
			}
			cells[k] = append(cells[k], text[k])
		}
	}
	return header, cells, nil
}

func sampleColumn(chunk file.ColumnChunkReader, col *schema.Column, rows int64) ([]string, error) {
	switch r := chunk.(type) {
	case *file.BooleanColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, strconv.FormatBool)
	case *file.Int32ColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, func(v int32) string {
			if col.LogicalType().Equals(schema.DateLogicalType{}) {
				return time.Unix(int64(v)*86400, 0).UTC().Format(time.DateOnly)
			}
			return scaled(strconv.Itoa(int(v)), col)
		})
	case *file.Int64ColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, func(v int64) string {
			if _, ok := col.LogicalType().(schema.TimestampLogicalType); ok {
				return time.UnixMicro(v).UTC().Format("2006-01-02 15:04:05.000000Z")
			}
			return scaled(strconv.FormatInt(v, 10), col)
		})
	case *file.Float64ColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	case *file.ByteArrayColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, func(v parquet.ByteArray) string {
			if !col.LogicalType().Equals(schema.StringLogicalType{}) {
				return clip(fmt.Sprintf("%x", []byte(v)), sampleWidth)
			}
			return clip(string(v), sampleWidth)
		})
	case *file.FixedLenByteArrayColumnChunkReader:
		return sampleValues(r.ReadBatch, col, rows, func(v parquet.FixedLenByteArray) string {
			if _, ok := col.LogicalType().(schema.DecimalLogicalType); ok {
				return scaled(bigEndian(v), col)
			}
			return fmt.Sprintf("%x", []byte(v))
		})
	default:
		return nil, fmt.Errorf("values of type %s are not shown", col.PhysicalType())
	}
}

// sampleValues reads rows values and spreads them over the rows that are not null.
func sampleValues[T any](read func(int64, []T, []int16, []int16) (int64, int, error), col *schema.Column, rows int64, text func(T) string) ([]string, error) {
	values, levels := make([]T, rows), make([]int16, rows)
	out := make([]string, 0, rows)
	for int64(len(out)) < rows {
		n, _, err := read(rows-int64(len(out)), values, levels, nil)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		next := 0
		for _, l := range levels[:n] {
			if col.MaxDefinitionLevel() > 0 && l < col.MaxDefinitionLevel() {
				out = append(out, "null")
				continue
			}
			out = append(out, text(values[next]))
			next++
		}
	}
	for int64(len(out)) < rows {
		out = append(out, "")
	}
	return out, nil
}

// bigEndian writes a big-endian two's complement number.
func bigEndian(b []byte) string {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b)))) //nolint:gosec // a few bytes
	}
	return n.String()
}

// scaled puts the point of a decimal column into its unscaled digits.
func scaled(digits string, col *schema.Column) string {
	d, ok := col.LogicalType().(schema.DecimalLogicalType)
	if !ok || d.Scale() == 0 {
		return digits
	}
	scale := int(d.Scale())
	digits, negative := strings.CutPrefix(digits, "-")
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	if negative {
		return "-" + digits
	}
	return digits
}
