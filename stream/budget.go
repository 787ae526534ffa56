package stream

import "sync/atomic"

// Budget counts the memory that grows with input, in bytes: fetch buffers, open files, state. One is shared by the whole
// process. It refuses nothing: whoever finds it over its limit gives back, sinks by closing their coldest file, readers by
// pausing. The zero value has no limit.
type Budget struct {
	Limit int64
	used  atomic.Int64
}

// Add counts n bytes more, or fewer.
func (b *Budget) Add(n int64) { b.used.Add(n) }

// Used is the number of bytes counted.
func (b *Budget) Used() int64 { return b.used.Load() }

// Over is by how many bytes the limit is exceeded; 0 or less: it is not.
func (b *Budget) Over() int64 {
	if b.Limit <= 0 {
		return 0
	}
	return b.used.Load() - b.Limit
}
