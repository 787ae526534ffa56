package transform

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/millrace/millrace/stream"
)

// table writes the selected rows of b, one a line.
func table(b *stream.Batch) string {
	var lines []string
	for _, i := range b.Sel {
		var cells []string
		for _, c := range b.Cols {
			cells = append(cells, Format(c, int(i)))
		}
		lines = append(lines, strings.Join(cells, "|"))
	}
	return strings.Join(lines, "\n")
}

func bad(b *stream.Batch) string {
	var s []string
	for _, x := range b.Raw.Bad {
		s = append(s, fmt.Sprintf("%d %s %s %s: %s", x.Record, x.Step, x.Column, x.Code, x.Reason))
	}
	return strings.Join(s, "\n")
}

// small has four rows, the third of which is not selected.
func small() *stream.Batch {
	b := stream.NewBatch(arrow.NewSchema([]arrow.Field{
		{Name: "name", Type: typeString(), Nullable: true}, {Name: "a", Type: typeI32(), Nullable: true}, {Name: "b", Type: typeI32(), Nullable: true},
	}, nil))
	for i, row := range []struct {
		name string
		a, b int32
	}{{"one", 10, 2}, {"two", 7, 0}, {"gone", 1, 0}, {"", 9, 3}} {
		if row.name == "" {
			b.Cols[0].AppendNull()
		} else {
			b.Cols[0].AppendString(row.name)
		}
		b.Cols[1].AppendI32(row.a)
		b.Cols[2].AppendI32(row.b)
		b.Origin = append(b.Origin, stream.Origin{Record: int32(i)})
	}
	b.Rows, b.Sel, b.Time = 4, []int32{0, 1, 3}, 1767225600000000
	return b
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name      string
		steps     []Builder
		rows, bad string
		fields    string
	}{
		{"filter", []Builder{Filter{"a > 7"}}, "one|10|2\nNULL|9|3", "", "name? a? b?"},
		{"filter: null leaves", []Builder{Filter{"name <> 'two'"}}, "one|10|2", "", "name? a? b?"},
		{"filter: bad row", []Builder{Filter{"a % b = 0"}}, "one|10|2\nNULL|9|3", `1 0:filter  division_by_zero: 7 % 0 is a division by zero, in a % b`, "name? a? b?"},
		{"filter: guarded", []Builder{Filter{"b = 0 OR a % b = 0"}}, "one|10|2\ntwo|7|0\nNULL|9|3", "", "name? a? b?"},
		{"set: all see the input", []Builder{Set{[]Assign{{"a", "b"}, {"b", "a"}, {"c", "a + b"}}}}, "one|2|10|12\ntwo|0|7|7\nNULL|3|9|12", "", "name? a? b? c?"},
		{"set: bad row leaves once", []Builder{Set{[]Assign{{"c", "a / b"}, {"d", "a % b"}, {"e", "upper(name)"}}}}, "one|10|2|5|0|ONE\nNULL|9|3|3|0|NULL",
			"1 0:set c division_by_zero: 7 / 0 is a division by zero, in a / b", "name? a? b? c? d? e?"},
		{"set: bad under coalesce", []Builder{Set{[]Assign{{"c", "coalesce(a / b, 0)"}}}}, "one|10|2|5\nNULL|9|3|3",
			"1 0:set c division_by_zero: 7 / 0 is a division by zero, in a / b", "name? a? b? c"},
		{"set: failed cast", []Builder{Set{[]Assign{{"c", "CAST(name AS int32)"}}}}, "NULL|9|3|NULL",
			"0 0:set c cast_failed: \"one\" is not an integer, in CAST(name AS int32)\n1 0:set c cast_failed: \"two\" is not an integer, in CAST(name AS int32)", "name? a? b? c?"},
		{"set: required stays required", []Builder{Set{[]Assign{{"c", "1"}, {"d", "batch_time()"}, {"e", "coalesce(name, '-')"}, {"f", "name IS NULL"}}}},
			"one|10|2|1|2026-01-01T00:00:00Z|one|false\ntwo|7|0|1|2026-01-01T00:00:00Z|two|false\nNULL|9|3|1|2026-01-01T00:00:00Z|-|true", "", "name? a? b? c d e f"},
		{"select", []Builder{Select{[]string{"b", "name"}}}, "2|one\n0|two\n3|NULL", "", "b? name?"},
		{"drop", []Builder{Drop{[]string{"a"}}}, "one|2\ntwo|0\nNULL|3", "", "name? b?"},
		{"rename swaps", []Builder{Rename{[]Pair{{"a", "b"}, {"b", "a"}}}}, "one|10|2\ntwo|7|0\nNULL|9|3", "", "name? b? a?"},
		{"drop_nulls", []Builder{DropNulls{[]string{"name", "a"}}}, "one|10|2\ntwo|7|0", "", "name a b?"},
		{"a chain", []Builder{Set{[]Assign{{"q", "TRY_CAST(a / nullif(b, 0) AS int32)"}}}, DropNulls{[]string{"q"}}, Drop{[]string{"a", "b"}}, Rename{[]Pair{{"q", "ratio"}}}, Filter{"ratio < 4"}},
			"NULL|3", "", "name? ratio"},
	} {
		b := small()
		steps := build(t, b.Schema, c.steps...)
		for round := range 2 { // a second batch meets the first one's buffers
			in, before := small(), table(small())
			var rows string
			if err := run(steps, in, func(out *stream.Batch) {
				rows = table(out)
				if len(out.Cols) != out.Schema.NumFields() || out.Rows != in.Rows || out.Time != in.Time || out.Raw != in.Raw {
					t.Errorf("%s: the batch is not whole", c.name)
				}
				var fields []string
				for i, f := range out.Schema.Fields() {
					if !arrow.TypeEqual(out.Cols[i].Type, f.Type) {
						t.Errorf("%s: column %s is %s, want %s", c.name, f.Name, out.Cols[i].Type, f.Type)
					}
					fields = append(fields, f.Name+map[bool]string{true: "?"}[f.Nullable])
				}
				if got := strings.Join(fields, " "); got != c.fields {
					t.Errorf("%s: got fields %s, want %s", c.name, got, c.fields)
				}
				clear(out.Sel) // its owner may do with it what it likes
			}); err != nil {
				t.Fatal(err)
			}
			if rows != c.rows {
				t.Errorf("%s, round %d: got\n%s\nwant\n%s", c.name, round, rows, c.rows)
			}
			if got := bad(in); got != c.bad {
				t.Errorf("%s: got bad rows\n%s\nwant\n%s", c.name, got, c.bad)
			}
			if table(in) != before || !slices.Equal(in.Sel, small().Sel) {
				t.Errorf("%s: the input was changed", c.name)
			}
		}
	}
}

