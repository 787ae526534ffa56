package transform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream/transform/syntax"
)

// Registry is the functions that expressions can call, by name. It is a value: whoever builds steps is handed one, and
// nothing changes it afterwards, so that all lanes can build from one at the same time.
type Registry struct {
	byName map[string]*Function
	names  []string
}

// Function is one entry: how it is called, what it does, and how it is computed.
type Function struct {
	Name     string
	Usage    string    // its calls for people: "substring(string, start[, length])"
	Result   string    // the type of the result, in words
	Doc      string    // one line
	Examples []Example // run as tests

	min, max int // number of arguments; max -1: any number
	bind     func(*bound) node
}

// Example is an expression and its value, as Format writes it.
type Example struct{ Expr, Value string }

// NewRegistry makes a registry of functions. Names must be unique; it panics if one is not, as lists are part of programs.
func NewRegistry(lists ...[]Function) *Registry {
	r := &Registry{byName: map[string]*Function{}}
	for _, list := range lists {
		for i := range list {
			f := &list[i]
			if r.byName[f.Name] != nil {
				panic("transform: two functions are called " + f.Name)
			}
			r.byName[f.Name] = f
			r.names = append(r.names, f.Name)
		}
	}
	slices.Sort(r.names)
	return r
}

// Builtins is the list of all functions.
func Builtins() *Registry {
	return NewRegistry(stringFunctions(), numberFunctions(), timeFunctions(), choiceFunctions())
}

// Functions lists all entries by name.
func (r *Registry) Functions() []*Function {
	list := make([]*Function, len(r.names))
	for i, n := range r.names {
		list[i] = r.byName[n]
	}
	return list
}

// bound is a call whose arguments have been checked.
type bound struct {
	*checker
	call *syntax.Call
	fn   *Function
	args []node
}

// overload is one list of argument types with its result and kernel.
type overload struct {
	args   []arrow.DataType
	result arrow.DataType
	fn     kernel
	many   bool // any number of arguments, further ones of the last type
}

// otherName is what a function is called here that other systems call name.
func otherName(name string) string {
	return map[string]string{
		"substr": "substring", "len": "length", "char_length": "length", "ucase": "upper", "lcase": "lower", "ifnull": "coalesce",
		"nvl": "coalesce", "isnull": "coalesce", "iff": "if", "iif": "if", "ceiling": "ceil", "now": "batch_time",
		"current_timestamp": "batch_time", "current_date": "date(batch_time())", "from_unixtime": "from_unix_seconds",
		"to_timestamp_ms": "from_unix_millis", "unix_timestamp": "unix_micros", "datediff": "date_diff", "dateadd": "date_add",
		"dayofweek": "day_of_week", "dow": "day_of_week", "startswith": "starts_with", "endswith": "ends_with", "regexp": "regexp_like",
		"rlike": "regexp_like", "regexp_matches": "regexp_like", "sha2": "sha256", "strpos": "contains", "instr": "contains",
		"trunc": "date_trunc", "timestamp": "to_timestamp", "dayofmonth": "day", "position": "contains",
	}[name]
}

func (k *checker) call(n *syntax.Call) node {
	b := &bound{checker: k, call: n, fn: k.reg.byName[n.Name]}
	ok := true
	for _, a := range n.Args {
		x := k.check(a)
		b.args = append(b.args, x)
		ok = ok && x != nil
	}
	if b.fn == nil {
		return k.fail(n.Word, CodeFunction, fmt.Sprintf("there is no function %q", n.Name), k.otherFunction(n))
	}
	if len(n.Args) < b.fn.min || b.fn.max >= 0 && len(n.Args) > b.fn.max {
		return k.fail(n.Place, CodeArity, fmt.Sprintf("%s takes %s, not %d", n.Name, arity(b.fn), len(n.Args)), "write "+b.fn.Usage)
	}
	if !ok {
		return nil
	}
	return b.fn.bind(b)
}

