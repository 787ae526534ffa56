package daemon_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace"

// floors says on which floor each package stands; the longest prefix counts. A package may import what stands below it, never
// what stands beside or above. A package inside another's folder (protocol below checkpoint) has a line of its own if its
// floor differs.
func floors() map[string]int {
	return map[string]int{
		"/stream": 0, "/deploy/quickstart": 0, "/deploy/examples": 0, "/deploy/real": 0,
		"/window": 1, "/checkpoint/protocol": 1, "/sink": 1, "/sink/sinktest": 1,
		"/stream/lane": 1, "/stream/store": 1, "/stream/transform": 1, "/stream/streamtest": 1,
		"/stream/store/storetest": 2,
		"/checkpoint":             2, "/sink/object": 2, "/sink/parquet": 2, "/sink/catalog/hive": 2,
		"/stream/kafka": 2, "/stream/decode": 2,
		"/cmd/internal/config": 3, "/cmd/internal/status": 3, "/cmd/internal/generate": 3,
		"/cmd/internal/daemon": 4, "/cmd/internal/cli": 5, "/cmd/internal/e2e": 5, "/cmd/millrace": 6,
	}
}

// TestEveryPackageStandsOnItsFloor asks the go command who imports whom. Imports of tests do not count.
func TestEveryPackageStandsOnItsFloor(t *testing.T) {
	floor := floors()
	at := func(path string) (int, string, bool) {
		for p := strings.TrimPrefix(path, module); p != ""; p = p[:strings.LastIndexByte(p, '/')] {
			if f, ok := floor[p]; ok {
				return f, p, true
			}
		}
		return 0, "", false
	}
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	packages := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
			GoFiles    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		packages++
		mine, room, ok := at(p.ImportPath)
		if !ok {
			t.Errorf("%s stands on no floor: give it a place in this test", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if !strings.HasPrefix(imp, module) {
				if room == "/window" || room == "/checkpoint/protocol" {
					pure(t, p.ImportPath, imp)
				}
				continue
			}
			theirs, other, ok := at(imp)
			if ok && other == room {
				continue // within one room
			}
			if !ok || theirs >= mine {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", p.ImportPath, mine, imp, theirs)
			}
		}
	}
	if packages < 15 {
		t.Fatalf("go list named %d packages; the test looks at nothing", packages)
	}
}

// pure refuses what a decision must not depend on.
func pure(t *testing.T, pkg, imp string) {
	t.Helper()
	for _, no := range []string{"net", "os", "context", "time"} {
		if imp == no || strings.HasPrefix(imp, no+"/") {
			t.Errorf("%s imports %s: its decisions may depend on nothing but their arguments", pkg, imp)
		}
	}
}
