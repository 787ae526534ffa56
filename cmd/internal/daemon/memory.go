package daemon

import "github.com/millrace/millrace/stream"

// own is what the program takes by itself: 40 MiB of its own code, which the system counts too, and the rest for clients,
// connections and stacks.
const own = stream.Bytes(64 << 20)

// DefaultMemory is the limit of a process that is not told one, where the machine has it. It leaves 224 MiB for input. 4 lanes
// that write to 7 table partitions each have 28 open files, at 8 MiB each: rows, which are encoded early when memory is
// short, and a part of up to 5 MiB on its way to the store. With 24 partitions each it is 96 files at 2.3 MiB, less than a
// part: if a transaction brings more than that to each of them, files are closed before their time. Large files in so many
// partitions at once take 96 × (5 + 1) MiB for parts and rows, and a limit of 1.25 GiB.
const DefaultMemory = stream.Bytes(512 << 20)

// Budget is how much memory a process limited to limit fills with what is counted: fetched records, rows of open files, parts on
// their way. As much again is left for what is not: batches in the steps, encoders at work, the room in buffers, and what
// has been let go and is not collected yet.
func Budget(limit stream.Bytes) stream.Bytes { return max((limit-own)/2, limit/4) }

// Heap is how large the Go heap of such a process may grow, with what is not collected yet. The collector runs in time to
// stay below, the more often the less is left. A quarter of the limit is for the program's code and for pages that the system
// has not taken back yet. Under limits so low that the program alone exceeds them, it must not run all the time.
func Heap(limit stream.Bytes) stream.Bytes { return max(limit*3/4, Budget(limit)+own*3/4) }
