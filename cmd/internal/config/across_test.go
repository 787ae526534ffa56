package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/cmd/internal/config"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadAll(t *testing.T) {
	other := change("./t/", "./u/")
	dir := folder(t, map[string]string{
		"one.yaml": base, "two.yml": other, "notes.txt": "x", ".hidden.yaml": "x", "sub/three.yaml": change("./t/", "./v/"),
		"sub/values.yaml": "replicas: 3\nimage: {{ .Values.image }}\n", "testdata/bad.yaml": "source: 1", ".git/x.yaml": "source: 1",
	})
	for _, c := range []struct {
		name  string
		paths []string
		want  string
	}{
		{"file", []string{dir + "/one.yaml"}, "one"},
		{"folder", []string{dir}, "one two"},
		{"folder and file in it", []string{dir, dir + "/two.yml"}, "one two"},
		{"all below", []string{dir + "/..."}, "one three two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ps, faults := config.LoadAll(c.paths, components(), options(world))
			var names []string
			for _, p := range ps {
				names = append(names, p.Name)
			}
			if got := strings.Join(names, " "); got != c.want || len(faults) > 0 {
				t.Errorf("got %q, %v; want %q", got, faults, c.want)
			}
		})
	}
}

func TestPathsThatAreNone(t *testing.T) {
	dir := folder(t, map[string]string{"good.yaml": base, "bad.yaml": "source: 1", "sub/x.txt": ""})
	ps, faults := config.LoadAll([]string{dir + "/good.yaml", dir + "/bad.yaml", dir + "/nothing.yaml", dir + "/sub"}, components(), options(world))
	if len(ps) != 1 || ps[0].Name != "good" {
		t.Errorf("got %v", ps)
	}
	for _, want := range []string{dir + "/nothing.yaml: cannot read it: no such file or directory [E1023]", dir + "/sub: there is no pipeline here [E1023]", "source takes keys"} {
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("got\n%s\nwant %s", faults.Error(), want)
		}
	}
	if p, faults := config.Load(dir, components(), options(world)); p == nil || faults.Errors() == 0 {
		t.Errorf("got %v, %v", p, faults)
	}
}

