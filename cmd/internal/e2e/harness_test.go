//go:build integration

package e2e

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/deploy/real"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "4") // they wait more than they work
	real.Main(m)
}

//go:embed check.py
var checkProgram string

// binary is millrace, built once; MILLRACE_BINARY names one that is there already.
var binary = sync.OnceValues(func() (string, error) {
	if there := os.Getenv("MILLRACE_BINARY"); there != "" {
		return there, nil
	}
	dir, err := os.MkdirTemp("", "millrace-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "millrace")
	cmd := exec.Command("go", "build", "-o", path, "github.com/millrace/millrace/cmd/millrace")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// daemon is a running millrace.
type daemon struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	done chan struct{}
	err  error

	mu  sync.Mutex
	log bytes.Buffer // standard error
	out bytes.Buffer // standard output
}

type locked struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// start runs millrace with arguments and does not wait. An --addr of its own is added to `run` and `demo`.
func start(t testing.TB, env []string, args ...string) *daemon {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, done: make(chan struct{})}
	if args[0] == "run" || args[0] == "demo" {
		d.addr = freeAddr(t)
		args = append(args, "--addr", d.addr)
	}
	d.cmd = exec.Command(bin, args...)
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = locked{&d.mu, &d.out}, locked{&d.mu, &d.log}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.err = d.cmd.Wait(); close(d.done) }()
	t.Cleanup(func() {
		select {
		case <-d.done:
		default:
			_ = d.cmd.Process.Kill()
			<-d.done
		}
		if t.Failed() {
			t.Logf("millrace %s:\n%s", strings.Join(args, " "), tail(d.stderr(), 6000))
		}
	})
	return d
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

func (d *daemon) stderr() string { d.mu.Lock(); defer d.mu.Unlock(); return d.log.String() }
func (d *daemon) stdout() string { d.mu.Lock(); defer d.mu.Unlock(); return d.out.String() }

// wait returns the exit code.
func (d *daemon) wait(limit time.Duration) int {
	d.t.Helper()
	timeout := time.NewTimer(max(limit, time.Millisecond))
	defer timeout.Stop()
	select {
	case <-d.done:
	case <-timeout.C:
		_ = d.cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(500 * time.Millisecond)
		d.t.Fatalf("millrace did not end within %s:\n%s", limit, tail(d.stderr(), 12000))
	}
	var ee *exec.ExitError
	if errors.As(d.err, &ee) {
		return ee.ExitCode()
	}
	if d.err != nil {
		d.t.Fatal(d.err)
	}
	return 0
}

func (d *daemon) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Logf("signal %v: %v", s, err)
	}
}

func (d *daemon) alive() bool {
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// get asks the daemon's HTTP server; status 0: it does not answer.
func (d *daemon) get(path string) (status int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.addr+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	_, _ = b.ReadFrom(res.Body)
	return res.StatusCode, b.String()
}

// metric sums the samples of a metric whose labels contain all of the given texts.
func (d *daemon) metric(name string, labels ...string) float64 {
	_, body := d.get("/metrics")
	sum := 0.0
	for line := range strings.Lines(body) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		fits := true
		for _, l := range labels {
			fits = fits && strings.Contains(rest, l)
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(rest[strings.LastIndexByte(strings.TrimSpace(rest), ' ')+1:]), 64); fits && err == nil {
			sum += v
		}
	}
	return sum
}

// until waits for a condition.
func until(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("after %s still not: %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// run runs millrace to its end.
func run(t testing.TB, limit time.Duration, env []string, args ...string) (code int, d *daemon) {
	t.Helper()
	d = start(t, env, args...)
	return d.wait(limit), d
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// write puts a file into a folder of the test's own.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// client is a Kafka client for producing and asking.
func client(t testing.TB, broker string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(broker), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1 << 20), kgo.DisableClientMetrics(),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(100_000),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, cl *kgo.Client, topic string, partitions int32) {
	t.Helper()
	_, err := kadm.NewClient(cl).CreateTopic(t.Context(), partitions, 1, nil, topic)
	if err != nil {
		t.Fatal(err)
	}
}

// comparison is what check.py says of one reader.
type comparison struct {
	Rows, Want, Missing, Extra int64
	MissingSample              []string `json:"missing_sample"`
	ExtraSample                []string `json:"extra_sample"`
}

type report struct {
	Files           int
	DuckDB, PyArrow comparison
	Types           struct{ DuckDB, PyArrow map[string]string }
}

// column is a name and the type that DuckDB must find.
type column struct{ name, duckdb, pyarrow string }

// check compares a table with the rows it should have, by DuckDB and PyArrow, value by value and type by type.
func check(t testing.TB, table string, cols []column, expected string) report {
	t.Helper()
	out := real.RunPython(t, checkProgram, table, expected, schemaOf(cols))
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	r.judge(t, table, cols)
	return r
}

// schemaOf is the argument of check.py.
func schemaOf(cols []column) string {
	var schema strings.Builder
	schema.WriteByte('{')
	for i, c := range cols {
		if i > 0 {
			schema.WriteByte(',')
		}
		fmt.Fprintf(&schema, "%q: %q", c.name, c.duckdb)
	}
	schema.WriteByte('}')
	return schema.String()
}

// judge fails the test if a reader found other rows or types.
func (r report) judge(t testing.TB, table string, cols []column) {
	t.Helper()
	for name, c := range map[string]comparison{"duckdb": r.DuckDB, "pyarrow": r.PyArrow} {
		if c.Missing != 0 || c.Extra != 0 || c.Rows != c.Want {
			t.Errorf("%s reads %d rows of %s, want %d; missing %d %v, extra %d %v", name, c.Rows, table, c.Want, c.Missing, c.MissingSample, c.Extra, c.ExtraSample)
		}
	}
	if r.Files == 0 {
		return
	}
	for _, c := range cols {
		if got := r.Types.DuckDB[c.name]; got != c.duckdb {
			t.Errorf("%s: duckdb: column %s is %s, want %s", table, c.name, got, c.duckdb)
		}
		if got := r.Types.PyArrow[c.name]; got != c.pyarrow {
			t.Errorf("%s: pyarrow: column %s is %s, want %s", table, c.name, got, c.pyarrow)
		}
	}
}
