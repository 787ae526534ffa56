package cli

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/millrace/millrace/stream"
)

// crashHooks lets tests kill this very binary at a point of the way: MILLRACE_CRASH_AT=W6:3 sends SIGKILL the third time that W6
// is passed. Empty: no hooks.
func crashHooks(spec string) (*stream.Hooks, error) {
	if spec == "" {
		return nil, nil //nolint:nilnil // nil hooks are the normal case
	}
	point, times, _ := strings.Cut(spec, ":")
	n := int64(1)
	if times != "" {
		var err error
		if n, err = strconv.ParseInt(times, 10, 64); err != nil || n < 1 {
			return nil, fmt.Errorf("%w=%q: write POINT:COUNT, as in W6:3", errCrashPoint, spec)
		}
	}
	if !slices.Contains(stream.Points, stream.Point(point)) {
		return nil, fmt.Errorf("%w=%q: there is no point %q; there are %v", errCrashPoint, spec, point, stream.Points)
	}
	var passed atomic.Int64
	return &stream.Hooks{At: func(p stream.Point, _ stream.LaneID) {
		if p == stream.Point(point) && passed.Add(1) == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}}, nil
}
