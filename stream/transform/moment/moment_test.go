package moment

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestCalendarAgreesWithTime(t *testing.T) {
	for days := int32(MinDay); days <= MaxDay; days += 13 {
		want := time.Unix(int64(days)*86400, 0).UTC()
		d := Civil(days)
		if d != (Date{want.Year(), int(want.Month()), want.Day()}) {
			t.Fatalf("day %d: got %v, want %v", days, d, want)
		}
		if back := Days(d); back != days {
			t.Fatalf("day %d: came back as %d", days, back)
		}
		if w := (int(want.Weekday())+6)%7 + 1; int(Weekday(days)) != w {
			t.Fatalf("day %d: weekday %d, want %d", days, Weekday(days), w)
		}
		text := string(AppendDate(nil, days))
		if got, ok := ParseDate(text); !ok || got != days || text != want.Format(time.DateOnly) {
			t.Fatalf("day %d: written %s, read %d %v", days, text, got, ok)
		}
	}
}

func TestTimestampsComeBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		micros := MinMicros + r.Int64N(MaxMicros-MinMicros+1)
		text := string(AppendTimestamp(nil, micros))
		got, ok := ParseTimestamp(text, false)
		std, err := time.Parse(time.RFC3339Nano, text)
		if !ok || got != micros || err != nil || std.UnixMicro() != micros {
			t.Fatalf("%d: written %s, read %d %v, by time %v %v", micros, text, got, ok, std, err)
		}
	}
}

func TestParseTimestamp(t *testing.T) {
	for _, c := range []struct {
		text, want string // want "": refused
	}{
		{"2026-01-01T00:10:00Z", "2026-01-01T00:10:00Z"},
		{"2026-01-01t00:10:00z", "2026-01-01T00:10:00Z"},
		{"2026-01-01 00:10:00+02:00", "2025-12-31T22:10:00Z"},
		{"2026-01-01T00:10:00-00:30", "2026-01-01T00:40:00Z"},
		{"2026-01-01T00:10:00.5Z", "2026-01-01T00:10:00.500000Z"},
		{"2026-01-01T00:10:00.123456789Z", "2026-01-01T00:10:00.123456Z"},
		{"1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
		{"0001-01-01T00:00:00+01:00", ""}, {"9999-12-31T23:59:59-01:00", ""}, {"0000-01-01T00:00:00Z", ""},
		{"2026-01-01T00:10:00", ""}, {"2026-01-01", ""}, {"2026-02-29T00:00:00Z", ""}, {"2026-13-01T00:00:00Z", ""}, {"2026-00-10T00:00:00Z", ""},
		{"2026-01-01T24:00:00Z", ""}, {"2026-01-01T00:60:00Z", ""}, {"2026-01-01T00:00:60Z", ""}, {"2026-01-01T00:00:00.Z", ""},
		{"2026-01-01T00:00:00+0100", ""}, {"2026-01-01T00:00:00+24:00", ""}, {"2026-01-01T00:00:00Z ", ""}, {" 2026-01-01T00:00:00Z", ""},
		{"1767225600", ""}, {"1767225600000", ""}, {"2026-1-1T00:00:00Z", ""}, {"+2026-01-01T00:00:00Z", ""}, {"", ""},
	} {
		got := ""
		if v, ok := ParseTimestamp(c.text, false); ok {
			got = string(AppendTimestamp(nil, v))
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
	if v, ok := ParseTimestamp("2026-01-01 00:10:00", true); !ok || string(AppendTimestamp(nil, v)) != "2026-01-01T00:10:00Z" {
		t.Error("a local timestamp is UTC")
	}
}

func TestTrunc(t *testing.T) {
	for _, c := range []struct{ unit, in, want string }{
		{"second", "1969-12-31T23:59:58.500000Z", "1969-12-31T23:59:58Z"},
		{"minute", "1969-12-31T23:59:58.500000Z", "1969-12-31T23:59:00Z"},
		{"hour", "1969-12-31T23:59:58.500000Z", "1969-12-31T23:00:00Z"},
		{"day", "1969-12-31T23:59:58.500000Z", "1969-12-31T00:00:00Z"},
		{"week", "2026-02-01T12:00:00Z", "2026-01-26T00:00:00Z"},
		{"week", "2026-01-26T00:00:00Z", "2026-01-26T00:00:00Z"},
		{"month", "2026-02-28T12:00:00Z", "2026-02-01T00:00:00Z"},
		{"quarter", "2026-06-30T12:00:00Z", "2026-04-01T00:00:00Z"},
		{"year", "2026-06-30T12:00:00Z", "2026-01-01T00:00:00Z"},
	} {
		for u, name := range Units() {
			if name != c.unit {
				continue
			}
			in, _ := ParseTimestamp(c.in, false)
			if got := string(AppendTimestamp(nil, Trunc(Unit(u), in))); got != c.want {
				t.Errorf("%s of %s: got %s, want %s", c.unit, c.in, got, c.want)
			}
		}
	}
}

func TestPattern(t *testing.T) {
	for _, c := range []struct{ pattern, in, want string }{
		{"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "2026-01-31T12:00:00.250+02:00", "2026-01-31T10:00:00.250000Z"},
		{"yyyyMMddHHmmss", "20260131120000", "2026-01-31T12:00:00Z"},
		{"dd/MM/yyyy", "31/01/2026", "2026-01-31T00:00:00Z"},
		{"dd/MM/yyyy", "30/02/2026", ""}, {"dd/MM/yyyy", "31/01/26", ""}, {"dd/MM/yyyy", "31/01/2026 ", ""}, {"dd/MM/yyyy", "", ""},
		{"yyyy-MM-dd HH", "2026-01-31 24", ""}, {"yyyy-MM-dd XXX", "2026-01-31 Z", "2026-01-31T00:00:00Z"}, {"yyyy-MM-dd XXX", "2026-01-31 +1", ""},
		{"yyyy''MM''dd", "2026'01'31", "2026-01-31T00:00:00Z"},
		{"ddé-MM-yyyy", "31é-01-2026", "2026-01-31T00:00:00Z"},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got := ""
		if v, ok := p.Parse(c.in); ok {
			got = string(AppendTimestamp(nil, v))
		}
		if got != c.want {
			t.Errorf("%q as %s: got %q, want %q", c.in, c.pattern, got, c.want)
		}
	}
	for _, bad := range []string{"", "yyyy-MM", "YYYY-MM-dd", "yy-MM-dd", "yyyy-MM-dd yyyy", "yyyy-MM-dd 'T", "yyyy-M-dd", "yyyy-MM-dd hh", "yyyy-MM-dd SSSSSSSSSS"} {
		if _, err := Compile(bad); err == nil {
			t.Errorf("pattern %q was accepted", bad)
		}
	}
}
