package stream

// Point is a place on the way of a flush where a test may crash, delay or cut. The names are those of doc.go.
type Point string

// The points, in the order in which a transaction passes them.
const (
	W0      Point = "W0" // a batch was written to open files
	W1      Point = "W1" // the barrier: positions are fixed
	W2      Point = "W2" // files are closed and uploaded, invisible
	W3      Point = "W3" // verified
	W4      Point = "W4" // state written
	W5      Point = "W5" // manifest written
	W6      Point = "W6" // head swapped: committed
	W7      Point = "W7" // a file was published
	W8      Point = "W8" // catalog updated
	W9      Point = "W9" // retired
	W10     Point = "W10"
	Acquire Point = "acquire"
	Release Point = "release"
	Evict   Point = "evict" // a file was closed for memory before its barrier
	Garbage Point = "garbage"
)

// Points lists them all, for whoever parses their names.
//
//nolint:gochecknoglobals // a list that nobody writes
var Points = []Point{W0, W1, W2, W3, W4, W5, W6, W7, W8, W9, W10, Acquire, Release, Evict, Garbage}

// Hooks let tests reach into the way of a flush. Nil in production: one nil check a step.
type Hooks struct {
	At func(p Point, lane LaneID)
}

// Reach is called when p has been passed.
func (h *Hooks) Reach(p Point, lane LaneID) {
	if h != nil && h.At != nil {
		h.At(p, lane)
	}
}
