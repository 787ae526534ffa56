package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// print writes rows to standard output as -o says. rows is a slice; cells gives the cells of row i of the table.
func (g *global) print(rows any, header []string, cells func(i int) []string) error {
	v := reflect.ValueOf(rows)
	switch g.output {
	case "json":
		if v.Len() == 0 {
			fmt.Fprintln(g.env.Stdout, "[]")
			return nil
		}
		return g.printJSON(rows)
	case "jsonl":
		enc := json.NewEncoder(g.env.Stdout)
		for i := range v.Len() {
			if err := enc.Encode(v.Index(i).Interface()); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		return nil
	}
	table := [][]string{header}
	for i := range v.Len() {
		table = append(table, cells(i))
	}
	width := make([]int, len(header))
	for _, r := range table {
		for i, c := range r {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	for _, r := range table {
		var b strings.Builder
		for i, c := range r {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if numeric(c) {
				b.WriteString(pad + c)
			} else {
				b.WriteString(c + pad)
			}
		}
		fmt.Fprintln(g.env.Stdout, strings.TrimRight(b.String(), " "))
	}
	return nil
}

// numeric cells are aligned to the right.
func numeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789,.") == ""
}

func (g *global) printJSON(v any) error {
	enc := json.NewEncoder(g.env.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
