package sink

import (
	"fmt"

	"github.com/millrace/millrace/stream"
)

// slotOverhead is the memory of a table partition that a transaction has touched, besides its names: the slot, its values
// and its place in the map.
const slotOverhead = 320

// codeTooLong is the code of rows whose partition cannot be a folder.
const codeTooLong = "partition_value_too_long"

// slot is a table partition in one transaction.
type slot struct {
	folder string
	values []stream.PartitionValue
	file   *file // the open one, or one that was taken from under us, or nil

	batch    uint64 // the last batch that had rows of it
	from, to int32  // these rows, in router.order
}

// router groups the rows of a batch by table partition. Its memory is reused from batch to batch.
type router struct {
	slots  map[string]*slot
	batch  uint64
	key    []byte
	rows   []*slot // per selected row
	groups []*slot // those of the batch, in order of first sight
	order  []int32 // selected rows, group after group
	held   int64   // counted in the budget
}

// route sets groups and order for the selected rows of b. Rows that cannot be routed are rejected.
func (r *router) route(s *Sink, b *stream.Batch) error {
	r.batch++
	r.rows, r.groups = r.rows[:0], r.groups[:0]
	bad := 0
	prev := -1
	var last *slot
	for _, row := range b.Sel {
		i := int(row)
		if prev < 0 || !r.same(s, b, prev, i) {
			var err error
			if last, err = r.find(s, b, i); err != nil {
				return err
			}
			prev = i
		}
		if last == nil {
			bad++
			prev = -1 // every such row is told why
			r.rows = append(r.rows, nil)
			continue
		}
		if last.batch != r.batch {
			last.batch, last.from, last.to = r.batch, 0, 0
			r.groups = append(r.groups, last)
		}
		last.to++
		r.rows = append(r.rows, last)
	}
	if len(r.groups) == 1 && bad == 0 {
		r.order = append(r.order[:0], b.Sel...)
		return nil
	}
	r.scatter(b, bad)
	return nil
}

// scatter sorts the selection by group: counts are turned into places, and every row goes to the next place of its group.
func (r *router) scatter(b *stream.Batch, bad int) {
	at := int32(0)
	for _, g := range r.groups {
		n := g.to
		g.from, g.to = at, at
		at += n
	}
	if cap(r.order) < int(at) {
		r.order = make([]int32, stream.BatchRows)
	}
	if cap(r.order) < int(at) {
		r.order = make([]int32, at)
	}
	r.order = r.order[:at]
	var kept []int32
	if bad > 0 {
		kept = make([]int32, 0, at)
	}
	for k, g := range r.rows {
		if g == nil {
			continue
		}
		r.order[g.to] = b.Sel[k]
		g.to++
		if bad > 0 {
			kept = append(kept, b.Sel[k])
		}
	}
	if bad > 0 {
		b.Sel = kept // not in place: branches may share the selection's memory
	}
}

func (r *router) same(s *Sink, b *stream.Batch, i, j int) bool {
	for k := range s.parts {
		p := &s.parts[k]
		if !p.same(b.Cols[p.col], i, j) {
			return false
		}
	}
	return true
}

// find is the slot of row i, made if it is the first of its partition; nil if the row was rejected.
func (r *router) find(s *Sink, b *stream.Batch, i int) (*slot, error) {
	r.key = r.key[:0]
	for k := range s.parts {
		p := &s.parts[k]
		r.key = p.appendKey(r.key, b.Cols[p.col], i)
	}
	if g, ok := r.slots[string(r.key)]; ok {
		return g, nil
	}
	g := &slot{}
	for k := range s.parts {
		p := &s.parts[k]
		v := p.value(b.Cols[p.col], i)
		if n := len(folder(v)); n > s.maxName {
			r.reject(s, b, i, v, n, s.maxName)
			return nil, nil // a rejected row goes nowhere
		}
		g.values = append(g.values, v)
	}
	g.folder = Folder(g.values)
	if n := len(g.folder); n > s.maxKey {
		r.reject(s, b, i, longest(g.values), n, s.maxKey)
		return nil, nil // a rejected row goes nowhere
	}
	if len(r.slots) >= s.maxPartitions {
		return nil, stream.WithNext(fmt.Errorf("sink %s: one transaction has rows of more than %d table partitions, the last one %s: %w", s.cfg.Ref.Name, s.maxPartitions, g.folder, stream.ErrPermanent),
			"partition by a coarser value, such as a day instead of an instant or an id; or raise max_open (now %d, a tenth of this bound)", s.cfg.MaxOpen)
	}
	r.slots[string(r.key)] = g
	held := int64(slotOverhead + len(r.key) + 3*len(g.folder))
	r.held += held
	s.deps.Pool.reserve(held)
	return g, nil
}

// reject makes row i a dead letter.
func (*router) reject(s *Sink, b *stream.Batch, i int, v stream.PartitionValue, n, most int) {
	b.Reject(int32(i), "sink "+s.cfg.Ref.Name, v.Column, codeTooLong, //nolint:gosec // at most BatchRows
		fmt.Sprintf("the folder of partition column %s would have %d bytes, of which %d are possible; the value starts with %q", v.Column, n, most, v.Value[:min(64, len(v.Value))]))
}

// longest is the value that makes a folder long.
func longest(values []stream.PartitionValue) stream.PartitionValue {
	l := values[0]
	for _, v := range values {
		if len(v.Value) > len(l.Value) {
			l = v
		}
	}
	return l
}

// releaseSlots gives back what the partitions count.
func (r *router) releaseSlots(p *Pool) {
	p.reserve(-r.held)
	r.held = 0
	clear(r.slots)
}
