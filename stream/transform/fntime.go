package transform

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/moment"
	"github.com/millrace/millrace/stream/transform/syntax"
)

func timeFunctions() []Function {
	ts, date, i32, i64 := typeTime(), typeDate(), typeI32(), typeI64()
	args := func(types ...arrow.DataType) []arrow.DataType { return types }
	civil := func(f func(moment.Date) int) func(*bound) node {
		return typed(overload{args: args(date), result: i32, fn: map1(func(d int32) int32 { return int32(f(moment.Civil(d))) })}, //nolint:gosec // a year at most
			overload{args: args(ts), result: i32, fn: map1(func(t int64) int32 { return int32(f(moment.Civil(moment.DayOf(t)))) })}) //nolint:gosec // likewise
	}
	clock := func(unit, mod int64) func(*bound) node {
		return typed(overload{args: args(ts), result: i32, fn: map1(func(t int64) int32 { return int32(moment.TimeOf(t) / unit % mod) })}) //nolint:gosec // below 60
	}
	return []Function{
		{
			Name: "batch_time", Usage: "batch_time()", Result: "timestamp", Doc: "The time of the transaction: one value for all of its rows.",
			bind: func(b *bound) node {
				if b.timeless {
					return b.fail(b.call.Place, CodeConstant, "batch_time() is known in steps only", "")
				}
				return b.apply(&applyNode{t: ts, impure: true, fn: func(c *ctx, sel []int32, _ []*col, out *col) {
					for _, i := range sel {
						out.i64[i] = c.now
					}
				}}, b.call.Place)
			},
		},
		{
			Name: "date", Usage: "date(timestamp)", Result: "date", Doc: "The UTC day of a timestamp.", min: 1, max: 1,
			Examples: []Example{{"date(TIMESTAMP '2026-01-31T23:59:59-02:00')", "2026-02-01"}},
			bind:     typed(overload{args: args(ts), result: date, fn: map1(moment.DayOf)}, overload{args: args(date), result: date, fn: map1(func(d int32) int32 { return d })}),
		},
		{
			Name: "year", Usage: "year(date or timestamp)", Result: "int32", Doc: "The year, UTC.", min: 1, max: 1,
			Examples: []Example{{"year(DATE '2026-01-31')", "2026"}}, bind: civil(func(d moment.Date) int { return d.Year }),
		},
		{
			Name: "month", Usage: "month(date or timestamp)", Result: "int32", Doc: "The month, 1 to 12, UTC.", min: 1, max: 1,
			Examples: []Example{{"month(DATE '2026-01-31')", "1"}}, bind: civil(func(d moment.Date) int { return d.Month }),
		},
		{
			Name: "day", Usage: "day(date or timestamp)", Result: "int32", Doc: "The day of the month, UTC.", min: 1, max: 1,
			Examples: []Example{{"day(DATE '2026-01-31')", "31"}}, bind: civil(func(d moment.Date) int { return d.Day }),
		},
		{
			Name: "hour", Usage: "hour(timestamp)", Result: "int32", Doc: "The hour of the day, 0 to 23, UTC.", min: 1, max: 1,
			Examples: []Example{{"hour(TIMESTAMP '1969-12-31T23:59:59Z')", "23"}}, bind: clock(moment.Hour, 24),
		},
		{
			Name: "minute", Usage: "minute(timestamp)", Result: "int32", Doc: "The minute of the hour, 0 to 59.", min: 1, max: 1,
			Examples: []Example{{"minute(TIMESTAMP '2026-01-31T23:59:58Z')", "59"}}, bind: clock(moment.Minute, 60),
		},
		{
			Name: "second", Usage: "second(timestamp)", Result: "int32", Doc: "The second of the minute, 0 to 59.", min: 1, max: 1,
			Examples: []Example{{"second(TIMESTAMP '2026-01-31T23:59:58Z')", "58"}}, bind: clock(moment.Second, 60),
		},
		{
			Name: "day_of_week", Usage: "day_of_week(date or timestamp)", Result: "int32", Doc: "1 for Monday to 7 for Sunday (ISO 8601), UTC.", min: 1, max: 1,
			Examples: []Example{{"day_of_week(DATE '2026-02-01')", "7"}},
			bind: typed(overload{args: args(date), result: i32, fn: map1(moment.Weekday)},
				overload{args: args(ts), result: i32, fn: map1(func(t int64) int32 { return moment.Weekday(moment.DayOf(t)) })}),
		},
		{
			Name: "date_trunc", Usage: "date_trunc('unit', timestamp)", Result: "timestamp",
			Doc:      "The start of the second, minute, hour, day, week (Monday), month, quarter or year, UTC.",
			Examples: []Example{{"date_trunc('hour', TIMESTAMP '2026-01-31T23:59:59Z')", "2026-01-31T23:00:00Z"}, {"date_trunc('week', DATE '2026-02-01')", "2026-01-26T00:00:00Z"}},
			min:      2, max: 2, bind: bindTrunc,
		},
		{
			Name: "date_add", Usage: "date_add(date, days)", Result: "date", Doc: "The day that many days later, or earlier.",
			Examples: []Example{{"date_add(DATE '2026-01-31', 1)", "2026-02-01"}}, min: 2, max: 2,
			bind: typed(overload{args: args(date, i64), result: date, fn: addDays}),
		},
		{
			Name: "date_diff", Usage: "date_diff(end, start)", Result: "int32", Doc: "The number of days from start to end.",
			Examples: []Example{{"date_diff(DATE '2026-02-01', DATE '2026-01-31')", "1"}}, min: 2, max: 2,
			bind: typed(overload{args: args(date, date), result: i32, fn: map2(func(end, start int32) int32 { return end - start })}),
		},
		{
			Name: "to_date", Usage: "to_date(string[, 'pattern'])", Result: "date",
			Doc:      "The date that is written in the string, YYYY-MM-DD or by a pattern of yyyy MM dd.",
			Examples: []Example{{"to_date('2026-01-31')", "2026-01-31"}, {"to_date('31.01.2026', 'dd.MM.yyyy')", "2026-01-31"}}, min: 1, max: 2,
			bind: func(b *bound) node { return b.parsed(date) },
		},
		{
			Name: "to_timestamp", Usage: "to_timestamp(string[, 'pattern'])", Result: "timestamp",
			Doc:      "The time that is written in the string, as in RFC 3339 or by a pattern of yyyy MM dd HH mm ss SSS XXX; without XXX it is UTC.",
			Examples: []Example{{"to_timestamp('2026-01-31T12:00:00+02:00')", "2026-01-31T10:00:00Z"}, {"to_timestamp('20260131 120000', 'yyyyMMdd HHmmss')", "2026-01-31T12:00:00Z"}}, min: 1, max: 2,
			bind: func(b *bound) node { return b.parsed(ts) },
		},
		{
			Name: "from_unix_seconds", Usage: "from_unix_seconds(integer)", Result: "timestamp", Doc: "The time that many seconds after 1970-01-01, UTC.",
			Examples: []Example{{"from_unix_seconds(1767225600)", "2026-01-01T00:00:00Z"}}, min: 1, max: 1,
			bind: typed(overload{args: args(i64), result: ts, fn: fromUnix(moment.Second, "seconds")}),
		},
		{
			Name: "from_unix_millis", Usage: "from_unix_millis(integer)", Result: "timestamp", Doc: "The time that many milliseconds after 1970-01-01, UTC.",
			Examples: []Example{{"from_unix_millis(1767225600123)", "2026-01-01T00:00:00.123000Z"}}, min: 1, max: 1,
			bind: typed(overload{args: args(i64), result: ts, fn: fromUnix(1000, "milliseconds")}),
		},
		{
			Name: "unix_micros", Usage: "unix_micros(timestamp)", Result: "int64", Doc: "The microseconds since 1970-01-01, UTC.",
			Examples: []Example{{"unix_micros(TIMESTAMP '1970-01-01T00:00:01Z')", "1000000"}}, min: 1, max: 1,
			bind: typed(overload{args: args(ts), result: i64, fn: map1(func(t int64) int64 { return t })}),
		},
	}
}

