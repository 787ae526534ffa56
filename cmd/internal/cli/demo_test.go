package cli

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
)

// TestDemo runs the demo twice in one folder: it shows the first rows, balances, and goes on where it stopped.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	env := map[string]string{"LAKE": "/nowhere", "KAFKA_BROKERS": "none:1"} // somebody's own; not the demo's
	run := func() (string, string) {
		code, stdout, stderr := millrace(env, "demo", "--dir", dir, "--port", "0", "--addr", "127.0.0.1:0", "--records", "3000")
		if code != 0 {
			t.Fatalf("got %d\n%s%s", code, stdout, stderr)
		}
		return stdout, stderr
	}
	stdout, stderr := run()
	for _, want := range []string{
		"first commit after ", "lake/orders/order_date=2026-01-0", "order_id", "gross_amount", " more rows\n",
		" commits -n 5 " + dir + "/orders.yaml\n", " bookmarks list " + dir + "/orders.yaml\n", "/metrics | grep ^millrace_\n", "kill -9 " + strconv.Itoa(os.Getpid()),
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q on standard output, got\n%s", want, stdout)
		}
	}
	for _, want := range []string{"pipeline  " + dir + "/orders.yaml", "(embedded, topic orders, 4 partitions)", "all committed after ", "Nothing pending. Went to " + dir + "/lake/orders\n"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("want %q on standard error, got\n%s", want, stderr)
		}
	}
	if strings.Contains(stderr, "goes on") || strings.Contains(stdout+stderr, "\x1b") {
		t.Errorf("got\n%s%s", stdout, stderr)
	}
	balanced(t, stderr)
	if _, stderr = run(); !strings.Contains(stderr, "  goes on   where the last run stopped: 3,000 records committed so far\n") {
		t.Errorf("the second run: got\n%s", stderr)
	}
	balanced(t, stderr)

	file := filepath.Join(dir, "orders.yaml")
	code, table, errs := millrace(nil, "bookmarks", "list", file)
	if code != 0 || strings.Count(table, "kafka/orders/") != 4 || !strings.Contains(table, "nobody") {
		t.Errorf("bookmarks list: got %d\n%s%s", code, table, errs)
	}
	if code, text, errs := millrace(nil, "bookmarks", "show", file, "kafka/orders/0"); code != 0 || !strings.Contains(text, `"partition": "kafka/orders/0"`) {
		t.Errorf("bookmarks show: got %d\n%s%s", code, text, errs)
	}
	if code, text, errs := millrace(nil, "bookmarks", "show", file, "kafka/orders/9"); code != 1 || text != "" || !strings.Contains(errs, "next: it knows: kafka/orders/0 ") {
		t.Errorf("bookmarks show of none: got %d\n%s%s", code, text, errs)
	}
	if code, text, errs := millrace(nil, "commits", "-n", "2", file); code != 0 || strings.Count(text, "retired") != 2 {
		t.Errorf("commits: got %d\n%s%s", code, text, errs)
	}
	if code, text, errs := millrace(nil, "commits", "-o", "jsonl", file); code != 0 || !strings.HasPrefix(text, `{"pipeline":"orders","time":`) {
		t.Errorf("commits -o jsonl: got %d\n%s%s", code, text, errs)
	}
}

// balanced checks that the summary accounts for every record of a run of 3,000.
func balanced(t *testing.T, stderr string) {
	t.Helper()
	m := regexp.MustCompile(`([\d,]+) records in → ([\d,]+) rows in [\d,]+ files, ([\d,]+) filtered, ([\d,]+) dead letters?\.`).FindStringSubmatch(stderr)
	if m == nil {
		t.Fatalf("no summary in\n%s", stderr)
	}
	var n [5]int
	for i := 1; i < 5; i++ {
		n[i], _ = strconv.Atoi(strings.ReplaceAll(m[i], ",", ""))
	}
	if n[1] != 3000 || n[2]+n[3]+n[4] != n[1] || n[2] == 0 {
		t.Errorf("%v do not add up to 3000", n[1:])
	}
}

// TestDemoCannotStart: what stands in the way is said in one line, with the next step in another.
func TestDemoCannotStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	busy := filepath.Join(dir, "busy")
	lock, err := demoDir(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	for _, c := range []struct{ name, dir, port, addr, want, next string }{
		{"the broker's port is taken", filepath.Join(dir, "a"), taken, "127.0.0.1:0", "the port of the embedded broker, is taken", "--port 0"},
		{"the HTTP port is taken", filepath.Join(dir, "b"), "0", "127.0.0.1:" + taken, "address already in use", "--addr"},
		{"open to everybody", filepath.Join(dir, "c"), "0", "0.0.0.0:0", "can be reached from other machines", "--token-file"},
		{"no folder", filepath.Join(file, "x"), "0", "127.0.0.1:0", "cannot keep anything in " + file, "--dir"},
		{"another demo", busy, "0", "127.0.0.1:0", "another demo runs in " + busy, "--dir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := millrace(nil, "demo", "--dir", c.dir, "--port", c.port, "--addr", c.addr)
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if code != exitFailed || stdout != "" || len(lines) != 2 || !strings.Contains(lines[0], c.want) || !strings.HasPrefix(lines[1], "  next: ") || !strings.Contains(lines[1], c.next) {
				t.Errorf("got %d, %q\n%s", code, stdout, stderr)
			}
		})
	}
}

// TestDemoFile: the file in the demo's folder is the quickstart with places filled in, and good for the other verbs.
func TestDemoFile(t *testing.T) {
	text := string(demoText("/tmp/my demo", "127.0.0.1:4711"))
	for _, want := range []string{"brokers: ${KAFKA_BROKERS:-127.0.0.1:4711} ", "location: ${LAKE:-/tmp/my demo/lake}/orders/", "commit_every: 1s "} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, ":-./") {
		t.Errorf("a place of the quickstart's own is left in\n%s", text)
	}
	c, faults := config.LoadText("orders.yaml", []byte(text), daemon.Components(), config.Options{Dir: "/"})
	if c == nil || len(faults) > 0 || c.Delivery.Ledger != "/tmp/my demo/ledger/" {
		t.Errorf("got %+v, %v", c, faults)
	}
}