// TestFilesThatAreNone: what stands where a file is expected neither hangs nor fills the memory.
func TestFilesThatAreNone(t *testing.T) {
	dir := folder(t, map[string]string{"good.yaml": base, "sub.yaml/notes.txt": "x", "large.yaml": strings.Repeat("a: 1\n", 1<<20)})
	for name, target := range map[string]string{"loop.yaml": "loop.yaml", "dangling.yaml": "/nowhere/at/all", "endless.yaml": "/dev/zero", "linked.yaml": "sub.yaml"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	ps, faults := config.LoadAll([]string{dir, dir + "/endless.yaml", dir + "/sub.yaml"}, components(), options(world))
	if len(ps) != 1 || ps[0].Name != "good" {
		t.Errorf("got %v", ps)
	}
	got := strings.ReplaceAll(faults.Error(), dir, "DIR")
	for _, want := range []string{
		"DIR/loop.yaml: cannot read the file: too many levels of symbolic links [E1023]", "DIR/dangling.yaml: cannot read the file: no such file or directory [E1023]",
		"DIR/linked.yaml: cannot read the file: is a directory [E1023]", "DIR/sub.yaml: there is no pipeline here [E1023]",
		"DIR/endless.yaml: the file has 1048577 bytes; a pipeline has at most 1048576 [E1011]", "DIR/large.yaml: the file has 1048577 bytes",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "pipe.yaml") {
		t.Errorf("got\n%s\nwant nothing of a pipe that nobody named", got)
	}
}

// TestTogether: what only one of the pipelines of a process may have.
func TestTogether(t *testing.T) {
	remote := func(table, ledger, dead string) string {
		return change("./t/", "s3://lake/"+table+"/") + "delivery: {ledger: s3://lake/" + ledger + "/}\ndead_letter: {parquet: {location: s3://lake/" + dead + "/}}\n"
	}
	glue := func(location, table, more string) string {
		return change("{location: ./t/}", "{location: "+location+"}\n    catalog: {glue: {database: d, table: "+table+more+"}}")
	}
	for _, c := range []struct{ name, a, b, want string }{
		{"apart", remote("a", "la", "da"), remote("b", "lb", "db"), ""},
		{"ledgers side by side", change("./t/", "s3://lake/a/") + "delivery: {ledger: s3://lake/_millrace/a/}\n", change("./t/", "s3://lake/b/") + "delivery: {ledger: s3://lake/_millrace/b/}\n", ""},
		{"one name", base + "name: x\n", change("./t/", "./u/") + "name: x\n", "two pipelines are called \"x\"; the other is DIR/a.yaml [E3012]"},
		{"one ledger", remote("a", "l", "da"), remote("b", "l", "db"), "DIR/b.yaml: the ledger s3://lake/l/ is that of DIR/a.yaml too [E3011]"},
		{"one location", base, base, "DIR/b.yaml: sink \"parquet\" and sink \"parquet\" of DIR/a.yaml have one location, /data/dir/t/ [E3008]"},
		{"one within the other", base, change("./t/", "./t/u/"), "DIR/b.yaml: sink \"parquet\", /data/dir/t/u/, lies inside sink \"parquet\" of DIR/a.yaml [E3008]"},
		{"ledger in the other's table", remote("a", "la", "da"), remote("b", "a/l", "db"), "the ledger, s3://lake/a/l/, lies inside sink \"parquet\" of DIR/a.yaml"},
		{"table around the other's ledger", remote("a", "b/la", "da"), remote("b", "lb", "db"), "the ledger of DIR/a.yaml lies inside sink \"parquet\", s3://lake/b/"},
		{"one table of dead letters", remote("a", "la", "d"), remote("b", "lb", "d"), "give each pipeline a `dead_letter.parquet.location` of its own"},
		{"one table", glue("./a/", "t", ""), glue("./b/", "T", ""), "sink \"parquet\" writes the table d.T, which DIR/a.yaml writes too [E3009]"},
		{"tables of two catalogs", glue("./a/", "t", ", endpoint: x"), glue("./b/", "t", ""), ""},
		{"buckets of two stores", remote("a", "la", "da"), remote("a", "la", "da") + "store: {s3: {endpoint: http://minio:9000}}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"a.yaml": c.a, "b.yaml": c.b})
			ps, faults := config.LoadAll([]string{dir}, components(), options(world))
			if c.want == "" {
				if len(ps) != 2 || len(faults) != 0 {
					t.Errorf("got %d, %v", len(ps), faults)
				}
				return
			}
			if got := strings.ReplaceAll(faults.Error(), dir, "DIR"); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant %s", got, c.want)
			}
			if len(ps) != 1 {
				t.Errorf("got %d pipelines, want the first alone", len(ps))
			}
		})
	}
}

// TestUnusedSet: a slip in --set is no silence.
func TestUnusedSet(t *testing.T) {
	dir := folder(t, map[string]string{"a.yaml": change("./t/", "./${RUN_DATE:-x}/")})
	o := options(world)
	o.Set = map[string]string{"RUN_DAT": "2026-01-01"}
	_, faults := config.LoadAll([]string{dir}, components(), o)
	if got := faults.Error(); !strings.Contains(got, "no file uses the variable ${RUN_DAT} [E1025]\n      did you mean \"RUN_DATE\"?") {
		t.Errorf("got\n%s", got)
	}
}

func TestParseEnvFile(t *testing.T) {
	dir := folder(t, map[string]string{
		"good": "\ufeff# comment\n\nA=1\nexport B = two words \nC=\"quoted # $A\"\nD='x'\nE=\nF=a=b\r\n", "bad": "A=1\nnot a line\n",
	})
	vars, err := config.ParseEnvFile(dir + "/good")
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"A": "1", "B": "two words", "C": "quoted # $A", "D": "x", "E": "", "F": "a=b"} {
		if vars[k] != want {
			t.Errorf("%s: got %q, want %q", k, vars[k], want)
		}
	}
	if _, err := config.ParseEnvFile(dir + "/bad"); err == nil || !strings.Contains(err.Error(), "bad:2: not NAME=value") {
		t.Errorf("got %v", err)
	}
	if _, err := config.ParseEnvFile(dir + "/missing"); err == nil {
		t.Error("a file that is not there was read")
	}
}
