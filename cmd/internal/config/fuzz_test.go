package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/cmd/internal/config"
)

// FuzzLoad: whatever a file holds, loading it ends with a pipeline or with faults that have a place, and never in a panic.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(base)
	f.Add(full)
	f.Fuzz(func(t *testing.T, text string) {
		p, faults := config.LoadText("p.yaml", []byte(text), components(), options(world))
		if p == nil && faults.Errors() == 0 {
			t.Fatal("neither a pipeline nor a fault")
		}
		for _, fault := range faults {
			if fault.Code == "" || fault.Text == "" || fault.Line < 0 || fault.Line > 0 && fault.Column < 1 || strings.ContainsAny(fault.Text, "\n") {
				t.Errorf("got %+v", fault)
			}
			_ = fault.String()
		}
		if p != nil && (p.Hash() == "" || p.Effective() == "") {
			t.Error("nothing to show")
		}
	})
}
