package streamtest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// suite is a contract with the conformance suite that every implementation runs.
type suite struct {
	contract string         // as implementations assert it
	call     string         // of the suite, in a test of the implementation's folder
	folders  map[string]int // of the implementations, and how many places each runs it on: files beside S3, the real server beside the fake
}

func suites() []suite {
	return []suite{
		{"stream.Source", "streamtest.TestSource(t,", map[string]int{"stream/kafka": 2}},
		{"stream.Ledger", "streamtest.TestLedger(t,", map[string]int{"checkpoint": 2}},
		{"Client", "storetest.Run(t,", map[string]int{"stream/store": 3, "stream/store/storetest": 1}},
		{"stream.Table", "sinktest.Table(t,", map[string]int{"sink/catalog/hive": 2}},
	}
}

// TestEveryImplementationRunsItsSuite: an implementation says which contract it keeps (var _ stream.Source = …), and a test of its
// folder proves it by the suite. Whoever adds one finds here what is missing, and adds a line above.
func TestEveryImplementationRunsItsSuite(t *testing.T) {
	root := filepath.Join("..", "..")
	for _, s := range suites() {
		assert := regexp.MustCompile(`_\s+(store\.)?` + regexp.QuoteMeta(s.contract) + `\s+= `)
		claimed, runs := map[string]bool{}, map[string]int{}
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && path != root && (d.Name()[0] == '.' || d.Name() == "testdata") {
				return filepath.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(path, ".go") || d.Name() == "suites_test.go" {
				return nil
			}
			text, err := os.ReadFile(path) //nolint:gosec // a file of this repository
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, filepath.Dir(path))
			folder := filepath.ToSlash(rel)
			if !strings.HasSuffix(path, "_test.go") {
				claimed[folder] = claimed[folder] || assert.Match(text)
			} else {
				runs[folder] += strings.Count(string(text), s.call)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for folder, is := range claimed {
			if is && s.folders[folder] == 0 {
				t.Errorf("%s implements %s: let a test call %s…) and add it to the list here", folder, s.contract, s.call)
			}
		}
		for folder, want := range s.folders {
			if !claimed[folder] || runs[folder] != want {
				t.Errorf("%s: it asserts %s: %v; it runs the suite %d times, want %d", folder, s.contract, claimed[folder], runs[folder], want)
			}
		}
		if len(s.folders) == 0 || slices.Contains([]string{s.call, s.contract}, "") {
			t.Errorf("%+v says nothing", s)
		}
	}
}
