package kafka

import (
	"math"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
)

// TestTimesOfRecords: the client counts nanoseconds in 64 bits, so what it says of years before 1678 and after 2262 is not what was written.
func TestTimesOfRecords(t *testing.T) {
	t.Parallel()
	asClient := func(ms int64) time.Time { return time.Unix(0, ms*1e6) }
	if got := micros(time.Time{}); got != stream.NoTime {
		t.Errorf("a record of the oldest format: got %d, want none", got)
	}
	for _, c := range []struct {
		ms   int64
		want stream.Micros
	}{
		{-1, stream.NoTime}, {0, 0}, {1, 1000}, {-2, -2000}, {1_700_000_000_123, 1_700_000_000_123_000},
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), -62135596800_000_000},
		{time.Date(1600, 2, 29, 1, 2, 3, 0, time.UTC).UnixMilli(), stream.Micros(time.Date(1600, 2, 29, 1, 2, 3, 0, time.UTC).UnixMicro())},
		{time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC).UnixMilli(), 253402300799_999_000},
		{time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), stream.Micros(time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro())},
		{1_700_000_000_000_000, 1_700_000_000_000_000_000}, // microseconds where milliseconds belong
		{math.MaxInt64 / 1000, math.MaxInt64 / 1000 * 1000}, {math.MaxInt64/1000 + 1, math.MaxInt64},
		{-math.MaxInt64 / 1000, -math.MaxInt64 / 1000 * 1000}, {-math.MaxInt64/1000 - 1, math.MinInt64},
	} {
		if got := micros(asClient(c.ms)); got != c.want {
			t.Errorf("%d ms: got %d, want %d", c.ms, got, c.want)
		}
	}
}
