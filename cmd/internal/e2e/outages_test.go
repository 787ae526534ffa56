//go:build integration

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/real"
)

// notReady waits until the process says that it is not ready, and returns the reason.
func (d *daemon) notReady(limit time.Duration, why ...string) (body string) {
	d.t.Helper()
	until(d.t, limit, fmt.Sprintf("/-/ready answers 503 with the reason %q", why), func() bool {
		code, text := d.get("/-/ready")
		body = text
		for _, w := range why {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return code == http.StatusServiceUnavailable
	})
	return strings.TrimSpace(body)
}

func (d *daemon) ready(limit time.Duration) {
	d.t.Helper()
	until(d.t, limit, "/-/ready answers 200", func() bool { code, _ := d.get("/-/ready"); return code == http.StatusOK })
}

// TestServersThatGoAwayComeBack takes the broker, and then the store, away from a running pipeline.
func TestServersThatGoAwayComeBack(t *testing.T) {
	k, b := real.OwnKafka(t), real.OwnS3(t)
	t.Setenv("S3_ENDPOINT", b.Endpoint)
	p := place{name: "outage", broker: k.Addr, lake: "s3://" + b.Name, s3: b.Endpoint, glue: real.Glue(t), lanes: 2, every: 500 * time.Millisecond}
	o := newOrders(t, p, 2)
	o.produce(500)
	l, conf := p.open(t), p.pipeline(t)
	stopLister := watch(t, p)
	d := start(t, nil, append([]string{"run", conf}, groupFlags()...)...)
	d.ready(time.Minute)
	stopProducing := o.keepProducing(500)
	until(t, time.Minute, "all lanes commit", moved(l, p, l.heads(p)))
	for _, server := range []struct {
		name        string
		kill, start func(testing.TB)
	}{{"broker", k.Kill, k.Start}, {"store", b.Kill, b.Start}} {
		before := l.heads(p)
		begin := time.Now()
		server.kill(t)
		reason := d.notReady(time.Minute, p.name+": ")
		t.Logf("%s killed; after %s not ready: %s", server.name, time.Since(begin).Round(time.Millisecond), reason)
		if len(reason) < len(p.name)+20 || strings.Contains(reason, "\n") {
			t.Errorf("%s away: the reason is %q, want one line that says what is away", server.name, reason)
		}
		until(t, 30*time.Second, "metrics tell that it does not run", func() bool {
			return d.metric("millrace_pipeline_state", `state="running"`) == 0 && d.metric("millrace_pipeline_state", `state="waiting"`) == 1
		})
		if code, _ := d.get("/-/healthy"); code != http.StatusOK {
			t.Errorf("%s away: /-/healthy answers %d, want 200", server.name, code)
		}
		begin = time.Now()
		server.start(t)
		d.ready(time.Minute)
		until(t, time.Minute, "all lanes commit again", moved(l, p, before))
		t.Logf("%s is back; all lanes committed after %s", server.name, time.Since(begin).Round(time.Millisecond))
	}
	stopProducing()
	until(t, time.Minute, "everything is committed and published", func() bool { return l.caughtUp(p, o) })
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	stopLister()
	o.settled(conf)
	o.verify(p)
}

// TestWhatIsWrongAtTheStart is told in one line, with the next step and the exit code.
func TestWhatIsWrongAtTheStart(t *testing.T) {
	t.Parallel()
	s3, disk := onS3(t, "away"), onDisk(t, "away")
	o := newOrders(t, disk, 1)
	o.produce(10)
	const nobody = "127.0.0.1:1"
	onBucket := s3.pipeline(t)
	for _, c := range []struct {
		name string
		conf string
		env  []string
		code int
		want []string // in the line
		next string   // in the next step
	}{
		{"broker away", with(t, disk.pipeline(t), disk.broker, nobody), nil, 69, []string{"kafka", nobody}, "source.kafka.brokers"},
		{"store away", with(t, onBucket, s3.s3, "http://"+nobody), nil, 69, []string{nobody}, ""},
		{"catalog away", with(t, onBucket, s3.glue, "http://"+nobody), nil, 69, []string{nobody}, ""},
		{"wrong secret", onBucket, []string{"AWS_SECRET_ACCESS_KEY=wrong"}, 77, []string{"s3"}, ""},
		{"missing bucket", with(t, onBucket, s3.lake+"/ledger", "s3://no-such-bucket/ledger"), nil, 1, []string{"no-such-bucket"}, ""},
		{"missing topic", with(t, disk.pipeline(t), "topics: [away]", "topics: [no_such_topic]"), nil, 1, []string{"no_such_topic"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			d := start(t, c.env, "run", c.conf)
			code := d.wait(90 * time.Second)
			said := d.stderr()
			t.Logf("exit %d after %s", code, time.Since(begin).Round(time.Millisecond))
			if code != c.code {
				t.Errorf("exit %d, want %d:\n%s", code, c.code, tail(said, 3000))
			}
			var line, next string
			n := 0
			for s := range strings.Lines(said) {
				if strings.HasPrefix(s, "millrace: ") {
					line = s
					n++
				}
				if strings.HasPrefix(s, "  next: ") {
					next = s
				}
			}
			for _, w := range c.want {
				if !strings.Contains(line, w) {
					t.Errorf("the last word is %q, want %q in it", line, w)
				}
			}
			if n != 1 || next == "" || !strings.Contains(next, c.next) {
				t.Errorf("want one line that begins with millrace: and a next step with %q in it:\n%s", c.next, tail(said, 3000))
			}
			if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
				t.Errorf("a trace:\n%s", tail(said, 3000))
			}
		})
	}
}

