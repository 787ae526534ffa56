//go:build !race

package lane_test

// every k-th call fails: all of them. Under the race detector, which makes everything slow, some of them do.
const every = 1