func TestStepsTakeEmptyAndGrowingBatches(t *testing.T) {
	steps := build(t, mixedSchema(), Set{[]Assign{{"x", "upper(s) || CAST(i AS string)"}, {"y", "flag OR other"}, {"z", "buyer.tags"}}}, Filter{"x IS NOT NULL OR y"})
	r := rand.New(rand.NewPCG(3, 3))
	for _, rows := range []int{0, 1, 9, 0, 300, 17} {
		b := mixedBatch(r, rows)
		b.SelectAll()
		want := ""
		if err := run(build(t, mixedSchema(), Set{[]Assign{{"x", "upper(s) || CAST(i AS string)"}, {"y", "flag OR other"}, {"z", "buyer.tags"}}}, Filter{"x IS NOT NULL OR y"}),
			b, func(out *stream.Batch) { want = table(out) }); err != nil {
			t.Fatal(err)
		}
		if err := run(steps, b, func(out *stream.Batch) {
			if got := table(out); got != want {
				t.Errorf("%d rows: got\n%s\nwant\n%s", rows, got, want)
			}
			for _, c := range out.Cols {
				if c.N != rows {
					t.Errorf("a column has %d rows, want %d", c.N, rows)
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerBatch(t *testing.T) {
	b := ordersBatch(stream.BatchRows)
	apply := chain(build(t, b.Schema, tenSteps()...), func(int, *stream.Batch) error { return nil })
	if n := testing.AllocsPerRun(10, func() { _ = apply(0, b) }); n > 0 {
		t.Errorf("got %v allocations a batch, want 0", n)
	}
	if len(b.Raw.Bad) > 0 {
		t.Errorf("got bad rows: %v", b.Raw.Bad[0])
	}
}

func TestReferenceValues(t *testing.T) {
	b := ordersBatch(200)
	b.Cols[3].Dec[102] = decimal128.FromI64(1250)
	var got string
	err := run(build(t, b.Schema, tenSteps()...), b, func(out *stream.Batch) {
		i := slices.Index(out.Sel, 102)
		if i < 0 {
			t.Fatal("row 102 left")
		}
		out.Sel = out.Sel[i : i+1]
		got = table(out)
	})
	const want = "o-0000000102|00102|FR|12.50|3|2026-01-01T00:00:00.102000Z|37.50|2026-01-01T00:00:00Z|2026-01-01|0|31.51|small"
	if err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestTypeNames(t *testing.T) {
	for _, s := range []string{"string", "bool", "int32", "int64", "float64", "decimal(18,2)", "decimal(38,0)", "date", "timestamp", "bytes", "map(string, int64)",
		"[string]", "{id: int64!, tags: [string]}", "[{sku: string, price: decimal(12,2)}]", "map(int32, [{a: map(string, date)}])"} {
		typ, err := ParseType(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if got := TypeName(typ); got != s {
			t.Errorf("%s: came back as %s", s, got)
		} else {
			stream.NewVec(typ) // panics on a type without a layout
		}
	}
	for s, want := range map[string]string{
		"":                      "there is no type; write one like string, int64 or decimal(18,2)",
		"str":                   `there is no type "str"; did you mean string?`,
		"STRING":                `there is no type "STRING"; did you mean string?`,
		"timestmp":              `there is no type "timestmp"; did you mean timestamp?`,
		"varchar(20)":           `there is no type "varchar"; did you mean string?`,
		"numeric(3,1)":          `there is no type "numeric"; did you mean decimal(18,2)?`,
		"decimal":               `"decimal" lacks a '('; write decimal(precision,scale), such as decimal(18,2)`,
		"decimal(12)":           `"decimal(12)" lacks a ','; write decimal(precision,scale), such as decimal(18,2)`,
		"decimal(39,2)":         "decimal(39,2): a decimal has 1 to 38 digits",
		"decimal(2,3)":          "decimal(2,3): no more than all 2 digits can stand behind the point",
		"decimal(-1,3)":         `"decimal(-1,3)" is no decimal type; write decimal(precision,scale), such as decimal(18,2)`,
		"string!":               "only columns and fields are required: write ! behind the type of one",
		"string x":              `unexpected "x" after the type string`,
		"map(float64, string)":  "float64 cannot be the key of a map",
		"[string":               `"[string" lacks a ']'; write [type]`,
		"{a: string, a: date}":  `the field "a" stands twice`,
		strings.Repeat("[", 99): "types nest at most 32 deep",
	} {
		_, err := ParseType(s)
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", s, err, want)
		}
	}
}

func TestColumnsStayBelowTheirBound(t *testing.T) {
	const rows = 1030
	c := &ctx{rows: rows}
	v := &col{str: slices.Repeat([]string{strings.Repeat("x", 1<<20)}, rows), rows: rows}
	var sel []int32
	for i := range int32(rows) {
		sel = append(sel, i)
	}
	c.limit(kindStr, v, sel)
	if len(c.errs) != 6 || c.errs[0].row != 1024 || c.errs[0].code != CodeSize {
		t.Errorf("got %d bad rows from 1,030 MiB, want the last 6", len(c.errs))
	}
}

func TestEmptySelectionIsNotNil(t *testing.T) {
	for _, bl := range []Builder{Filter{"a > 1"}, Set{[]Assign{{"c", "a"}}}, Select{[]string{"a"}}, Drop{[]string{"a"}}, Rename{[]Pair{{"a", "c"}}}, DropNulls{[]string{"a"}}} {
		b := small()
		b.Sel = b.Sel[:0]
		if err := run(build(t, b.Schema, bl), b, func(out *stream.Batch) {
			if out.Sel == nil || len(out.Sel) != 0 {
				t.Errorf("%s: got selection %v", bl.Kind(), out.Sel)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestConstantsHaveNoBatchTime(t *testing.T) {
	if got, want := evalText(t, "date(batch_time())"), "batch_time() is known in steps only [E2007]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := evalText(t, "amount"); !strings.HasPrefix(got, `there is no column "amount" here [E2001]`) {
		t.Errorf("got %s", got)
	}
}

// Lanes build from one registry and run at the same time; the race detector watches.
func TestLanesShareARegistry(t *testing.T) {
	reg := Builtins()
	var wg sync.WaitGroup
	for lane := range 4 {
		wg.Go(func() {
			b := mixedBatch(rand.New(rand.NewPCG(1, uint64(lane))), 40)
			b.SelectAll()
			for _, text := range expressions {
				e, errs := Compile(text, b.Schema, reg)
				if len(errs) > 0 {
					t.Errorf("%s: %v", text, errs[0])
					return
				}
				e.Eval(b, b.Sel, stream.NewVec(e.Type()))
			}
		})
	}
	wg.Wait()
}
