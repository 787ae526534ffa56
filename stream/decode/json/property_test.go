package json_test

import (
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode/json"
)

func arrowListOfStruct() arrow.DataType { return arrow.ListOf(arrow.StructOf(opt("i", i64))) }

func mapOfLists() arrow.DataType { return arrow.MapOf(str, arrow.ListOf(i64)) }

// maker makes random types and values. A value comes as encoding/json takes it, and as show writes it.
type maker struct{ *rand.Rand }

func (m maker) typ(depth int) arrow.DataType {
	n := 12
	if depth == 0 {
		n = 9
	}
	switch m.IntN(n) {
	case 0:
		return str
	case 1:
		return boo
	case 2:
		return i32
	case 3:
		return i64
	case 4:
		return f64
	case 5:
		p := 1 + m.IntN(38)
		return dec(int32(p), int32(m.IntN(p+1)))
	case 6:
		return day
	case 7:
		return ts
	case 8:
		return bin
	case 9:
		return arrow.ListOf(m.typ(depth - 1))
	case 10:
		return arrow.MapOf(str, m.typ(depth-1))
	default:
		return arrow.StructOf(m.fields(1+m.IntN(4), depth-1)...)
	}
}

func (m maker) fields(n, depth int) (fs []arrow.Field) {
	for i := range n {
		fs = append(fs, arrow.Field{Name: fmt.Sprintf("f%d\"%s", i, m.text(3)), Type: m.typ(depth), Nullable: m.IntN(3) > 0})
	}
	return fs
}

func (m maker) text(n int) string {
	runes := []rune{'a', 'b', '<', '"', '\\', '/', 0, 0x1f, 0x7f, 'ä', '€', '😀', 0x2028, 0xFFFD, 0x10FFFF, ' '}
	var sb strings.Builder
	for range m.IntN(n + 1) {
		sb.WriteRune(runes[m.IntN(len(runes))])
	}
	return sb.String()
}

func (m maker) object(fs []arrow.Field) (map[string]any, []string) {
	obj, shows := map[string]any{}, []string{}
	for _, f := range fs {
		v, s := any(nil), "null"
		if !f.Nullable || m.IntN(4) > 0 {
			v, s = m.value(f.Type)
		}
		if v != nil || m.IntN(2) == 0 {
			obj[f.Name] = v
		}
		shows = append(shows, s)
	}
	for range m.IntN(3) {
		obj["extra"+m.text(3)], _ = m.value(m.typ(1))
	}
	return obj, shows
}

func (m maker) value(t arrow.DataType) (any, string) {
	switch t := t.(type) {
	case *arrow.StringType:
		s := m.text(20)
		return s, strconv.Quote(s)
	case *arrow.BooleanType:
		b := m.IntN(2) == 0
		return b, strconv.FormatBool(b)
	case *arrow.Int32Type:
		n := int32(m.Uint32()) >> m.IntN(32)
		return n, strconv.Itoa(int(n))
	case *arrow.Int64Type:
		n := int64(m.Uint64()) >> m.IntN(64)
		if m.IntN(4) == 0 {
			return strconv.FormatInt(n, 10), strconv.FormatInt(n, 10)
		}
		return n, strconv.FormatInt(n, 10)
	case *arrow.Float64Type:
		f := math.Float64frombits(m.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) || m.IntN(2) == 0 {
			f = m.NormFloat64() * math.Pow(10, float64(m.IntN(30)))
		}
		return f, strconv.FormatFloat(f, 'g', -1, 64)
	case *arrow.Decimal128Type:
		return m.decimal(t)
	case *arrow.Date32Type:
		s := m.time().Format("2006-01-02")
		return s, s
	case *arrow.TimestampType:
		at := m.time()
		zone := time.FixedZone("", (m.IntN(47*60)-23*60)*60)
		return at.In(zone).Format(time.RFC3339Nano), at.Truncate(time.Microsecond).Format("2006-01-02T15:04:05.999999Z")
	case *arrow.BinaryType:
		b := []byte(m.text(9))
		return base64.StdEncoding.EncodeToString(b), fmt.Sprintf("%x", b)
	case *arrow.MapType:
		obj := map[string]any{}
		for range m.IntN(4) {
			obj[m.text(4)] = nil
		}
		var parts []string
		for _, k := range slices.Sorted(mapKeys(obj)) {
			var s string
			obj[k], s = m.value(t.ItemType())
			parts = append(parts, strconv.Quote(k)+":"+s)
		}
		return obj, "{" + strings.Join(parts, ",") + "}"
	case *arrow.ListType:
		list, parts := []any{}, []string{}
		for range m.IntN(4) {
			v, s := m.value(t.Elem())
			if m.IntN(5) == 0 {
				v, s = nil, "null"
			}
			list, parts = append(list, v), append(parts, s)
		}
		return list, "[" + strings.Join(parts, ",") + "]"
	case *arrow.StructType:
		obj, parts := m.object(t.Fields())
		return obj, "(" + strings.Join(parts, ",") + ")"
	}
	panic(t)
}

