package json

import (
	"fmt"

	"github.com/millrace/millrace/stream"
)

// Values of the policies.
const (
	deadLetter = "dead_letter"
	lastWins   = "last_wins"
	ignore     = "ignore"
	evolve     = "evolve"
	replace    = "replace"
)

// Config says what to do where JSON leaves room.
type Config struct {
	DuplicateKeys string `yaml:"duplicate_keys" doc:"A key that comes twice in one object: dead_letter or last_wins."`
	ExtraFields   string `yaml:"extra_fields" doc:"A key that is not in the schema: ignore (and count) or dead_letter."`
	InvalidUTF8   string `yaml:"invalid_utf8" doc:"Text that is not UTF-8, and halves of surrogate pairs: dead_letter or replace (by U+FFFD)."`
}

// DefaultConfig dead-letters everything doubtful and ignores extra fields.
func DefaultConfig() Config {
	return Config{DuplicateKeys: deadLetter, ExtraFields: ignore, InvalidUTF8: deadLetter}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() []stream.Fault {
	var fs []stream.Fault
	for _, p := range []struct{ path, got, one, two string }{
		{"duplicate_keys", c.DuplicateKeys, deadLetter, lastWins},
		{"extra_fields", c.ExtraFields, ignore, deadLetter},
		{"invalid_utf8", c.InvalidUTF8, deadLetter, replace},
	} {
		fix := "write " + p.one + " or " + p.two
		switch {
		case p.got == p.one || p.got == p.two:
		case p.got == evolve && p.path == "extra_fields":
			fs = append(fs, stream.Fault{Path: p.path, Code: "E1211", Text: "evolve is not yet known to this version", Fix: fix + ", and add new columns to the schema"})
		default:
			fs = append(fs, stream.Fault{Path: p.path, Code: "E1210", Text: fmt.Sprintf("%q is no policy for %s", p.got, p.path), Fix: fix})
		}
	}
	return fs
}
