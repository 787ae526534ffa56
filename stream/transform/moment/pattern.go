package moment

import "fmt"

// Pattern is a compiled form of dates and times, in the letters that Spark and Java use.
type Pattern struct {
	items []item
	time  bool // has an hour, minute, second, fraction or offset
}

type item struct {
	field byte // one of y M d H m s S X; 0: literal
	width int
	text  string
}

// written is how a letter has to stand in a pattern; empty: it is not known.
func written(letter byte) string {
	switch letter {
	case 'y':
		return "yyyy"
	case 'M', 'd', 'H', 'm', 's':
		return string([]byte{letter, letter})
	case 'S':
		return "S to SSSSSSSSS"
	case 'X':
		return "XXX"
	}
	return ""
}

// Compile reads a pattern: yyyy MM dd HH mm ss S… (fraction) XXX (Z or ±hh:mm), 'quoted text' and punctuation.
func Compile(pattern string) (*Pattern, error) {
	p := &Pattern{}
	seen := map[byte]bool{}
	for i := 0; i < len(pattern); {
		c := pattern[i]
		n := 1
		switch {
		case c == '\'':
			end := i + 1
			for end < len(pattern) && pattern[end] != '\'' {
				end++
			}
			if end == len(pattern) {
				return nil, fmt.Errorf("the quote in %q is never closed", pattern)
			}
			text := pattern[i+1 : end]
			if text == "" {
				text = "'"
			}
			p.items = append(p.items, item{text: text})
			n = end + 1 - i
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			for i+n < len(pattern) && pattern[i+n] == c {
				n++
			}
			word := written(c)
			if word == "" {
				return nil, fmt.Errorf("no letter %q in patterns; there are yyyy MM dd HH mm ss SSS XXX", c)
			}
			if c != 'S' && pattern[i:i+n] != word || n > 9 {
				return nil, fmt.Errorf("%s in a pattern is written %s", pattern[i:i+n], word)
			}
			if seen[c] {
				return nil, fmt.Errorf("%s stands twice in the pattern", word)
			}
			seen[c] = true
			p.time = p.time || c != 'y' && c != 'M' && c != 'd'
			p.items = append(p.items, item{field: c, width: n})
		default:
			p.items = append(p.items, item{text: pattern[i : i+1]})
		}
		i += n
	}
	if !seen['y'] || !seen['M'] || !seen['d'] {
		return nil, fmt.Errorf("the pattern %q needs yyyy, MM and dd", pattern)
	}
	return p, nil
}

// HasTime tells whether the pattern reads more than a day.
func (p *Pattern) HasTime() bool { return p.time }

// Parse reads all of s. Without an offset in the pattern, the time is UTC.
func (p *Pattern) Parse(s string) (int64, bool) {
	var d Date
	t := int64(0)
	for _, it := range p.items {
		switch it.field {
		case 0:
			if len(s) < len(it.text) || s[:len(it.text)] != it.text {
				return 0, false
			}
			s = s[len(it.text):]
			continue
		case 'X':
			n := 6
			if s != "" && (s[0] == 'Z' || s[0] == 'z') {
				n = 1
			}
			if len(s) < n {
				return 0, false
			}
			o, ok := zone(s[:n], false)
			if !ok {
				return 0, false
			}
			t -= o
			s = s[n:]
			continue
		}
		if len(s) < it.width {
			return 0, false
		}
		v, ok := digits(s[:it.width])
		if !ok {
			return 0, false
		}
		switch it.field {
		case 'y':
			d.Year = v
		case 'M':
			d.Month = v
		case 'd':
			d.Day = v
		case 'H':
			ok = v < 24
			t += int64(v) * Hour
		case 'm':
			ok = v < 60
			t += int64(v) * Minute
		case 's':
			ok = v < 60
			t += int64(v) * Second
		case 'S':
			f, _ := fraction(s[:it.width])
			t += f
		}
		if !ok {
			return 0, false
		}
		s = s[it.width:]
	}
	if s != "" || !d.Exists() {
		return 0, false
	}
	t += int64(Days(d)) * Day
	return t, t >= MinMicros && t <= MaxMicros
}
