package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/stream"
)

// Plain values are read strictly: what another YAML reader would take for something else is refused, not guessed at.

// str is a text. An unquoted number or word of truth is none, because the next reader may see 1000, or false.
func (l *loader) str(n *node, path string) (string, bool) {
	if !n.plain() || len(n.subs) > 0 {
		return n.text, true
	}
	what := map[string]string{"!!int": "a number", "!!float": "a number", "!!bool": "true or false"}[n.tag]
	if what == "" && surprising(n.text) {
		what = "a truth value to some readers of YAML"
	}
	if what == "" {
		return n.text, true
	}
	l.fault(n.span(), codeType, "%s takes a text; unquoted, %s is %s", path, n.text, what).Fix = `quote it: "` + n.text + `"`
	return "", false
}

// surprising tells whether YAML 1.1 reads s as a bool.
func surprising(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		return true
	}
	return false
}

func (l *loader) boolean(n *node, path string) (bool, bool) {
	if n.plain() || len(n.subs) > 0 {
		switch n.text {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	f := l.fault(n.span(), codeType, "%s takes true or false, not %s", path, n.show())
	if n.secret {
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "y", "yes", "on", "true", "1":
		f.Fix = "write true"
	case "n", "no", "off", "false", "0":
		f.Fix = "write false"
	}
	return false, false
}

var (
	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	anyNumber   = regexp.MustCompile(`^[+-]?[0-9][0-9_]*\.?[0-9]*([eE][+-]?[0-9]+)?$`)
)

func (l *loader) integer(n *node, path string, bits int) (int64, bool) {
	if (n.plain() || len(n.subs) > 0) && wholeNumber.MatchString(n.text) {
		i, err := strconv.ParseInt(n.text, 10, bits)
		if err != nil {
			l.fault(n.span(), codeRange, "%s: %s is too large", path, n.show())
		}
		return i, err == nil
	}
	f := l.fault(n.span(), codeType, "%s takes a whole number, not %s", path, n.show())
	octal := len(n.text) > 1 && n.text[0] == '0' && !strings.ContainsAny(n.text, "xXbB.eE")
	if x, err := strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64); err == nil && !octal && x == math.Trunc(x) && math.Abs(x) < 1<<53 && !n.secret {
		f.Fix = "write " + strconv.FormatFloat(x, 'f', 0, 64)
	} else if x, err := strconv.ParseInt(n.text, 0, 64); err == nil && !octal && !n.secret {
		f.Fix = "write " + strconv.FormatInt(x, 10)
	}
	return 0, false
}

func (l *loader) float(n *node, path string) (float64, bool) {
	if (n.plain() || len(n.subs) > 0) && anyNumber.MatchString(n.text) {
		if x, err := strconv.ParseFloat(n.text, 64); err == nil {
			return x, true
		}
	}
	l.fault(n.span(), codeType, "%s takes a number, not %s", path, n.show())
	return 0, false
}

// maxDuration is ten years: what is longer was meant otherwise.
const maxDuration = 10 * 365 * 24 * time.Hour

func (l *loader) duration(n *node, path string) (time.Duration, bool) {
	d, err := parseDuration(n.text)
	switch {
	case err == nil && d < 0:
		l.fault(n.span(), codeRange, "%s: %s is negative", path, n.show())
	case err == nil && d > maxDuration:
		l.fault(n.span(), codeRange, "%s: %s is more than ten years", path, n.show())
	case err == nil:
		return d, true
	case anyNumber.MatchString(n.text):
		f := l.fault(n.span(), codeUnit, "%s: %s has no unit", path, n.show())
		f.Fix = "write 10s, 5m, 2h or 7d"
		if wholeNumber.MatchString(n.text) && n.text != "0" && !n.secret {
			f.Fix = fmt.Sprintf("write %ss, %sm or %sh", n.text, n.text, n.text)
		}
	default:
		l.fault(n.span(), codeType, "%s takes a duration, not %s", path, n.show()).Fix = "write 10s, 5m, 2h or 7d"
	}
	return 0, false
}

// parseDuration is time.ParseDuration with days, and without the 0 that needs no unit.
func parseDuration(s string) (time.Duration, error) {
	var days time.Duration
	if num, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseInt(num, 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is no duration", s)
		}
		if n > 1<<17 || n < -1<<17 {
			return maxDuration + 1, nil
		}
		if days = time.Duration(n) * 24 * time.Hour; rest == "" {
			return days, nil
		}
		s = rest
	}
	if strings.TrimLeft(s, "+-0.") == "" {
		return 0, fmt.Errorf("%q has no unit", s)
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, err
	}
	return days + d, nil
}

func (l *loader) bytes(n *node, path string) (stream.Bytes, bool) {
	b, err := stream.ParseBytes(n.text)
	switch {
	case err == nil && strictSize.MatchString(n.text):
		return b, true
	case anyNumber.MatchString(n.text):
		f := l.fault(n.span(), codeUnit, "%s: %s has no unit", path, n.show())
		f.Fix = "write 64KiB, 256MiB or 1GiB"
		if wholeNumber.MatchString(n.text) && n.text[0] != '-' && n.text != "0" && !n.secret {
			f.Fix = fmt.Sprintf("write %sB, %sKiB or %sMiB", n.text, n.text, n.text)
		}
	case strings.HasPrefix(n.text, "-") && !strings.ContainsAny(n.text, " "):
		l.fault(n.span(), codeRange, "%s: %s is negative", path, n.show())
	default:
		f := l.fault(n.span(), codeType, "%s takes a size, not %s", path, n.show())
		f.Fix = "write 64KiB, 256MiB or 1GiB"
		if u := sizeWithUnit(n.text); u != "" && !n.secret {
			f.Fix = "write " + u
		}
	}
	return 0, false
}

// strictSize keeps out what ParseFloat takes besides: 1e3, 0x10, NaN.
var strictSize = regexp.MustCompile(`^[0-9]+(\.[0-9]+)? ?[kKMGT]?i?B$`)

var looseSize = regexp.MustCompile(`^([0-9.]+)\s*([kKmMgGtT])([iI]?)[bB]?$`)

// sizeWithUnit is what 256mb and 64k were meant to be.
func sizeWithUnit(s string) string {
	m := looseSize.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return m[1] + strings.ToUpper(m[2]) + "iB"
}

// share is a part of one, written 5%.
type share float64

// patience is a duration that may be `never`, which is 0.
type patience time.Duration

// percent reads 5% as 0.05.
func (l *loader) percent(n *node, path string) (float64, bool) {
	num, ok := strings.CutSuffix(n.text, "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
	switch {
	case err != nil || !anyNumber.MatchString(strings.TrimSpace(num)) && x >= 0:
		l.fault(n.span(), codeType, "%s takes a share like 5%%, not %s", path, n.show())
	case !ok:
		l.fault(n.span(), codeUnit, "%s: %s has no unit", path, n.show()).Fix = fmt.Sprintf("write %s%% or %s%%", num, strconv.FormatFloat(x*100, 'f', -1, 64))
	case x < 0 || x > 100:
		l.fault(n.span(), codeRange, "%s: %s is not between 0%% and 100%%", path, n.show())
	default:
		return x / 100, true
	}
	return 0, false
}
