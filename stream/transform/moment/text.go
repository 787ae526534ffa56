package moment

// ParseDate reads YYYY-MM-DD.
func ParseDate(s string) (int32, bool) {
	if len(s) != 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	y, ok1 := digits(s[:4])
	m, ok2 := digits(s[5:7])
	d, ok3 := digits(s[8:])
	date := Date{y, m, d}
	if !ok1 || !ok2 || !ok3 || !date.Exists() {
		return 0, false
	}
	return Days(date), true
}

// ParseTimestamp reads RFC 3339: YYYY-MM-DD, T or a space, hh:mm:ss, a fraction of any length if there is one (digits
// beyond the microsecond are cut off), and Z or an offset ±hh:mm. With local, the offset may be missing and means UTC.
// Leap seconds and the hour 24 are refused.
func ParseTimestamp(s string, local bool) (int64, bool) {
	if len(s) < 19 || s[10] != 'T' && s[10] != 't' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	day, ok := ParseDate(s[:10])
	h, ok1 := digits(s[11:13])
	m, ok2 := digits(s[14:16])
	sec, ok3 := digits(s[17:19])
	if !ok || !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || sec > 59 {
		return 0, false
	}
	t := int64(day)*Day + int64(h)*Hour + int64(m)*Minute + int64(sec)*Second
	s = s[19:]
	if s != "" && s[0] == '.' {
		f, n := fraction(s[1:])
		if n == 0 {
			return 0, false
		}
		t += f
		s = s[1+n:]
	}
	offset, ok := zone(s, local)
	t -= offset
	return t, ok && t >= MinMicros && t <= MaxMicros
}

// fraction is the microseconds of the digits that s starts with, and how many there are.
func fraction(s string) (micros int64, n int) {
	unit := int64(Second / 10)
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		micros += int64(s[n]-'0') * unit
		unit /= 10
		n++
	}
	return micros, n
}

func zone(s string, local bool) (int64, bool) {
	if s == "" {
		return 0, local
	}
	if s == "Z" || s == "z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	h, ok1 := digits(s[1:3])
	m, ok2 := digits(s[4:])
	if !ok1 || !ok2 || h > 23 || m > 59 {
		return 0, false
	}
	o := int64(h)*Hour + int64(m)*Minute
	if s[0] == '-' {
		o = -o
	}
	return o, true
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// AppendDate writes YYYY-MM-DD.
func AppendDate(b []byte, days int32) []byte {
	d := Civil(days)
	b = pad(b, d.Year, 4)
	b = append(b, '-')
	b = pad(b, d.Month, 2)
	b = append(b, '-')
	return pad(b, d.Day, 2)
}

// AppendTimestamp writes YYYY-MM-DDThh:mm:ss[.ffffff]Z; the fraction is left out if it is zero.
func AppendTimestamp(b []byte, micros int64) []byte {
	b = AppendDate(b, DayOf(micros))
	t := int(TimeOf(micros))
	b = append(b, 'T')
	b = pad(b, t/Hour, 2)
	b = append(b, ':')
	b = pad(b, t/Minute%60, 2)
	b = append(b, ':')
	b = pad(b, t/Second%60, 2)
	if f := t % Second; f != 0 {
		b = append(b, '.')
		b = pad(b, f, 6)
	}
	return append(b, 'Z')
}

func pad(b []byte, n, width int) []byte {
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	var buf [20]byte
	i := len(buf)
	for ; n > 0 || width > 0; width-- {
		i--
		buf[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(b, buf[i:]...)
}
