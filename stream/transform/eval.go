package transform

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/transform/decimal"
)

// The codes of rows that could not be computed: stream.BadRow.Code.
const (
	CodeOverflow = "overflow"         // a number is too large for its type
	CodeZero     = "division_by_zero" // a division by zero
	CodeCast     = "cast_failed"      // a value is none of the wanted type
	CodeArgument = "invalid_argument" // a function cannot work on this value
	CodeSize     = "too_large"        // the column would pass 1 GiB in one batch
)

// ctx is what one evaluation of a batch shares. It belongs to one goroutine.
type ctx struct {
	batch  *stream.Batch
	rows   int
	now    int64
	arena  []byte // strings made on the way
	calc   decimal.Calc
	where  string // the text of the part being computed
	trying bool   // within TRY_CAST: failures are nulls
	errs   []rowError
	failed []bool
}

type rowError struct {
	row          int32
	code, reason string
}

// begin forgets the last batch.
func (c *ctx) begin(b *stream.Batch) {
	c.batch, c.rows, c.now = b, b.Rows, int64(b.Time)
	c.arena = c.arena[:0]
	c.clear()
}

func (c *ctx) clear() {
	for _, e := range c.errs {
		c.failed[e.row] = false
	}
	c.errs = c.errs[:0]
}

// fail makes row a bad one: the first reason counts. The kernel has to go on with a null.
func (c *ctx) fail(row int32, code, reason string) {
	if c.trying {
		return
	}
	if len(c.failed) < c.rows {
		c.failed = append(c.failed, make([]bool, c.rows-len(c.failed))...)
	}
	if c.failed[row] {
		return
	}
	c.failed[row] = true
	if c.where != "" {
		reason += ", in " + clip(c.where)
	}
	c.errs = append(c.errs, rowError{row, code, reason})
}

// survivors appends those of sel that did not fail to dst.
func (c *ctx) survivors(dst, sel []int32) []int32 {
	for _, i := range sel {
		if !c.failed[i] {
			dst = append(dst, i)
		}
	}
	return dst
}

// keep is what was appended to the arena from byte from on, as a string that lives as long as the batch.
func (c *ctx) keep(from int) string {
	b := c.arena[from:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// maxColumn bounds the bytes of a column that is made here, far enough below the 2 GiB that offsets can count.
const maxColumn = 1 << 30

// limit makes the rows bad that would take a column of strings beyond maxColumn.
func (c *ctx) limit(k kind, v *col, sel []int32) {
	if k != kindStr && k != kindBin {
		return
	}
	size := 0
	for _, i := range sel {
		if v.isNull(i) {
			continue
		}
		if size += len(v.str[i]); size > maxColumn {
			size -= len(v.str[i])
			c.where = ""
			c.fail(i, CodeSize, fmt.Sprintf("%d bytes more would take the column beyond 1 GiB in one batch", len(v.str[i])))
		}
	}
}

// clip shortens a value for people.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	for i := most; i > most-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i] + "…"
		}
	}
	return s[:most] + "…"
}

// quote shows a string in a reason: control characters and broken UTF-8 escaped, and not too long.
func quote(s string) string { return strconv.Quote(clip(s)) }

// node is a checked part of an expression. A node keeps the memory of its result, which is valid until it is evaluated
// again.
type node interface {
	typ() arrow.DataType
	nullable() bool // whether a result can be null
	eval(c *ctx, sel []int32) *col
}

// colNode is a column, or a part of one.
type colNode struct {
	t     arrow.DataType
	k     kind
	null  bool
	index int
	out   col
}

func (n *colNode) typ() arrow.DataType { return n.t }
func (n *colNode) nullable() bool      { return n.null }

func (n *colNode) eval(c *ctx, sel []int32) *col {
	n.out.load(n.k, c.batch.Cols[n.index], sel)
	return &n.out
}

// constNode is one value for all rows.
type constNode struct {
	t   arrow.DataType
	k   kind
	one col // row 0 has the value
	out col
}

func (n *constNode) typ() arrow.DataType { return n.t }
func (n *constNode) nullable() bool      { return n.null() }
func (n *constNode) null() bool          { return n.one.isNull(0) }

