package transform

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform/syntax"
)

// logicNode is AND, or OR when or is set. The right side is computed only where the left side does not decide, so that
// `d <> 0 AND n / d > 1` is safe.
type logicNode struct {
	or   bool
	l, r node
	rest []int32
	out  col
}

func (n *logicNode) typ() arrow.DataType { return typeBool() }
func (n *logicNode) nullable() bool      { return n.l.nullable() || n.r.nullable() }

func (n *logicNode) eval(c *ctx, sel []int32) *col {
	l := n.l.eval(c, sel)
	n.out.start(kindBool, c.rows)
	n.rest = n.rest[:0]
	for _, i := range sel {
		if !l.isNull(i) && l.b[i] == n.or {
			n.out.b[i] = n.or
		} else {
			n.rest = append(n.rest, i)
		}
	}
	if len(n.rest) == 0 {
		return &n.out
	}
	r := n.r.eval(c, n.rest)
	if l.null == nil && r.null == nil {
		for _, i := range n.rest {
			n.out.b[i] = r.b[i]
		}
		return &n.out
	}
	for _, i := range n.rest {
		switch {
		case !r.isNull(i) && r.b[i] == n.or:
			n.out.b[i] = n.or
		case r.isNull(i) || l.isNull(i):
			n.out.setNull(i)
		default:
			n.out.b[i] = !n.or
		}
	}
	return &n.out
}

// caseNode takes the first branch whose condition is true. A branch is computed only for the rows that take it. The last
// branch has no condition.
type caseNode struct {
	t        arrow.DataType
	k        kind
	conds    []node
	thens    []node // one more than conds
	mayNull  bool
	rest     []int32
	take     []int32
	out      col
	coalesce bool // conds are nil: each then counts where it is not null
}

func (n *caseNode) typ() arrow.DataType { return n.t }
func (n *caseNode) nullable() bool      { return n.mayNull }

func (n *caseNode) eval(c *ctx, sel []int32) *col {
	n.out.start(n.k, c.rows)
	n.rest = append(n.rest[:0], sel...)
	for i, then := range n.thens {
		if len(n.rest) == 0 {
			break
		}
		if n.coalesce {
			n.firstPresent(then.eval(c, n.rest))
			continue
		}
		take := n.rest
		if i < len(n.conds) {
			take = n.split(n.conds[i].eval(c, n.rest))
		}
		if len(take) == 0 {
			continue
		}
		v := then.eval(c, take)
		for _, row := range take {
			n.out.copyRow(n.k, v, row)
		}
	}
	if n.coalesce {
		for _, row := range n.rest {
			n.out.setNull(row)
		}
	}
	return &n.out
}

// split takes the rows for which cond is true out of rest.
func (n *caseNode) split(cond *col) []int32 {
	n.take = n.take[:0]
	rest := n.rest[:0]
	for _, i := range n.rest {
		if !cond.isNull(i) && cond.b[i] {
			n.take = append(n.take, i)
		} else {
			rest = append(rest, i)
		}
	}
	n.rest = rest
	return n.take
}

func (n *caseNode) firstPresent(v *col) {
	rest := n.rest[:0]
	for _, i := range n.rest {
		if v.isNull(i) {
			rest = append(rest, i)
		} else {
			n.out.copyRow(n.k, v, i)
		}
	}
	n.rest = rest
}

// heldNode stands for a value that letNode has computed.
type heldNode struct {
	x   node
	now *col
}

func (n *heldNode) typ() arrow.DataType         { return n.x.typ() }
func (n *heldNode) nullable() bool              { return n.x.nullable() }
func (n *heldNode) eval(_ *ctx, _ []int32) *col { return n.now }

// letNode computes a value once for a body that uses it several times.
type letNode struct {
	held *heldNode
	body node
}

func (n *letNode) typ() arrow.DataType { return n.body.typ() }
func (n *letNode) nullable() bool      { return n.body.nullable() }

