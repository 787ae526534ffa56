// Package raw takes a record's value as it is, into one column of bytes or text.
package raw