func bindTrunc(b *bound) node {
	word, ok := b.constant(0, "the unit")
	if !ok {
		return nil
	}
	unit := -1
	for i, u := range moment.Units() {
		if strings.EqualFold(u, word) {
			unit = i
		}
	}
	if unit < 0 {
		fix := "there are " + strings.Join(moment.Units(), ", ")
		if near := syntax.Near(word, moment.Units()); near != "" {
			fix = "did you mean '" + near + "'?"
		}
		return b.fail(b.at(0), CodeValue, fmt.Sprintf("there is no unit %q", word), fix)
	}
	if !widens(b.args[1].typ(), typeTime()) {
		return b.wrong(1, "timestamp")
	}
	fn := map1(func(t int64) int64 { return moment.Trunc(moment.Unit(unit), t) }) //nolint:gosec // an index of Units
	return b.apply(&applyNode{t: typeTime(), fn: fn, args: []node{b.coerce(b.args[1], typeTime(), b.at(1))}}, b.call.Place)
}

func addDays(c *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		d, n := in[0].i32[i], in[1].i64[i]
		if n > moment.MaxDay-int64(d) || n < moment.MinDay-int64(d) {
			c.fail(i, CodeOverflow, fmt.Sprintf("%d days from %s is beyond the years 1 to 9999", n, moment.AppendDate(nil, d)))
			out.setNull(i)
			continue
		}
		out.i32[i] = d + int32(n) //nolint:gosec // checked
	}
}

func fromUnix(unit int64, name string) kernel {
	return try1(func(_ *ctx, n int64) (int64, string, string) {
		if n > moment.MaxMicros/unit || n < moment.MinMicros/unit {
			return 0, CodeOverflow, fmt.Sprintf("%d %s is beyond the years 1 to 9999", n, name)
		}
		return n * unit, "", ""
	})
}

// parsed is to_date or to_timestamp.
func (b *bound) parsed(t arrow.DataType) node {
	if k := kindOf(b.args[0].typ()); k != kindStr && k != kindNull {
		return b.wrong(0, "string")
	}
	x := b.coerce(b.args[0], typeString(), b.at(0))
	fn, _ := castKernel(typeString(), t)
	if len(b.args) == 2 {
		text, ok := b.constant(1, "the pattern")
		if !ok {
			return nil
		}
		p, err := moment.Compile(text)
		if err != nil {
			return b.fail(b.at(1), CodeValue, err.Error(), "write it like 'dd.MM.yyyy HH:mm:ss'")
		}
		if kindOf(t) == kindDate {
			if p.HasTime() {
				return b.fail(b.at(1), CodeValue, "a date has no hours", "write date(to_timestamp(string, 'pattern'))")
			}
			fn = try1(func(_ *ctx, s string) (int32, string, string) {
				v, ok := p.Parse(s)
				if !ok {
					return 0, CodeCast, quote(s) + " is not a date written as " + text
				}
				return moment.DayOf(v), "", ""
			})
		} else {
			fn = try1(func(_ *ctx, s string) (int64, string, string) {
				v, ok := p.Parse(s)
				if !ok {
					return 0, CodeCast, quote(s) + " is not a timestamp written as " + text
				}
				return v, "", ""
			})
		}
	}
	return b.apply(&applyNode{t: t, fn: fn, args: []node{x}}, b.call.Place)
}
