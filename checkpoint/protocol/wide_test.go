//go:build !race

package protocol_test

// most is how many commits the model's widest walk takes.
const most = 3
