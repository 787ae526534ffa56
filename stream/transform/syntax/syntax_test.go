package syntax

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // "pos+len code text: fix"
	}{
		{"a ? b : c", []string{"2+1 E2011 there is no operator ? here: write `CASE WHEN a THEN b ELSE c END`, or if(a, b, c)"}},
		{"a == 1 && !b", []string{"2+2 E2011 there is no operator == here: write = for equality",
			"7+2 E2011 there is no operator && here: write AND", "10+1 E2011 there is no operator ! here: write NOT"}},
		{"a == 1 &&", []string{"2+2 E2011 there is no operator == here: write = for equality", "7+2 E2011 there is no operator && here: write AND",
			"9+0 E2010 the expression ends too early: here should come a value: a column, a number, a 'string' or a function"}},
		{"a | b", []string{"2+1 E2011 there is no operator | here: write OR; || joins strings"}},
		{"a::int", []string{"1+2 E2011 there is no operator :: here: write CAST(x AS type)"}},
		{"a -- b", []string{"2+2 E2011 there is no operator -- here: expressions have no comments; use YAML's #"}},
		{"`a`", []string{"0+1 E2011 there is no operator ` here: put names in double quotes: \"name\""}},
		{"'abc", []string{"0+4 E2010 the quote that starts here is never closed: close it with '"}},
		{"a = ‘x’", []string{"4+3 E2010 unexpected character \"‘\": write straight quotes: ' for strings"}},
		{"a\x00", []string{"1+1 E2010 unexpected character U+0000: "}},
		{"a = 1x", []string{"4+2 E2010 1x is neither a number nor a name: write numbers like 12, 1.5 or 1e6, and names that start with a digit in double quotes"}},
		{"", []string{"0+0 E2010 the expression is empty: "}},
		{"1 +", []string{"3+0 E2010 the expression ends too early: here should come a value: a column, a number, a 'string' or a function"}},
		{"(a", []string{"2+0 E2010 the expression ends too early: here should come ) to close the bracket"}},
		{"a b", []string{"2+1 E2010 unexpected b: here should come an operator or the end"}},
		{"a < b < c", []string{"6+1 E2010 comparisons do not chain: write `a < b AND b < c`"}},
		{"a IS TRUE", []string{"5+4 E2010 IS takes NULL only: write `coalesce(x, FALSE)`, or `x = TRUE`"}},
		{"a IN ()", []string{"6+1 E2010 unexpected ): here should come a value: a column, a number, a 'string' or a function"}},
		{"count(*)", []string{"6+1 E2010 * is for aggregates: aggregates belong in an `aggregate` step"}},
		{"CASE WHEN a THEN 1", []string{"18+0 E2010 the expression ends too early: here should come END to close CASE"}},
		{"CASE a END", []string{"7+3 E2010 unexpected END: here should come WHEN after CASE"}},
		{"CAST(a, int32)", []string{"6+1 E2010 unexpected ,: here should come AS in CAST(value AS type)"}},
		{"CAST(a AS )", []string{"10+1 E2010 unexpected ): here should come a type after AS"}},
		{"a BETWEEN 1 OR 2", []string{"12+2 E2010 unexpected OR: here should come AND after the lower bound of BETWEEN"}},
		{"end > 1", []string{"0+3 E2010 unexpected end: here should come a value; a column of that name is written \"end\""}},
		{"a RLIKE 'x'", []string{"2+5 E2011 there is no operator RLIKE here: write regexp_like(x, 'pattern')"}},
		{"ts + INTERVAL '1' day", []string{"5+8 E2011 there are no intervals here: write date_add(day, n)"}},
		{"a[b]", []string{"2+1 E2010 an index is a whole number from 0, a map's key is a 'string': "}},
		{"a.1", []string{"2+1 E2010 unexpected 1: here should come the name of a field after the dot"}},
		{strings.Repeat("(", 200), []string{"100+1 E2012 the expression is nested too deep: split it into several `set` steps"}},
		{strings.Repeat("- ", 200) + "a", []string{"200+1 E2012 the expression is nested too deep: split it into several `set` steps"}},
		{strings.Repeat("x", 65<<10), []string{"0+66560 E2012 an expression is at most 64 KiB long: split it into several `set` steps"}},
	} {
		_, errs := Parse(c.text)
		var got []string
		for _, e := range errs {
			got = append(got, place(e)+" "+e.Code+" "+e.Text+": "+e.Fix)
		}
		if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
			t.Errorf("%.40s:\n got %s\nwant %s", c.text, g, w)
		}
	}
}

func place(e *Error) string { return fmt.Sprintf("%d+%d", e.Pos, e.Len) }

