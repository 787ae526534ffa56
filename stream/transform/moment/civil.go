package moment

// Microseconds of the units of time.
const (
	Second = 1_000_000
	Minute = 60 * Second
	Hour   = 60 * Minute
	Day    = 24 * Hour
)

// The first and the last day and microsecond that can be written.
const (
	MinDay    = -719162                   // 0001-01-01
	MaxDay    = 2932896                   // 9999-12-31
	MinMicros = int64(MinDay) * Day       // 0001-01-01T00:00:00Z
	MaxMicros = (int64(MaxDay)+1)*Day - 1 // 9999-12-31T23:59:59.999999Z
)

// Date is a day of the calendar.
type Date struct{ Year, Month, Day int }

// Civil is the calendar day of a number of days since 1970. Source: Howard Hinnant, chrono-compatible low-level date
// algorithms, civil_from_days.
func Civil(days int32) Date {
	z := int(days) + 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := Date{yoe + era*400, mp + 3, doy - (153*mp+2)/5 + 1}
	if mp >= 10 {
		d.Month -= 12
		d.Year++
	}
	return d
}

// Days is the number of days since 1970 of a day of the calendar, which must exist. Source: as Civil, days_from_civil.
func Days(d Date) int32 {
	y, m := d.Year, d.Month
	if m <= 2 {
		y--
		m += 12
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d.Day - 1
	return int32(era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468) //nolint:gosec // years have 4 digits
}

// Exists tells whether there is such a day, in the years 1 to 9999.
func (d Date) Exists() bool {
	if d.Year < 1 || d.Year > 9999 || d.Month < 1 || d.Month > 12 || d.Day < 1 {
		return false
	}
	return d.Day <= monthDays(d.Year, d.Month)
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

// DayOf is the UTC day of a timestamp.
func DayOf(micros int64) int32 { return int32(floorDiv(micros, Day)) } //nolint:gosec // 2^63 microseconds are 1e8 days

// TimeOf is the time of day of a timestamp, in microseconds.
func TimeOf(micros int64) int64 { return micros - floorDiv(micros, Day)*Day }

// Weekday is 1 for Monday to 7 for Sunday (ISO 8601).
func Weekday(days int32) int32 { return (days%7+3+7)%7 + 1 } // 1970-01-01 was a Thursday

func floorDiv[T int | int64](a, b T) T {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Unit is what Trunc cuts to.
type Unit uint8

// The units, in the order in which Units names them.
const (
	ToSecond Unit = iota
	ToMinute
	ToHour
	ToDay
	ToWeek // begins on Monday
	ToMonth
	ToQuarter
	ToYear
)

// Units is the names of the units.
func Units() []string {
	return []string{"second", "minute", "hour", "day", "week", "month", "quarter", "year"}
}

// Trunc is the start of the unit that a timestamp lies in.
func Trunc(u Unit, micros int64) int64 {
	switch u {
	case ToSecond:
		return floorDiv(micros, Second) * Second
	case ToMinute:
		return floorDiv(micros, Minute) * Minute
	case ToHour:
		return floorDiv(micros, Hour) * Hour
	case ToDay:
		return floorDiv(micros, Day) * Day
	default:
	}
	day := DayOf(micros)
	if u == ToWeek {
		return int64(day-Weekday(day)+1) * Day
	}
	d := Civil(day)
	d.Day = 1
	switch u {
	case ToQuarter:
		d.Month -= (d.Month - 1) % 3
	case ToYear:
		d.Month = 1
	default:
	}
	return int64(Days(d)) * Day
}
