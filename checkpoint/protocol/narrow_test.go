//go:build race

package protocol_test

// most is less under the race detector, which makes the walk ten times as long and has nothing to find in it.
const most = 2