func (k *checker) otherFunction(n *syntax.Call) string {
	if other := otherName(n.Name); other != "" {
		return "did you mean " + other + "?"
	}
	switch n.Name {
	case "min", "max":
		return "of several values: least(a, b) or greatest(a, b); of many rows: an `aggregate` step"
	case "count", "sum", "avg", "approx_distinct":
		return "aggregates belong in an `aggregate` step"
	case "string", "int", "float", "decimal", "bigint", "double":
		return "write CAST(x AS type)"
	}
	if near := syntax.Near(n.Name, k.reg.names); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

func arity(f *Function) string {
	switch {
	case f.max < 0:
		return fmt.Sprintf("at least %s", plural(f.min))
	case f.min == f.max:
		return plural(f.min)
	}
	return fmt.Sprintf("%d to %s", f.min, plural(f.max))
}

func plural(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// typed binds by the first of the overloads that the arguments are of, else the first that they can be widened to.
func typed(list ...overload) func(*bound) node {
	return func(b *bound) node {
		for _, exact := range []bool{true, false} {
			for _, o := range list {
				if b.match(o, exact) {
					return b.with(o)
				}
			}
		}
		return b.mismatch(list)
	}
}

func (o overload) arg(i int) arrow.DataType { return o.args[min(i, len(o.args)-1)] }

func (b *bound) match(o overload, exact bool) bool {
	if len(b.args) != len(o.args) && !o.many {
		return false
	}
	for i, a := range b.args {
		if kindOf(a.typ()) != kindOf(o.arg(i)) && (exact || !widens(a.typ(), o.arg(i))) {
			return false
		}
	}
	return true
}

func (b *bound) with(o overload) node {
	args := make([]node, len(b.args))
	for i, a := range b.args {
		args[i] = b.coerce(a, o.arg(i), b.at(i))
	}
	return b.apply(&applyNode{t: o.result, fn: o.fn, args: args}, b.call.Place)
}

func (b *bound) at(i int) syntax.Place { return b.call.Args[i].At() }

// mismatch complains about the first argument that no overload takes.
func (b *bound) mismatch(list []overload) node {
	for i, a := range b.args {
		var want []string
		fits := false
		for _, o := range list {
			if w := TypeName(o.arg(i)); !slices.Contains(want, w) {
				want = append(want, w)
			}
			fits = fits || widens(a.typ(), o.arg(i))
		}
		if !fits {
			return b.wrong(i, strings.Join(want, " or "))
		}
	}
	return b.fail(b.call.Place, CodeType, b.fn.Name+" does not take these types together", "write "+b.fn.Usage)
}

// wrong says that argument i has the wrong type.
func (b *bound) wrong(i int, want string) node {
	t := b.args[i].typ()
	fix := "write " + b.fn.Usage
	if to, err := ParseType(want); err == nil {
		if fn, advice := castKernel(t, to); fn != nil {
			fix = "CAST(" + b.source(b.at(i)) + " AS " + want + ")"
		} else if advice != "" {
			fix = advice
		}
	}
	return b.fail(b.at(i), CodeType, fmt.Sprintf("%s needs %s as %s argument, and %s is %s", b.fn.Name, want, ordinal(i), b.source(b.at(i)), article(t)), fix)
}

func ordinal(i int) string {
	if i < 5 {
		return [...]string{"first", "second", "third", "fourth", "fifth"}[i]
	}
	return fmt.Sprintf("%dth", i+1)
}

// constant is argument i as a constant string; false: it is none, which has been said.
func (b *bound) constant(i int, what string) (string, bool) {
	c, ok := b.args[i].(*constNode)
	if !ok || c.k != kindStr || c.null() {
		b.fail(b.at(i), CodeConstant, fmt.Sprintf("%s of %s has to be a constant string", what, b.fn.Name), "write "+b.fn.Usage)
		return "", false
	}
	return c.text(), true
}
