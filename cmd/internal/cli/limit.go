package cli

import (
	"runtime/debug"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

// boundHeap makes the garbage collector keep this process at limit, about: without it, the heap grows to twice of what is in
// use before anything is collected. What pipelines hold is large and without pointers, so that collecting more often costs
// little. Whoever sets GOMEMLIMIT decides otherwise.
func boundHeap(limit stream.Bytes, getenv func(string) string) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(daemon.Heap(limit)))
	}
}
