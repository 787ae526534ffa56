package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
)

const goodPipeline = `source:
  kafka: {brokers: "${BROKERS:-a:9092}", topics: [orders]}
  decode: json
  schema: {id: string!, amount: "decimal(18,2)"}
steps: [{filter: amount > 0}]
sinks: [{parquet: {location: ./t/}}]
`

// validate runs the verb on files of a fresh folder, named DIR in what it returns.
func validate(t *testing.T, files map[string]string, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "DIR", dir)
	}
	var out, errs strings.Builder
	code = Main(Env{Args: append([]string{"validate"}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(k string) string { return env[k] }})
	return code, strings.ReplaceAll(out.String(), dir, "DIR"), strings.ReplaceAll(errs.String(), dir, "DIR")
}

func TestValidate(t *testing.T) {
	bad := strings.Replace(goodPipeline, "amount >", "amout >", 1)
	warned := strings.Replace(goodPipeline, "location: ./t/", "location: ./t/, roll: {size: 64KiB}", 1)
	for _, c := range []struct {
		name  string
		files map[string]string
		env   map[string]string
		args  []string
		code  int
		want  []string
		not   []string
	}{
		{name: "good", files: map[string]string{"a.yaml": goodPipeline}, args: []string{"DIR/a.yaml"}, want: []string{"DIR/a.yaml: good: pipeline a, 1 step, parquet → "}},
		{name: "good, quiet", files: map[string]string{"a.yaml": goodPipeline}, args: []string{"-q", "DIR/a.yaml"}, not: []string{"good"}},
		{
			name: "bad", files: map[string]string{"a.yaml": bad, "b.yaml": strings.Replace(goodPipeline, "./t/", "./u/", 1)}, args: []string{"DIR"}, code: 78,
			want: []string{
				"DIR/a.yaml: 1 error\n\nDIR/a.yaml:5:18: step 0 \"filter\": there is no column \"amout\" here [E2001]\n    5 | steps: [{filter: amout > 0}]\n" +
					"      |                  ^^^^^ did you mean \"amount\" decimal(18,2)?\n      columns here: id, amount\n", "DIR/b.yaml: good",
			},
			not: []string{"\x1b["},
		},
		{name: "colours", files: map[string]string{"a.yaml": bad}, args: []string{"--color", "always", "DIR"}, code: 78, want: []string{"\x1b[31mDIR/a.yaml:5:18: "}},
		{name: "warning", files: map[string]string{"a.yaml": warned}, args: []string{"DIR"}, want: []string{"DIR/a.yaml: 1 warning\n\nwarning DIR/a.yaml:6:49: ", "\n\nDIR/a.yaml: good"}},
		{name: "strict", files: map[string]string{"a.yaml": warned}, args: []string{"--strict", "DIR"}, code: 78, want: []string{"1 warning"}},
		{name: "github", files: map[string]string{"a.yaml": bad}, args: []string{"--format", "github", "DIR"}, code: 78, want: []string{
			"::error file=DIR/a.yaml,line=5,col=18,endColumn=23,title=E2001::step 0 \"filter\": there is no column \"amout\" here%0Adid you mean \"amount\" decimal(18,2)?%0Acolumns here: id, amount\n",
		}},
		{name: "set", files: map[string]string{"a.yaml": goodPipeline}, args: []string{"--set", "BROKERS=no port", "DIR"}, code: 78, want: []string{`"no port" is not a broker's address`}},
		{name: "environment", files: map[string]string{"a.yaml": goodPipeline}, env: map[string]string{"BROKERS": "no port"}, args: []string{"DIR"}, code: 78, want: []string{`"no port" is not a broker's address`}},
		{name: "env-file", files: map[string]string{"a.yaml": goodPipeline, "vars": "BROKERS=no port\n"}, args: []string{"--env-file", "DIR/vars", "DIR"}, code: 78, want: []string{`"no port" is not a broker's address`}},
		{name: "nothing there", args: []string{"DIR/x.yaml"}, code: 78, want: []string{"DIR/x.yaml: cannot read it: no such file or directory [E1023]"}},
		{name: "format", args: []string{"--format", "xml", "DIR"}, code: 64},
		{name: "no path", code: 64},
		{name: "set without value", args: []string{"--set", "X", "DIR"}, code: 64},
		{name: "no env-file", args: []string{"--env-file", "DIR/none", "DIR"}, code: 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := validate(t, c.files, c.env, c.args...)
			if code != c.code {
				t.Errorf("got exit code %d, want %d\n%s%s", code, c.code, stdout, stderr)
			}
			for _, w := range c.want {
				if !strings.Contains(stdout, w) {
					t.Errorf("got\n%s\nwant %q", stdout, w)
				}
			}
			for _, w := range c.not {
				if strings.Contains(stdout, w) {
					t.Errorf("got\n%s\nwant no %q", stdout, w)
				}
			}
			if code == exitUsage && stderr == "" || code != exitUsage && stderr != "" {
				t.Errorf("got on stderr: %q", stderr)
			}
		})
	}
}

func TestValidateJSON(t *testing.T) {
	_, stdout, _ := validate(t, map[string]string{"a.yaml": strings.Replace(goodPipeline, "amount >", "amout >", 1)}, nil, "--format", "json", "DIR")
	var faults config.Faults
	if err := json.Unmarshal([]byte(stdout), &faults); err != nil || len(faults) != 1 {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	if f := faults[0]; f.Line != 5 || f.Column != 18 || f.Length != 5 || f.Code != "E2001" || f.Fix == "" || f.File != "DIR/a.yaml" {
		t.Errorf("got %+v", f)
	}
	if _, stdout, _ := validate(t, map[string]string{"a.yaml": goodPipeline}, nil, "--format", "json", "DIR"); strings.TrimSpace(stdout) != "[]" {
		t.Errorf("got %q", stdout)
	}
}

// TestShippedFiles: the quickstart and every example load with the components of this program.
func TestShippedFiles(t *testing.T) {
	files, err := filepath.Glob("../../../deploy/examples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	vars := map[string]string{"KAFKA_BROKERS": "kafka:9092", "LAKE": "lake", "TOPICS": "orders,payments"}
	o := config.Options{Env: func(k string) (string, bool) { v, ok := vars[k]; return v, ok }}
	for _, f := range append(files, "../../../deploy/quickstart/orders.yaml") {
		if p, faults := config.Load(f, daemon.Components(), o); p == nil || len(faults) > 0 {
			t.Error(faults.Error())
		}
	}
}