func (n *constNode) eval(c *ctx, _ []int32) *col {
	if n.out.rows >= c.rows && n.out.rows > 0 {
		return &n.out
	}
	n.out.start(n.k, max(c.rows, 1))
	switch {
	case n.null():
		n.out.setNull(0)
		for i := range n.out.null {
			n.out.null[i] = true
		}
	case n.k == kindBool:
		fill(n.out.b, n.one.b[0])
	case n.k == kindI32 || n.k == kindDate:
		fill(n.out.i32, n.one.i32[0])
	case n.k == kindI64 || n.k == kindTime:
		fill(n.out.i64, n.one.i64[0])
	case n.k == kindF64:
		fill(n.out.f64, n.one.f64[0])
	case n.k == kindDec:
		fill(n.out.dec, n.one.dec[0])
	case n.k == kindStr || n.k == kindBin:
		fill(n.out.str, n.one.str[0])
	}
	return &n.out
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// text is the value of a constant string.
func (n *constNode) text() string { return strings.Clone(n.one.str[0]) }

// kernel computes out for the rows sel from in. Unless it is lax, no row of sel is null in any of in. out has room for
// every row, and no nulls. A row that cannot be computed is given to c.fail, and is set null.
type kernel func(c *ctx, sel []int32, in []*col, out *col)

// applyNode is a kernel and its arguments.
type applyNode struct {
	t       arrow.DataType
	k       kind
	fn      kernel
	args    []node
	text    string
	lax     bool // the kernel looks at nulls itself
	mayNull bool // it may give null although no argument is
	try     bool
	impure  bool // must not be computed at build time
	in      []*col
	sel     []int32
	out     col
}

func (n *applyNode) typ() arrow.DataType { return n.t }

func (n *applyNode) nullable() bool {
	if n.mayNull || n.lax {
		return n.mayNull
	}
	for _, a := range n.args {
		if a.nullable() {
			return true
		}
	}
	return false
}

func (n *applyNode) eval(c *ctx, sel []int32) *col {
	if n.in == nil {
		n.in = make([]*col, len(n.args))
	}
	for i, a := range n.args {
		n.in[i] = a.eval(c, sel)
	}
	n.out.start(n.k, c.rows)
	if !n.lax {
		sel = n.present(sel)
	}
	c.where, c.trying = n.text, n.try
	n.fn(c, sel, n.in, &n.out)
	c.trying = false
	return &n.out
}

// present is sel without the rows that are null in an argument; those are null in the result.
func (n *applyNode) present(sel []int32) []int32 {
	for _, a := range n.in {
		if a.null == nil {
			continue
		}
		kept := n.sel[:0]
		for _, i := range sel {
			if a.null[i] {
				n.out.setNull(i)
			} else {
				kept = append(kept, i)
			}
		}
		n.sel, sel = kept, kept
	}
	return sel
}

// map1 makes a kernel of a function of one value.
func map1[A, R value](f func(A) R) kernel {
	return func(_ *ctx, sel []int32, in []*col, out *col) {
		a, r := vals[A](in[0]), vals[R](out)
		for _, i := range sel {
			r[i] = f(a[i])
		}
	}
}

// map2 makes a kernel of a function of two values.
func map2[A, B, R value](f func(A, B) R) kernel {
	return func(_ *ctx, sel []int32, in []*col, out *col) {
		a, b, r := vals[A](in[0]), vals[B](in[1]), vals[R](out)
		for _, i := range sel {
			r[i] = f(a[i], b[i])
		}
	}
}

// try1 makes a kernel of a function that can fail on a value: it says so by an empty code or one with a reason.
func try1[A, R value](f func(c *ctx, a A) (R, string, string)) kernel {
	return func(c *ctx, sel []int32, in []*col, out *col) {
		a, r := vals[A](in[0]), vals[R](out)
		for _, i := range sel {
			v, code, reason := f(c, a[i])
			if code != "" {
				c.fail(i, code, reason)
				out.setNull(i)
				v = *new(R)
			}
			r[i] = v
		}
	}
}
