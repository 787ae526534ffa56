package generate

import "time"

// Options shape the orders. Shares are parts of one, and exclude each other in the order of the fields: their sum is at
// most 1.
type Options struct {
	Seed  uint64
	Start time.Time     // the earliest created_at; zero: 2026-01-01 UTC
	Span  time.Duration // created_at is spread evenly over it, whatever the record's number; 0: one day

	Broken  float64 // cut JSON: dead letter bad_json
	Missing float64 // without customer_id: dead letter missing_required
	Wrong   float64 // quantity is a word: dead letter wrong_type
	Null    float64 // null value
	Test    float64 // status is "test": for a filter to remove
	Free    float64 // amount is 0: for a filter to remove
}

// Demo is what the quickstart's topic looks like: mostly good, a few of each fault.
func Demo() Options {
	return Options{Seed: 1, Span: 7 * 24 * time.Hour, Broken: 0.0001, Missing: 0.0001, Wrong: 0.0001, Test: 0.01, Free: 0.001}
}

// Fate is what should become of a record.
type Fate uint8

// The fates.
const (
	Row      Fate = iota // a row of the table
	Filtered             // a row that `status <> 'test' AND amount > 0` removes
	Dead                 // a dead letter
	Skipped              // a null value
)

// String is the fate as a word.
func (f Fate) String() string { return [...]string{"row", "filtered", "dead", "skipped"}[f] }

// Expected is the fate of one record; of a dead letter also its code and column.
type Expected struct {
	Fate         Fate
	Code, Column string
}

// Order is what the columns of a record that decodes hold.
type Order struct {
	OrderID    string
	CustomerID string
	Country    string // as sent: one in eight is in lower case behind a blank
	Cents      int64  // amount is decimal(18,2)
	Currency   string
	Quantity   int32
	Status     string
	Channel    string
	Email      string
	CreatedAt  time.Time // whole microseconds, UTC
}
