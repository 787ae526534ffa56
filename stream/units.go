package stream

import (
	"fmt"
	"strconv"
	"strings"
)

// Bytes is a size, written with a unit in configurations: 256MiB.
type Bytes int64

//nolint:gochecknoglobals // a table that nobody writes
var byteUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

// ParseBytes reads a size with a unit. A bare number is refused: of 10 nobody knows whether it is bytes or megabytes.
func ParseBytes(s string) (Bytes, error) {
	for _, u := range byteUnits {
		num, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		num = strings.TrimSuffix(num, " ")
		f, err := strconv.ParseFloat(num, 64)
		if err != nil || !plainDecimal(num) || f*float64(u.size) > 1<<62 {
			return 0, fmt.Errorf("%q is not a size", s)
		}
		return Bytes(f * float64(u.size)), nil
	}
	return 0, fmt.Errorf("%q has no unit; write it like 256MiB, 1GiB or 64KiB", s)
}

// plainDecimal tells whether s is digits, with a fraction or without: ParseFloat takes 1e3, 0x10, 1_0, NaN and -0 as well.
func plainDecimal(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (!point || digits(fraction))
}

// String writes the size with the largest unit that leaves at least 1, and one decimal if it is not whole.
func (b Bytes) String() string {
	for _, u := range byteUnits[:4] {
		if int64(b) >= u.size {
			if int64(b)%u.size == 0 {
				return strconv.FormatInt(int64(b)/u.size, 10) + u.name
			}
			return strconv.FormatFloat(float64(b)/float64(u.size), 'f', 1, 64) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// Secret is a string that never prints.
type Secret string

const hidden = "***"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return hidden }

// MarshalText hides the secret from JSON, YAML and slog.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal is the secret itself, for the one place that logs in with it.
func (s Secret) Reveal() string { return string(s) }
