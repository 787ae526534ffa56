package lane

import (
	"slices"
	"time"

	"github.com/millrace/millrace/stream"
)

// Status is what a worker is doing, for people.
type Status struct {
	Lanes  []LaneStatus // those held here, by name
	Total  int          // lanes of the pipeline
	Totals Totals       // since this worker began
}

// LaneStatus is one lane.
type LaneStatus struct {
	Lane       stream.LaneID
	State      string // acquiring | running | waiting | halted | ended
	Reason     string // why it is not running
	Next       string // what a person can do about it
	Since      time.Time
	Halted     map[stream.PartitionID]string // partitions that deliver nothing more, with the reason
	LastCommit time.Time
	Pending    int   // committed and not retired
	Lag        int64 // records known to lie before the lane; -1 unknown
}

// Totals counts what a worker has done since it began. Rows and what follows count committed transactions only.
type Totals struct {
	Read                                          int64 // records taken from the reader
	Records, Skipped, Filtered, Dead, Rows, Files int64
	Bytes                                         int64 // of files
	Commits                                       int64
	LetGo                                         int64 // lanes that had to stop before all they had read was committed
	LastCommit                                    time.Time
}

// Plus is the sum of two counts.
func (t Totals) Plus(o Totals) Totals {
	t.add(o)
	return t
}

func (t *Totals) add(o Totals) {
	t.Read += o.Read
	t.Records += o.Records
	t.Skipped += o.Skipped
	t.Filtered += o.Filtered
	t.Dead += o.Dead
	t.Rows += o.Rows
	t.Files += o.Files
	t.Bytes += o.Bytes
	t.Commits += o.Commits
	t.LetGo += o.LetGo
	if o.LastCommit.After(t.LastCommit) {
		t.LastCommit = o.LastCommit
	}
}

// committed counts one transaction. dead is the dead-letter table's name, whose rows are no rows of a result.
func (t *Totals) committed(m *stream.Manifest, dead string, at time.Time) {
	t.Records += m.Counts.Records
	t.Skipped += m.Counts.Skipped
	t.Dead += m.Counts.Dead
	for _, n := range m.Counts.Removed {
		t.Filtered += n
	}
	for _, f := range m.Files {
		if f.Table != dead {
			t.Rows += f.Rows
			t.Files++
			t.Bytes += f.Bytes
		}
	}
	t.Commits++
	t.LastCommit = at
}

// Status may be called at any time.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{Total: w.total, Totals: w.retired}
	for _, r := range w.lanes {
		s.Lanes = append(s.Lanes, r.status())
		s.Totals.add(r.totals())
	}
	for r := range w.leaving {
		s.Totals.add(r.totals())
	}
	slices.SortFunc(s.Lanes, func(a, b LaneStatus) int {
		if a.Lane < b.Lane {
			return -1
		}
		return 1
	})
	return s
}
