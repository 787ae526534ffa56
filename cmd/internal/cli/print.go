package cli

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
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
		enc.SetEscapeHTML(false)
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
	width := widths(table)
	for _, r := range table {
		var line []string
		for i, c := range r {
			line = append(line, aligned(table, i, c, width[i]))
		}
		fmt.Fprintln(g.env.Stdout, strings.TrimRight(strings.Join(line, "  "), " "))
	}
	return nil
}

func widths(table [][]string) []int {
	width := make([]int, len(table[0]))
	for _, r := range table {
		for i, c := range r {
			width[i] = max(width[i], across(c))
		}
	}
	return width
}

// aligned is a cell of column i with blanks to width: before it if the column holds numbers, its header included.
func aligned(table [][]string, i int, cell string, width int) string {
	pad := strings.Repeat(" ", width-across(cell))
	body := table
	if len(table) > 1 && !numeric(table[0][i]) {
		body = table[1:]
	}
	for _, r := range body {
		if !numeric(r[i]) && r[i] != "" && r[i] != "null" {
			return cell + pad
		}
	}
	return pad + cell
}

// numeric cells are aligned to the right: numbers and sizes.
func numeric(s string) bool {
	if s == "" || s[0] > '9' || s[0] < '-' {
		return false
	}
	rest := strings.TrimLeft(s, "-0123456789,.")
	switch strings.TrimSpace(rest) {
	case "", "B", "KiB", "MiB", "GiB", "TiB":
		return strings.TrimRight(s, rest) != "-"
	}
	return false
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
