//go:build race

package lane_test

const every = 3
