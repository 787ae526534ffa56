package config_test

import (
	"strings"
	"testing"
)

// TestPlaces: wherever and however an expression is written, the caret is under the word that is wrong.
func TestPlaces(t *testing.T) {
	for name, text := range map[string]string{
		"plain":             "  - filter: amount > 0 AND wrongg > 1\n",
		"single quotes":     "  - filter: 'id = ''it''''s'' AND wrongg > 1'\n",
		"double quotes":     `  - filter: "id <> '\"\x41\u00e9\\' AND wrongg > 1"` + "\n",
		"flow":              "  - set: {a: amount, b: amount + wrongg}\n",
		"flow over lines":   "  - set: {a: amount,\n      b: amount\n        + wrongg}\n",
		"plain over lines":  "  - filter: amount > 0\n      AND\n\n      wrongg > 1\n",
		"quoted over lines": "  - filter: \"amount > 0\n\n      AND \\\n      wrongg > 1\"\n",
		"literal":           "  - filter: |\n      amount > 0\n        AND\n\n      wrongg > 1\n",
		"literal, indented": "  - filter: |2-\n        amount > 0\n      AND wrongg > 1\n",
		"folded":            "  - filter: >-\n      amount > 0 AND\n      wrongg > 1\n",
		"folded, blank":     "  - filter: >\n\n      amount > 0\n\n\n        AND wrongg > 1\n",
		"other letters":     "  - filter: id = 'äöü世界' AND wrongg > 1\n",
		"after a variable":  "  - filter: amount > ${TEN} AND wrongg > 1\n",
		"after dollars":     "  - filter: \"id = '$$$$' AND wrongg > 1\"\n",
		"comment":           "  - filter: wrongg > 1 # AND amout > 0\n",
		"windows":           "  - filter: amount > 0 AND\r\n      wrongg > 1\r\n",
		"list":              "  - drop_nulls:\n      - id\n      - wrongg\n",
		"key":               "  - rename: {wrongg: x}\n",
		"quoted key":        "  - rename: {\"wrongg\": x}\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := strings.Replace(base, "  - filter: amount > 0\n", text, 1)
			faults := bad(t, file, `there is no column "wrongg" here`)
			if len(faults) != 1 {
				t.Fatalf("got\n%s", faults.Error())
			}
			f := faults[0]
			line := []rune(strings.TrimSuffix(strings.Split(file, "\n")[f.Line-1], "\r"))
			if got := string(line[f.Column-1 : min(len(line), f.Column-1+f.Length)]); got != "wrongg" && got != `"wrongg"` {
				t.Errorf("got %q at %d:%d+%d in\n%s", got, f.Line, f.Column, f.Length, faults.Error())
			}
		})
	}
}

// TestPlaceInVariable: what is wrong inside a variable's value is told at the variable.
func TestPlaceInVariable(t *testing.T) {
	faults := bad(t, change("amount > 0", "amount > 0 AND ${EXPR:-wrongg > 1}"), `"wrongg"`)
	if got := faults[0].String(); !strings.Contains(got, "  - filter: amount > 0 AND ${EXPR:-wrongg > 1}\n") || !strings.Contains(got, "                            ^^^^^^^^^^^^^^^^^^^") {
		t.Errorf("got\n%s", got)
	}
}
