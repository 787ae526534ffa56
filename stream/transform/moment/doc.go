// Package moment reads, writes and cuts dates (days since 1970) and timestamps (microseconds since 1970, UTC), without
// allocating. There are no time zones but offsets: every timestamp is UTC once it is read. The calendar is the proleptic
// Gregorian one, years 1 to 9999. Nothing is guessed: a text that is not exactly of its form is refused.
package moment
