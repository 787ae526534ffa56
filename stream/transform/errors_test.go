package transform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/stream"
)

func explain(errs []*Error) string {
	var s []string
	for _, e := range errs {
		line := fmt.Sprintf("%d+%d %s", e.Pos, e.Len, e)
		if e.Note != "" {
			line += " (" + e.Note + ")"
		}
		if e.Path != "" {
			line = e.Path + ": " + line
		}
		s = append(s, line)
	}
	return strings.Join(s, "\n")
}

func TestErrorMessages(t *testing.T) {
	in := ordersSchema()
	const cols = " (columns here: order_id, customer_id, country, amount, quantity, status, created_at)"
	for _, c := range [][2]string{
		{"amout > 0", `0+5 there is no column "amout" here [E2001]: did you mean "amount" decimal(18,2)?` + cols},
		{"Amount > 0", `0+6 there is no column "Amount" here [E2001]: did you mean "amount" decimal(18,2)?` + cols},
		{`status <> "test"`, `10+6 there is no column "test" here [E2001]: double quotes name a column; a string is written 'test'` + cols},
		{"amout > 0 AND upr(cuntry) = 1", `0+5 there is no column "amout" here [E2001]: did you mean "amount" decimal(18,2)?` + cols + "\n" +
			`18+6 there is no column "cuntry" here [E2001]: did you mean "country" string?` + cols + "\n" +
			`14+3 there is no function "upr" [E2003]: did you mean upper?`},
		{"status", "0+6 filter needs a condition (bool), and status is a string [E2002]: compare it with something, as in status = '…'"},
		{"quantity", "0+8 filter needs a condition (bool), and quantity is an int32 [E2002]: compare it with something"},
		{"amount > '5'", "0+12 > cannot compare a decimal(18,2) with a string [E2002]: write the number without quotes"},
		{"amount > status", "0+15 > cannot compare a decimal(18,2) with a string [E2002]: CAST the string AS decimal(18,2)"},
		{"created_at > '2026-01-01T00:00:00Z'", "0+35 > cannot compare a timestamp with a string [E2002]: write TIMESTAMP '2026-01-01T00:00:00Z'"},
		{"date(created_at) = '2026-01-01'", "0+31 = cannot compare a date with a string [E2002]: write DATE '2026-01-01'"},
		{"status + 1 > 0", "0+10 + needs numbers, and got a string and an int32 [E2002]: || joins strings; CAST(x AS int64) makes a number of one"},
		{"created_at - created_at > 0", "0+23 - needs numbers, and got a timestamp and a timestamp [E2002]: date_diff(a, b) counts days, unix_micros(a) - unix_micros(b) microseconds"},
		{"status || quantity = 'a'", "10+8 || joins strings, and quantity is an int32 [E2002]: CAST(quantity AS string)"},
		{"amount > 0 || quantity > 0", "11+2 || joins strings [E2011]: write OR"},
		{"(amount > 0) || (quantity > 0)", "13+2 || joins strings, and amount > 0 is a bool [E2011]: write OR"},
		{"upper(amount) = 'A'", "6+6 upper needs string as first argument, and amount is a decimal(18,2) [E2002]: CAST(amount AS string)"},
		{"upper() = 'A'", "0+7 upper takes 1 argument, not 0 [E2004]: write upper(string)"},
		{"substring(status) = 'A'", "0+17 substring takes 2 to 3 arguments, not 1 [E2004]: write substring(string, start[, length])"},
		{"concat() = 'A'", "0+8 concat takes at least 1 argument, not 0 [E2004]: write concat(string, …)"},
		{"substr(status, 1) = 'A'", `0+6 there is no function "substr" [E2003]: did you mean substring?`},
		{"sum(amount) > 1", "0+3 there is no function \"sum\" [E2003]: aggregates belong in an `aggregate` step"},
		{"now() > created_at", `0+3 there is no function "now" [E2003]: did you mean batch_time?`},
		{"CAST(amount AS int) > 1", `15+3 there is no type "int"; did you mean int32? [E2006]`},
		{"CAST(amount AS decimal(2,3)) > 1", `15+12 decimal(2,3): no more than all 2 digits can stand behind the point [E2006]`},
		{"CAST(quantity AS timestamp) > created_at", "0+27 quantity is an int32 and cannot be cast to timestamp [E2002]: write from_unix_seconds(x) or from_unix_millis(x): nothing is guessed"},
		{"regexp_like(status, country)", "20+7 the pattern of regexp_like has to be a constant string [E2007]: write regexp_like(string, 'pattern')"},
		{"regexp_like(status, '(?=a)')", "20+7 invalid or unsupported Perl syntax: `(?=` [E2005]: patterns are RE2's: no look-around and no back-references"},
		{"date_trunc('hours', created_at) = created_at", `11+7 there is no unit "hours" [E2005]: did you mean 'hour'?`},
		{"to_date(status, 'YYYY-MM-dd') = date(created_at)", `16+12 no letter 'Y' in patterns; there are yyyy MM dd HH mm ss SSS XXX [E2005]: write it like 'dd.MM.yyyy HH:mm:ss'`},
		{"DATE '2025-02-30' = date(created_at)", `0+17 "2025-02-30" is no date [E2005]: write it like DATE '2026-01-31'`},
		{"CASE WHEN amount > 0 THEN 1 ELSE 'a' END = 1", "33+3 the branches of CASE need one type: a string does not go with an int32 [E2002]: CAST them to one type"},
		{"status.name = 'a'", "6+5 status is a string, and has no parts [E2001]"},
		{"status LIKE 'a!b' ESCAPE '!'", "12+5 the escape character ! in a LIKE pattern stands before %, _ or itself only [E2005]"},
		{"quantity LIKE '1%'", "0+8 LIKE needs strings, and quantity is an int32 [E2002]: CAST(quantity AS string)"},
		{"NOT quantity", "4+8 NOT needs a condition (bool), and quantity is an int32 [E2002]: compare it with something"},
		{"round(amount, quantity) > 1", "14+8 the digits of round have to be a constant whole number [E2007]: write round(number[, digits])"},
		{"coalesce(99999999999999999999999999999999999999, 0.5) > amount", "9+38 99999999999999999999999999999999999999 is too large for decimal(38,1) [E2005]: this fails for every row"},
		{"greatest(99999999999999999999999999999999999999, 0.5) > amount", "9+38 99999999999999999999999999999999999999 is too large for decimal(38,1) [E2005]: this fails for every row"},
		{"99999999999999999999999999999999999999 IN (0.5, amount)", ""},
		{"status = NULL", "0+13 a comparison with NULL is never true [E2011]: write status IS NULL"},
		{"NULL <> status", "0+14 a comparison with NULL is never true [E2011]: write status IS NOT NULL"},
		{"amount > 1 / 0", "9+5 1 / 0 is a division by zero [E2005]: this fails for every row"},
	} {
		_, errs := Filter{c[0]}.Build(in, "0:filter", Builtins())
		if got := explain(errs); got != c[1] {
			t.Errorf("%s:\n got %s\nwant %s", c[0], got, c[1])
		}
	}
	nested := mixedSchema()
	for _, c := range [][2]string{
		{"buyer.nam = 'a'", `5+4 buyer has no field "nam" [E2001]: did you mean "name" string? (it is {name: string, tags: [string]})`},
		{"lines.sku = 'a'", "5+4 lines is a list, and has no fields [E2001]: write lines[0] for its first element"},
		{"attrs.a = 1", "5+2 attrs is a map(string, int64), whose keys are strings [E2001]: write attrs['key']"},
		{"buyer = buyer", "0+13 = cannot compare a struct {name: string, tags: [string]} with a struct {name: string, tags: [string]} [E2002]: compare their fields or elements"},
		{"coalesce(buyer, lines) IS NULL", "9+5 the values of coalesce need one type: a struct {name: string, tags: [string]} does not go with NULL [E2002]: only fields and elements can be taken out of it"},
	} {
		_, errs := Compile(c[0], nested, Builtins())
		if got := explain(errs); got != c[1] {
			t.Errorf("%s:\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

func TestStepErrors(t *testing.T) {
	in := ordersSchema()
	const cols = " (columns here: order_id, customer_id, country, amount, quantity, status, created_at)"
	for _, c := range []struct {
		b    Builder
		want string
	}{
		{Set{[]Assign{{"a", "amout"}, {"b", "upper(country"}, {"a", "1"}, {"c", "NULL"}}},
			`a: 0+5 there is no column "amout" here [E2001]: did you mean "amount" decimal(18,2)?` + cols + "\n" +
				"b: 13+0 the expression ends too early [E2010]: here should come , or ) in the arguments of upper\n" +
				"a: 0+1 the column \"a\" is set twice [E2020]\n" +
				"c: 0+4 NULL alone has no type [E2002]: CAST(NULL AS string), or another type"},
		{Set{}, "0+0 no column is set here [E2020]"},
		{Select{nil}, "0+0 no column is named here [E2020]" + cols},
		{Select{[]string{"amount", "stauts", "amount"}}, `[1]: 0+6 there is no column "stauts" here [E2001]: did you mean "status" string?` + cols + "\n" +
			`[2]: 0+6 the column "amount" is named twice [E2020]`},
		{Select{[]string{"country.code"}}, "[0]: 0+12 there is no column \"country.code\" here [E2001]: whole columns only; take fields out with a `set` step" + cols},
		{Drop{[]string{"order_id", "customer_id", "country", "amount", "quantity", "status", "created_at"}}, "0+0 no column would be left [E2020]" + cols},
		{Rename{[]Pair{{"country", "status"}, {"amount", ""}, {"xyz", "a"}}}, `amount: 0+6 the column "amount" gets no name [E2020]` + "\n" +
			`xyz: 0+3 there is no column "xyz" here [E2001]` + cols + "\n" + `country: 0+7 two columns would be called "status" [E2020]: drop or rename the other one too`},
		{DropNulls{[]string{"contry"}}, `[0]: 0+6 there is no column "contry" here [E2001]: did you mean "country" string?` + cols},
	} {
		_, errs := c.b.Build(in, "step", Builtins())
		if got := explain(errs); got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.b, got, c.want)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range expressions {
		f.Add(s)
	}
	reg, in := Builtins(), mixedSchema()
	b := stream.NewBatch(in)
	for _, c := range b.Cols {
		c.AppendNull()
	}
	b.Rows = 1
	f.Fuzz(func(t *testing.T, s string) {
		e, errs := Compile(s, in, reg)
		if (e == nil) == (len(errs) == 0) {
			t.Fatalf("%q: neither expression nor error", s)
		}
		for _, x := range errs {
			if x.Pos < 0 || x.Pos+x.Len > len(s) {
				t.Fatalf("%q: place %d+%d", s, x.Pos, x.Len)
			}
		}
		if e != nil {
			v := stream.NewVec(e.Type())
			e.Eval(b, []int32{0}, v)
			_ = Format(v, 0)
		}
	})
}