func TestUsageAndConfigurationHaveExitCodes(t *testing.T) {
	good := onDisk(t, "usage").pipeline(t)
	empty := write(t, "empty.yaml", "version: 1\n")
	for _, c := range []struct {
		name string
		code int
		want string
		args []string
	}{
		{"no such flag", 64, "--nope", []string{"run", "--nope", good}},
		{"no path", 64, "run --help", []string{"run"}},
		{"no such verb", 64, "fly", []string{"fly"}},
		{"too little memory", 64, "--memory-limit", []string{"run", "--memory-limit", "1MiB", good}},
		{"a size without a unit", 64, "--memory-limit", []string{"run", "--memory-limit", "512", good}},
		{"no such output", 64, "--output", []string{"bookmarks", "list", "-o", "xml", good}},
		{"no such file", 78, "nowhere.yaml", []string{"run", "nowhere.yaml"}},
		{"an empty pipeline", 78, "empty.yaml", []string{"run", empty}},
		{"a typo", 78, `did you mean "brokers"?`, []string{"validate", write(t, "typo.yaml", "version: 1\nname: typo\nsource:\n  kafka: {brokes: [a:9092], topics: [t]}\n  decode: json\n  schema: {a: string}\nsinks:\n  - parquet: {location: ./x}\n")}},
		{"an unset variable", 78, "NOT_SET_ANYWHERE", []string{"run", write(t, "unset.yaml", "version: 1\nname: ${NOT_SET_ANYWHERE}\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, d := run(t, 20*time.Second, nil, c.args...)
			if said := d.stderr() + d.stdout(); code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("exit %d, want %d with %q in:\n%s", code, c.code, c.want, said)
			}
		})
	}
}

// TestOnePipelineThatCannotStartLeavesTheOthersAlone runs two, of which one reads a topic that does not exist.
func TestOnePipelineThatCannotStartLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "pair")
	o := newOrders(t, p, 1)
	o.produce(500)
	dir := t.TempDir()
	for name, conf := range map[string]string{
		"pair.yaml":   p.pipeline(t),
		"broken.yaml": with(t, place{name: "broken", broker: p.broker, lake: p.lake, lanes: 1, every: p.every}.pipeline(t), "topics: [broken]", "topics: [nowhere]"),
	} {
		b, err := os.ReadFile(conf)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, nil, append([]string{"run", dir}, groupFlags()...)...)
	l := p.open(t)
	until(t, time.Minute, "the other one works", func() bool { return l.caughtUp(p, o) })
	reason := d.notReady(30*time.Second, "broken: ", "nowhere")
	if strings.Contains(reason, "pair: ") {
		t.Errorf("/-/ready answers %q, want nothing about the pipeline that works", reason)
	}
	if d.metric("millrace_pipeline_state", `pipeline="pair"`, `state="running"`) != 1 {
		t.Error("the pipeline that works is not running by its metric")
	}
	// What was missing comes: the pipeline starts by itself.
	createTopic(t, o.client, "nowhere", 1)
	d.ready(time.Minute)
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	o.settled(p.pipeline(t))
	o.verify(p)
}
