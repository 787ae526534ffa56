package generate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/cmd/internal/generate"
)

func mixed() generate.Options {
	return generate.Options{Seed: 7, Span: 3 * 24 * time.Hour, Broken: 0.05, Missing: 0.05, Wrong: 0.05, Null: 0.05, Test: 0.1, Free: 0.05}
}

// TestRecordsAreWhatTheyAreExpectedToBe reads each record with the standard library and compares it with the truth.
func TestRecordsAreWhatTheyAreExpectedToBe(t *testing.T) {
	g := generate.Orders(mixed())
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	days := map[string]int{}
	var buf []byte
	for seq := range int64(20_000) {
		out, key, value := g.Append(buf[:0], seq)
		buf = out
		want, e := g.Order(seq), g.Expect(seq)
		if string(key) != want.OrderID {
			t.Fatalf("record %d: got key %s, want %s", seq, key, want.OrderID)
		}
		var got struct {
			OrderID    string      `json:"order_id"`
			CustomerID string      `json:"customer_id"`
			Country    string      `json:"country"`
			Amount     json.Number `json:"amount"`
			Currency   string      `json:"currency"`
			Quantity   any         `json:"quantity"`
			Status     string      `json:"status"`
			Channel    string      `json:"channel"`
			Email      string      `json:"email"`
			CreatedAt  time.Time   `json:"created_at"`
		}
		dec := json.NewDecoder(bytes.NewReader(value))
		dec.DisallowUnknownFields()
		err := dec.Decode(&got)
		code, column := "", ""
		switch {
		case value == nil:
		case err != nil:
			code = "bad_json"
		case got.CustomerID == "":
			code, column = "missing_required", "customer_id"
		case got.Quantity == "many":
			code, column = "wrong_type", "quantity"
		}
		if e.Code != code || e.Column != column || (e.Fate == generate.Dead) != (code != "") || (e.Fate == generate.Skipped) != (value == nil) {
			t.Fatalf("record %d: expected %+v, got %s %s from %s", seq, e, code, column, value)
		}
		if e.Fate != generate.Row && e.Fate != generate.Filtered {
			continue
		}
		if kept := got.Status != "test" && got.Amount != "0.00"; kept != (e.Fate == generate.Row) {
			t.Fatalf("record %d: expected %s, got %s", seq, e.Fate, value)
		}
		have := generate.Order{
			OrderID: got.OrderID, CustomerID: got.CustomerID, Country: got.Country, Cents: want.Cents, Currency: got.Currency,
			Quantity: int32(got.Quantity.(float64)), Status: got.Status, Channel: got.Channel, Email: got.Email, CreatedAt: got.CreatedAt,
		}
		if have != want || string(got.Amount) != fmt.Sprintf("%d.%02d", want.Cents/100, want.Cents%100) {
			t.Fatalf("record %d: got %+v %s, want %+v", seq, have, got.Amount, want)
		}
		if at := got.CreatedAt; at.Before(start) || !at.Before(start.AddDate(0, 0, 3)) {
			t.Fatalf("record %d: created at %s", seq, at)
		}
		days[got.CreatedAt.Format("2006-01-02")]++
	}
	if len(days) != 3 {
		t.Errorf("got days %v, want 3", days)
	}
}

func TestShares(t *testing.T) {
	const n = 100_000
	got := generate.Orders(mixed()).Totals(0, n)
	near := func(name string, got int64, share float64) {
		if want := share * n; float64(got) < 0.95*want || float64(got) > 1.05*want {
			t.Errorf("%s: got %d, want about %.0f", name, got, want)
		}
	}
	near("dead", got.Dead, 0.15)
	near("skipped", got.Skipped, 0.05)
	near("filtered", got.Filtered, 0.15)
	near("rows", got.Rows, 0.65)
	if all := generate.Orders(generate.Options{}).Totals(0, n); all.Rows != n {
		t.Errorf("without shares: got %+v, want %d rows", all, n)
	}
}

func TestSeedsDifferAndRepeat(t *testing.T) {
	one := func(seed uint64) string {
		_, _, v := generate.Orders(generate.Options{Seed: seed}).Append(nil, 5)
		return string(v)
	}
	if first, again := one(1), one(1); first != again || first == one(2) {
		t.Errorf("got %s, %s, %s", one(1), one(1), one(2))
	}
}

// TestPinned keeps the records from changing unnoticed: results of benchmarks are compared over time.
func TestPinned(t *testing.T) {
	_, key, value := generate.Orders(generate.Options{Seed: 1}).Append([]byte("before"), 42)
	want := `{"order_id":"ord-000000000042-e1ce980e3d","customer_id":"cus-01088906","country":"GB","amount":78.97,"currency":"GBP","quantity":6,` +
		`"status":"returned","channel":"web-shop","email":"customer.1088906@mail.example.net","created_at":"2026-01-01T03:17:13.130404Z"}`
	if string(key) != "ord-000000000042-e1ce980e3d" || string(value) != want {
		t.Errorf("got %s %s", key, value)
	}
}

func TestSizes(t *testing.T) {
	g := generate.Orders(generate.Options{Seed: 3})
	total := 0
	for seq := range int64(1000) {
		_, _, v := g.Append(nil, seq)
		total += len(v)
	}
	if mean := total / 1000; mean < 255 || mean > 277 {
		t.Errorf("got %d bytes a record, want about 266", mean)
	}
	fields := generate.Fields()
	_, _, v := g.Append(nil, 0)
	at := 0
	for _, f := range fields {
		i := strings.Index(string(v), `"`+f[0]+`":`)
		if i < at {
			t.Errorf("field %s is not where Fields says: %s", f[0], v)
		}
		at = i
	}
}

func BenchmarkAppend(b *testing.B) {
	g := generate.Orders(generate.Demo())
	var buf []byte
	seq := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = g.Append(buf[:0], seq)
		seq++
	}
	b.SetBytes(int64(len(buf)))
}

func TestNoAllocations(t *testing.T) {
	g := generate.Orders(mixed())
	buf := make([]byte, 0, 1024)
	seq := int64(0)
	if n := testing.AllocsPerRun(1000, func() { buf, _, _ = g.Append(buf[:0], seq); seq++ }); n != 0 {
		t.Errorf("got %v allocations a record, want 0", n)
	}
}
