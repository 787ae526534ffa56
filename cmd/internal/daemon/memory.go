package daemon

import "github.com/millrace/millrace/stream"

// DefaultMemory is the limit of a process that is not told one, where the machine has it. It leaves 192 MiB for input, of which
// 4 lanes have fetched some 60. If they write to 7 table partitions each, 28 open files share the rest, at 4.7 MiB each: rows,
// which are encoded early when memory is short, and a part of up to 5 MiB on its way to the store. With 24 partitions each
// it is 96 files at 1.4 MiB, less than a part: if a transaction brings more than that to each of them, files are closed
// before their time. Large files in so many partitions at once take 60 + 96 × (5 + 1) MiB, and a limit of 1.75 GiB.
const DefaultMemory = stream.Bytes(512 << 20)

// Budget is how much memory a process limited to limit fills with what is counted: fetched records, rows of open files, parts on
// their way. As much again is left for what is not: batches in the steps, room in buffers, and what has been let go and is
// not collected yet.
func Budget(limit stream.Bytes) stream.Bytes { return limit * 3 / 8 }

// Heap is how large the Go heap of such a process may grow, with what is not collected yet. The collector runs in time to
// stay below, the more often the less is left. The last quarter is for the program's code, 45 MiB that the system counts
// too, and for what exceeds the estimates. Under limits so low that the program alone exceeds them the collector must not
// run all the time: 48 MiB are enough beside what is counted.
func Heap(limit stream.Bytes) stream.Bytes { return max(limit*3/4, Budget(limit)+48<<20) }
