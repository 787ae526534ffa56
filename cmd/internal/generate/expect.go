package generate

import "time"

// Expect tells what should become of record seq where customer_id is required and quantity a number, null values are
// skipped, and a filter keeps `status <> 'test' AND amount > 0`.
func (g *Generator) Expect(seq int64) Expected {
	switch d := g.draft(seq); d.kind {
	case broken:
		return Expected{Fate: Dead, Code: "bad_json"}
	case missing:
		return Expected{Fate: Dead, Code: "missing_required", Column: "customer_id"}
	case wrong:
		return Expected{Fate: Dead, Code: "wrong_type", Column: "quantity"}
	case null:
		return Expected{Fate: Skipped}
	case test, free:
		return Expected{Fate: Filtered}
	default:
		return Expected{Fate: Row}
	}
}

// Order is what the columns of record seq hold, if it decodes at all.
func (g *Generator) Order(seq int64) Order {
	d := g.draft(seq)
	return Order{
		OrderID:    string(appendID(nil, &d)),
		CustomerID: string(appendCustomer(nil, d.customer)),
		Country:    d.countryText(),
		Cents:      d.cents,
		Currency:   currencies[d.country],
		Quantity:   d.quantity,
		Status:     d.statusText(),
		Channel:    channels[d.channel],
		Email:      string(appendEmail(nil, &d)),
		CreatedAt:  time.UnixMicro(d.micros).UTC(),
	}
}

// Totals adds up what records 0 to n-1 should become.
type Totals struct {
	Rows, Filtered, Dead, Skipped int64
	Cents                         int64 // of the rows
}

// Totals counts the fates of the records from number from to before number to.
func (g *Generator) Totals(from, to int64) (t Totals) {
	for seq := from; seq < to; seq++ {
		switch d := g.draft(seq); d.kind {
		case good:
			t.Rows++
			t.Cents += d.cents
		case test, free:
			t.Filtered++
		case null:
			t.Skipped++
		default:
			t.Dead++
		}
	}
	return t
}
