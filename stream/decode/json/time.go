package json

const (
	noDate      = "write YYYY-MM-DD"
	noTimestamp = "write it like 2026-01-31T23:59:59.999999Z"
	noDay       = "there is no such day"
	noZone      = "it has no Z or offset, and a zone is not guessed"

	daySeconds = 24 * 60 * 60
	firstDay   = -719162 // 0001-01-01
	lastDay    = 2932896 // 9999-12-31
)

// parseDate is the number of days from 1970-01-01 to s, or why s is no date.
func parseDate(s []byte) (days int, why string) {
	if len(s) != len("2006-01-02") {
		return 0, noDate
	}
	return datePart(s)
}

// datePart reads YYYY-MM-DD at the start of s, which is long enough.
func datePart(s []byte) (days int, why string) {
	y1, ok1 := two(s, 0)
	y2, ok2 := two(s, 2)
	m, ok3 := two(s, 5)
	d, ok4 := two(s, 8)
	if !ok1 || !ok2 || !ok3 || !ok4 || s[4] != '-' || s[7] != '-' {
		return 0, noDate
	}
	y := y1*100 + y2
	if y == 0 || m < 1 || m > 12 || d < 1 || d > monthDays(y, m) {
		return 0, noDay
	}
	return daysFromCivil(y, m, d), ""
}

func two(s []byte, i int) (int, bool) {
	a, b := s[i]-'0', s[i+1]-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

func monthDays(y, m int) int {
	switch m {
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysFromCivil counts days from 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so that
// the leap day is the last. See Howard Hinnant, chrono-Compatible Low-Level Date Algorithms. y is at least 1.
func daysFromCivil(y, m, d int) int {
	m -= 3
	if m < 0 {
		m += 12
		y--
	}
	era, yearOfEra := y/400, y%400
	dayOfYear := (153*m+2)/5 + d - 1
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

// parseTimestamp is s in microseconds since 1970 UTC, or why it is no timestamp. Grammar: RFC 3339 §5.6.
func parseTimestamp(s []byte) (us int64, why string) {
	if len(s) < len("2006-01-02T15:04:05") {
		return 0, noTimestamp
	}
	if s[10] != 'T' && s[10] != 't' && s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0, noTimestamp
	}
	days, why := datePart(s)
	if why == noDate {
		return 0, noTimestamp
	} else if why != "" {
		return 0, why
	}
	hour, ok1 := two(s, 11)
	minute, ok2 := two(s, 14)
	second, ok3 := two(s, 17)
	switch {
	case !ok1 || !ok2 || !ok3:
		return 0, noTimestamp
	case hour == 23 && minute == 59 && second == 60:
		return 0, "a leap second cannot be represented"
	case hour > 23 || minute > 59 || second > 59:
		return 0, "there is no such time of day"
	}
	micros, i, ok := fractionPart(s, 19)
	if !ok {
		return 0, noTimestamp
	}
	offset, why := zonePart(s[i:])
	if why != "" {
		return 0, why
	}
	secs := int64(days)*daySeconds + int64(hour*3600+minute*60+second-offset)
	if secs < firstDay*daySeconds || secs >= (lastDay+1)*daySeconds {
		return 0, "in UTC it lies outside the years 0001 to 9999"
	}
	return secs*1e6 + micros, ""
}

// fractionPart reads .digits at s[i], if it is there, and cuts it to microseconds.
func fractionPart(s []byte, i int) (micros int64, end int, ok bool) {
	if i >= len(s) || s[i] != '.' {
		return 0, i, true
	}
	i++
	from, unit := i, int64(100_000)
	for ; i < len(s) && isDigit(s[i]); i++ {
		micros += int64(s[i]-'0') * unit
		unit /= 10
	}
	return micros, i, i > from
}

// zonePart reads Z or an offset, which is all of s, in seconds east of UTC.
func zonePart(s []byte) (offset int, why string) {
	switch {
	case len(s) == 0:
		return 0, noZone
	case len(s) == 1 && (s[0] == 'Z' || s[0] == 'z'):
		return 0, ""
	case len(s) != len("+00:00") || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return 0, noTimestamp
	}
	hours, ok1 := two(s, 1)
	minutes, ok2 := two(s, 4)
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, noTimestamp
	}
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, ""
}