func mapKeys(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// decimal makes the digits by big integers, so that nothing is shared with the decoder.
func (m maker) decimal(t *arrow.Decimal128Type) (any, string) {
	digits := make([]byte, 1+m.IntN(int(t.Precision)))
	for i := range digits {
		digits[i] = byte('0' + m.IntN(10))
	}
	x, _ := new(big.Int).SetString(string(digits), 10)
	plain := fmt.Sprintf("%0*s", int(t.Scale)+1, x.String())
	if t.Scale > 0 {
		cut := len(plain) - int(t.Scale)
		plain = plain[:cut] + "." + plain[cut:]
	}
	sign := ""
	if m.IntN(2) == 0 && x.Sign() != 0 {
		sign = "-"
	}
	written := sign + plain
	if m.IntN(3) == 0 {
		written = fmt.Sprintf("%s%se-%d", sign, x, t.Scale)
	}
	if m.IntN(3) == 0 {
		return written, sign + plain
	}
	return stdjson.Number(written), sign + plain
}

// time is far enough inside the years 0001 to 9999 for any zone.
func (m maker) time() time.Time {
	const from, to = -62135596800 + 2*86400, 253402300799 - 2*86400
	return time.Unix(from+m.Int64N(to-from), m.Int64N(1e9)).UTC()
}

// TestWhatWasWrittenIsRead decodes random rows of random schemas, written by encoding/json.
func TestWhatWasWrittenIsRead(t *testing.T) {
	for seed := range uint64(300) {
		m := maker{rand.New(rand.NewPCG(seed, 1))}
		fields := m.fields(1+m.IntN(6), 3)
		r := newRow(t, json.DefaultConfig(), fields...)
		b := stream.NewBatch(r.Schema())
		var want [][]string
		var records []string
		for range 30 {
			obj, shows := m.object(fields)
			record, err := stdjson.Marshal(obj)
			if err != nil {
				t.Fatal(err)
			}
			if m.IntN(5) == 0 {
				record, _ = stdjson.MarshalIndent(obj, " ", "\t")
			}
			if _, f := r.Append(record, b.Cols); f != nil {
				t.Fatalf("seed %d: %s\n%s: %s", seed, record, f.Code, f.Reason)
			}
			want, records = append(want, shows), append(records, string(record))
			if _, f := r.Append(record[:len(record)-1], b.Cols); f == nil {
				t.Fatalf("seed %d: a cut record was taken: %s", seed, record)
			}
			for _, c := range b.Cols {
				c.Truncate(len(want))
			}
		}
		for k, c := range b.Cols {
			checkVec(t, fields[k].Name, c)
			for i := range want {
				if got := show(c, i); got != want[i][k] {
					t.Fatalf("seed %d, column %q %s: got %s, want %s\n%s", seed, fields[k].Name, fields[k].Type, got, want[i][k], records[i])
				}
			}
		}
	}
}
