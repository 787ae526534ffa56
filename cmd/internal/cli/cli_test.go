package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/stream"
)

// millrace runs one command line.
func millrace(env map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = Main(Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(k string) string { return env[k] }})
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{stream.ErrDenied, 77}, {stream.ErrUnavailable, 69}, {stream.ErrUnknown, 75}, {stream.ErrFenced, 75}, {stream.ErrFull, 75},
		{stream.ErrPermanent, 1}, {stream.ErrForeign, 1}, {stream.ErrLost, 1}, {errors.New("any other"), 1},
	} {
		if got := codeOf(stream.WithNext(fmt.Errorf("a: %w: %w", c.err, errors.New("cause")), "do that")); got != c.want {
			t.Errorf("%v: got %d, want %d", c.err, got, c.want)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args string
		env  map[string]string
		want string // on stderr
	}{
		{"verb", "runn x.yaml", nil, "there is no command \"runn\"; did you mean `millrace run`?"},
		{"verb, nothing near", "frobnicate", nil, "there is no command \"frobnicate\"; `millrace --help` lists them"},
		{"verb below", "bookmarks lst", nil, "did you mean `millrace bookmarks list`?"},
		{"shell", "completion tcsh", nil, "there is no command \"completion tcsh\""},
		{"flag", "run --onc x.yaml", nil, "unknown flag: --onc; did you mean --once?"},
		{"flag, nothing near", "run --frobnicate x.yaml", nil, "unknown flag: --frobnicate; `millrace run --help` lists the flags"},
		{"value", "demo --port abc", nil, `invalid argument "abc" for "--port" flag: invalid syntax`},
		{"no path", "run", nil, "millrace run needs more: write `millrace run PATH... [flags]`"},
		{"no partition", "bookmarks show x.yaml", nil, "bookmarks show needs more"},
		{"too many", "bookmarks show a b c", nil, `takes 2 arguments, and "c" is one more`},
		{"no arguments wanted", "demo now", nil, `millrace demo takes no arguments, and "now" is one`},
		{"port", "demo --port 70000", nil, "ports go up to 65535"},
		{"rate", "demo --rate 0", nil, "--rate 0: write a number from 1 on"},
		{"records", "demo --records -1", nil, "--records -1"},
		{"number", "commits -n 0 x.yaml", nil, "-n 0: write a number from 1 on"},
		{"word", "-o xml version", nil, `--output "xml" is not one of: table, json, jsonl`},
		{"word of a twin", "version", map[string]string{"MILLRACE_LOG_FORMAT": "xml"}, `--log-format "xml" is not one of: text, json`},
		{"value of a twin", "demo", map[string]string{"MILLRACE_DRAIN_TIMEOUT": "5"}, `MILLRACE_DRAIN_TIMEOUT="5": invalid argument "5" for "--drain-timeout" flag: missing unit in duration`},
		{"memory without a unit", "demo --memory-limit 512", nil, `"512" has no unit`},
		{"memory of a twin", "demo", map[string]string{"MILLRACE_MEMORY_LIMIT": "1MiB"}, "--memory-limit: 1MiB is too little"},
		{"a flag wins over its twin", "demo --memory-limit 2MiB", map[string]string{"MILLRACE_MEMORY_LIMIT": "1MiB"}, "--memory-limit: 2MiB is too little"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := millrace(c.env, strings.Fields(c.args)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("got %d, %q and on stderr %q, want 64 and one line with %q", code, stdout, stderr, c.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, verb := range []string{"", "help", "demo", "run", "validate", "bookmarks", "bookmarks list", "bookmarks show", "commits", "version", "completion", "completion bash"} {
		args := strings.Fields(verb)
		if verb != "" && verb != "help" {
			args = append(args, "--help")
		}
		code, stdout, stderr := millrace(map[string]string{"MILLRACE_HELP": "true"}, args...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "Usage:\n") {
			t.Errorf("%q: got %d, %q, %q", verb, code, stdout, stderr)
		}
		for line := range strings.SplitSeq(stdout, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "-") && across(line) > 100 {
				t.Errorf("%q: a line is too long for a terminal: %q", verb, line)
			}
		}
	}
	if _, stdout, _ := millrace(nil); !strings.Contains(stdout, "millrace demo") || !strings.Contains(stdout, "Begin here:") {
		t.Errorf("got %q", stdout)
	}
	if code, stdout, _ := millrace(nil, "completion", "bash"); code != 0 || !strings.Contains(stdout, "__millrace") {
		t.Errorf("completion: got %d, %d bytes", code, len(stdout))
	}
	if code, stdout, _ := millrace(nil, "version"); code != 0 || !strings.HasPrefix(stdout, "millrace ") {
		t.Errorf("version: got %d, %q", code, stdout)
	}
}

func TestTwins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(goodPipeline, "amount >", "amout >", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stdout, _ := millrace(map[string]string{"MILLRACE_FORMAT": "github"}, "validate", path); !strings.HasPrefix(stdout, "::error ") {
		t.Errorf("got %q", stdout)
	}
	if _, stdout, _ := millrace(map[string]string{"MILLRACE_FORMAT": "github"}, "validate", "--format", "json", path); !strings.HasPrefix(stdout, "[") {
		t.Errorf("got %q", stdout)
	}
}

func TestColours(t *testing.T) {
	for _, c := range []struct {
		color string
		env   map[string]string
		tty   bool
		want  bool
	}{
		{"auto", nil, true, true},
		{"auto", nil, false, false},
		{"auto", map[string]string{"NO_COLOR": "1"}, true, false},
		{"auto", map[string]string{"TERM": "dumb"}, true, false},
		{"always", map[string]string{"NO_COLOR": "1"}, false, true},
		{"never", nil, true, false},
	} {
		g := &global{color: c.color, env: Env{Getenv: func(k string) string { return c.env[k] }}}
		if got := g.colours(&screen{tty: c.tty}); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestPrint(t *testing.T) {
	type row struct {
		Name string `json:"name"`
		N    int    `json:"n"`
	}
	rows := []row{{"a<b", 1}, {"longer", 12345}}
	cells := func(i int) []string { return []string{rows[i].Name, count(int64(rows[i].N))} }
	for format, want := range map[string]string{
		"table": "NAME         N\na<b          1\nlonger  12,345\n",
		"json":  "[\n  {\n    \"name\": \"a<b\",\n    \"n\": 1\n  },\n  {\n    \"name\": \"longer\",\n    \"n\": 12345\n  }\n]\n",
		"jsonl": "{\"name\":\"a<b\",\"n\":1}\n{\"name\":\"longer\",\"n\":12345}\n",
	} {
		var out strings.Builder
		g := &global{output: format, env: Env{Stdout: &out}}
		if err := g.print(rows, []string{"NAME", "N"}, cells); err != nil || out.String() != want {
			t.Errorf("%s: got %q, want %q (%v)", format, out.String(), want, err)
		}
		out.Reset()
		if err := g.print([]row(nil), []string{"NAME", "N"}, cells); err != nil {
			t.Error(err)
		}
		if want := map[string]string{"table": "NAME  N\n", "json": "[]\n", "jsonl": ""}[format]; out.String() != want {
			t.Errorf("%s, no rows: got %q, want %q", format, out.String(), want)
		}
	}
}

func TestNumeric(t *testing.T) {
	for s, want := range map[string]bool{
		"1": true, "1,204": true, "-3.5": true, "68.5 KiB": true, "12B": true, "448.6KiB": true,
		"": false, "-": false, "a1": false, "1a": false, "KiB": false, "kafka/orders/0": false, "null": false,
	} {
		if numeric(s) != want {
			t.Errorf("%q: got %v", s, !want)
		}
	}
}