// show writes a tree with all brackets.
func show(n Node) string {
	list := func(ns []Node) string {
		var s []string
		for _, n := range ns {
			s = append(s, show(n))
		}
		return strings.Join(s, " ")
	}
	not := func(not bool, s string) string {
		if not {
			return "not-" + s
		}
		return s
	}
	switch n := n.(type) {
	case *Literal:
		return n.Text
	case *Path:
		return n.FullText
	case *Call:
		return "(" + n.Name + " " + list(n.Args) + ")"
	case *Unary:
		return "(" + n.Op + " " + show(n.X) + ")"
	case *Binary:
		return "(" + n.Op + " " + show(n.L) + " " + show(n.R) + ")"
	case *IsNull:
		return not(n.Not, "(null "+show(n.X)+")")
	case *In:
		return not(n.Not, "(in "+show(n.X)+" "+list(n.List)+")")
	case *Between:
		return not(n.Not, "(between "+show(n.X)+" "+show(n.Lo)+" "+show(n.Hi)+")")
	case *Like:
		return not(n.Not, "(like "+show(n.X)+" "+show(n.Pattern)+")")
	case *Cast:
		return "(cast " + show(n.X) + " " + n.Type + ")"
	case *Case:
		s := "(case"
		for _, w := range n.Whens {
			s += " " + show(w.If) + ":" + show(w.Then)
		}
		return s + ")"
	}
	return "?"
}

func TestPrecedence(t *testing.T) {
	for text, want := range map[string]string{
		"a OR b AND NOT c = d + e * -f":   "(OR a (AND b (NOT (= c (+ d (* e (- f)))))))",
		"a - b - c":                       "(- (- a b) c)",
		"a || b || 'c'":                   "(|| (|| a b) c)",
		"NOT a IS NOT NULL":               "(NOT not-(null a))",
		"a NOT IN (1, 2) AND b":           "(AND not-(in a 1 2) b)",
		"a BETWEEN 1 AND 2 AND b":         "(AND (between a 1 2) b)",
		"a NOT LIKE 'x' OR b":             "(OR not-(like a x) b)",
		"-1 - -2":                         "(- -1 -2)",
		"- -1":                            "(- -1)",
		"a.b[0].\"c d\"['k'] > .5":        "(> a.b[0].\"c d\"['k'] .5)",
		"date = DATE '2026-01-01'":        "(= date 2026-01-01)",
		"timestamp > TIMESTAMP 'x'":       "(> timestamp x)",
		"Upper( A )":                      "(upper A)",
		"CASE x WHEN 1 THEN 2 ELSE 3 END": "(case 1:2)",
		"CAST(a AS decimal(18, 2)) = 1":   "(= (cast a decimal(18, 2)) 1)",
		"'it''s' != \"a\"\"b\"":           "(<> it's \"a\"\"b\")",
		"größe > 1":                       "(> größe 1)",
		"if(a, b, c)":                     "(if a b c)",
		"1--1":                            "(- 1 -1)",
	} {
		n, errs := Parse(text)
		if len(errs) > 0 {
			t.Errorf("%s: %v", text, errs[0])
		} else if got := show(n); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestNear(t *testing.T) {
	names := []string{"amount", "country", "created_at", "id", "upper"}
	for word, want := range map[string]string{"amout": "amount", "Amount": "amount", "uper": "upper", "upepr": "upper", "xyz": "", "ID": "id", "ie": "id", "zz": ""} {
		if got := Near(word, names); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestLongChainsAreRefusedInTime(t *testing.T) {
	start := time.Now()
	for _, part := range []string{"a+", "a OR ", "NOT ", "(", "-", "f(", "CASE ", "a.", "a[0]", "'x'||", "CAST(", "a IN ("} {
		_, errs := Parse(strings.Repeat(part, 60000/len(part)))
		if len(errs) == 0 {
			t.Errorf("%q repeated was accepted", part)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"status <> 'test' AND amount > 0", "CASE WHEN a THEN b ELSE c END", "a ? b : c", "CAST(x AS decimal(18,2))",
		"a.b[0].c['k'] NOT BETWEEN -1 AND .5e3", "x IN ('a', \"b\")", "DATE '2026-01-01'", "\xff", "a NOT", "((((", "!a && b == c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, errs := Parse(s)
		if (n == nil) == (len(errs) == 0) {
			t.Fatalf("%q: tree %v and errors %v", s, n, errs)
		}
		for _, e := range errs {
			if e.Pos < 0 || e.Len < 0 || e.Pos+e.Len > len(s) || e.Text == "" || e.Code == "" {
				t.Fatalf("%q: error without a place in the text: %+v", s, e)
			}
		}
		if n != nil {
			if at := n.At(); at.Pos < 0 || at.Pos+at.Len > len(s) {
				t.Fatalf("%q: place %v", s, at)
			}
		}
	})
}