func (n *letNode) eval(c *ctx, sel []int32) *col {
	n.held.now = n.held.x.eval(c, sel)
	return n.body.eval(c, sel)
}

// nullNode is IS NULL.
type nullNode struct {
	x   node
	not bool
	out col
}

func (n *nullNode) typ() arrow.DataType { return typeBool() }
func (n *nullNode) nullable() bool      { return false }

func (n *nullNode) eval(c *ctx, sel []int32) *col {
	x := n.x.eval(c, sel)
	n.out.start(kindBool, c.rows)
	for _, i := range sel {
		n.out.b[i] = x.isNull(i) != n.not
	}
	return &n.out
}

// retyped is a value under another type of the same layout.
type retyped struct {
	node
	t arrow.DataType
}

func (n *retyped) typ() arrow.DataType { return n.t }

func notKernel(_ *ctx, sel []int32, in []*col, out *col) {
	for _, i := range sel {
		out.b[i] = !in[0].b[i]
	}
}

// inSet is x IN a list of constants, none of them null. With a null in the list, no match is null.
func inSet[T interface {
	value
	comparable
}](items []T, hasNull, not bool) kernel {
	var set map[T]struct{}
	if len(items) > 8 { // below, looking at each is faster than hashing
		set = make(map[T]struct{}, len(items))
		for _, x := range items {
			set[x] = struct{}{}
		}
	}
	return func(_ *ctx, sel []int32, in []*col, out *col) {
		x := vals[T](in[0])
		for _, i := range sel {
			found := false
			if set != nil {
				_, found = set[x[i]]
			} else {
				for _, it := range items {
					if it == x[i] {
						found = true
						break
					}
				}
			}
			if !found && hasNull {
				out.setNull(i)
				continue
			}
			out.b[i] = found != not
		}
	}
}

// pathNode goes into a nested column.
type pathNode struct {
	t     arrow.DataType
	k     kind
	null  bool
	index int
	parts []syntax.Part
	at    []int32
	gone  []bool
	out   col
}

func (n *pathNode) typ() arrow.DataType { return n.t }
func (n *pathNode) nullable() bool      { return n.null }

func (n *pathNode) eval(c *ctx, sel []int32) *col {
	n.at, n.gone = grow(n.at, c.rows), grow(n.gone, c.rows)
	for _, i := range sel {
		n.at[i], n.gone[i] = i, false
	}
	v := c.batch.Cols[n.index]
	for _, p := range n.parts {
		for _, i := range sel {
			if !n.gone[i] {
				n.at[i], n.gone[i] = step(v, p, n.at[i])
			}
		}
		switch t := v.Type.(type) {
		case *arrow.StructType:
			f, _ := t.FieldIdx(p.Name)
			v = v.Kids[f]
		case *arrow.MapType:
			v = v.Kids[0].Kids[1]
		default:
			v = v.Kids[0]
		}
	}
	n.out.gather(n.k, v, n.at, n.gone, c.rows, sel)
	return &n.out
}

// step goes one part down from row i of v. What is not there is gone: it becomes null.
func step(v *stream.Vec, p syntax.Part, i int32) (int32, bool) {
	if v.IsNull(int(i)) {
		return 0, true
	}
	switch v.Type.(type) {
	case *arrow.StructType:
		return i, false
	case *arrow.MapType:
		keys := v.Kids[0].Kids[0]
		for j := v.Offsets[i]; j < v.Offsets[i+1]; j++ {
			switch kindOf(keys.Type) {
			case kindStr:
				if keys.StringAt(int(j)) == p.Name {
					return j, false
				}
			case kindI32:
				if int(keys.I32[j]) == p.Index {
					return j, false
				}
			case kindI64:
				if keys.I64[j] == int64(p.Index) {
					return j, false
				}
			default:
			}
		}
		return 0, true
	}
	from, to := v.Offsets[i], v.Offsets[i+1]
	if p.Index >= int(to-from) {
		return 0, true
	}
	return from + int32(p.Index), false //nolint:gosec // smaller than the list
}
