package json

import (
	"bytes"
	"hash/maphash"
)

// maxKeys bounds the keys of one record that are not columns, so that the table of keys stays below some 20 MB. Only
// members of maps and of what is skipped count.
const maxKeys = 1 << 17

// keySet finds keys that come twice. One table serves all objects of a record, each of which has a number. The hash is
// seeded, so that no producer can choose keys that collide.
type keySet struct {
	seed    maphash.Seed
	slots   []slot // open addressing, a power of two of them
	used    int
	record  uint64 // slots of other records are free: nothing is cleared in between
	objects uint32
	arena   []byte // the keys' bytes
}

type slot struct {
	record   uint64
	hash     uint64
	object   uint32
	from, to uint32
	index    int // of the entry in its map
}

func (s *keySet) init() {
	s.seed = maphash.MakeSeed()
	s.slots = make([]slot, 64)
}

// reset forgets all keys.
func (s *keySet) reset() {
	s.record++
	s.used, s.objects, s.arena = 0, 0, s.arena[:0]
}

// open gives a number to the next object.
func (s *keySet) open() uint32 {
	s.objects++
	return s.objects
}

// add puts key of object into the set, with index, and returns its slot, until the next add. found: it was there, with the index it
// had. ok is false when the record has too many keys.
func (s *keySet) add(object uint32, key []byte, index int) (at int, found, ok bool) {
	hash := maphash.Bytes(s.seed, key) ^ uint64(object)*0x9E3779B97F4A7C15
	mask := len(s.slots) - 1
	at = int(hash) & mask //nolint:gosec // any bits will do
	for ; s.slots[at].record == s.record; at = (at + 1) & mask {
		p := &s.slots[at]
		if p.hash == hash && p.object == object && bytes.Equal(s.arena[p.from:p.to], key) {
			return at, true, true
		}
	}
	if s.used >= maxKeys {
		return 0, false, false
	}
	if s.used++; s.used > len(s.slots)/2 {
		s.grow()
		at = s.free(hash)
	}
	from := len(s.arena)
	s.arena = append(s.arena, key...)
	s.slots[at] = slot{s.record, hash, object, uint32(from), uint32(len(s.arena)), index} //nolint:gosec // records are below 2^32 bytes
	return at, false, true
}

func (s *keySet) free(hash uint64) int {
	mask := len(s.slots) - 1
	at := int(hash) & mask //nolint:gosec // any bits will do
	for s.slots[at].record == s.record {
		at = (at + 1) & mask
	}
	return at
}

func (s *keySet) grow() {
	old := s.slots
	s.slots = make([]slot, 2*len(old))
	for i := range old {
		if old[i].record == s.record {
			s.slots[s.free(old[i].hash)] = old[i]
		}
	}
}
