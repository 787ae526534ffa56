package transform

import (
	"strings"
	"testing"
)

// evalText is the value of a constant expression, or its errors.
func evalText(t *testing.T, expr string) string {
	t.Helper()
	v, errs := EvalConst(expr, Builtins())
	if len(errs) > 0 {
		var s []string
		for _, e := range errs {
			s = append(s, e.Error())
		}
		return strings.Join(s, "\n")
	}
	if v.N != 1 {
		t.Fatalf("%s: got %d rows, want 1", expr, v.N)
	}
	return Format(v, 0)
}

// Every function's examples, and that it has some, and a line of documentation.
func TestExamples(t *testing.T) {
	for _, f := range Builtins().Functions() {
		if len(f.Examples) == 0 && f.Name != "batch_time" {
			t.Errorf("%s has no examples", f.Name)
		}
		if f.Doc == "" || f.Result == "" || !strings.HasPrefix(f.Usage, f.Name+"(") {
			t.Errorf("%s lacks its documentation", f.Name)
		}
		for _, e := range f.Examples {
			if got := evalText(t, e.Expr); got != e.Value {
				t.Errorf("%s: got %q, want %q", e.Expr, got, e.Value)
			}
		}
	}
}
