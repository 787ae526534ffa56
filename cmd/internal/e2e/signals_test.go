//go:build integration

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/real"
)

func pid(d *daemon) string { return strconv.Itoa(d.cmd.Process.Pid) }

// TestSignalsDrain: whatever was read is committed and published before the process ends.
func TestSignalsDrain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGTERM, 143}, {syscall.SIGINT, 130}} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			t.Parallel()
			p := onDisk(t, fmt.Sprintf("drain_%d", c.code))
			p.every = time.Hour // only the signal commits
			o := newOrders(t, p, 2)
			o.produce(3000)
			conf := p.pipeline(t)
			d := start(t, nil, "run", conf)
			until(t, time.Minute, "everything is read", func() bool { return d.taken() == 3000 })
			if n := d.metric("millrace_commits_total"); n != 0 {
				t.Errorf("%v commits before the signal, want none", n)
			}
			d.signal(c.signal)
			if code := d.wait(time.Minute); code != c.code {
				t.Errorf("exit %d, want %d:\n%s", code, c.code, tail(d.stderr(), 2000))
			}
			o.settled(conf)
			o.verify(p)
		})
	}
}

// TestASecondSignalEndsAtOnce while the first one waits for a store that is away.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	b := real.OwnS3(t)
	t.Setenv("S3_ENDPOINT", b.Endpoint)
	p := place{name: "twice", broker: real.Kafka(t), lake: "s3://" + b.Name, s3: b.Endpoint, glue: real.Glue(t), lanes: 2, every: time.Hour}
	o := newOrders(t, p, 2)
	o.produce(2000)
	conf := p.pipeline(t)
	stopLister := watch(t, p)
	d := start(t, nil, "run", "--session-timeout", "2s", "--drain-timeout", "5m", conf)
	until(t, time.Minute, "everything is read", func() bool { return d.taken() == 2000 })
	b.Kill(t)
	d.signal(syscall.SIGTERM)
	d.notReady(10*time.Second, "twice: draining")
	begin := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.wait(5 * time.Second); code != 143 || !strings.Contains(d.stderr(), "second signal") {
		t.Errorf("exit %d, want 143:\n%s", code, tail(d.stderr(), 2000))
	}
	t.Logf("ended %s after the second signal", time.Since(begin).Round(time.Millisecond))
	b.Start(t)
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 3000))
	}
	stopLister()
	o.settled(conf)
	o.verify(p)
}

// TestADrainThatTakesTooLongLetsGo: a store that stays away cannot keep the process, and nothing is lost.
func TestADrainThatTakesTooLongLetsGo(t *testing.T) {
	b := real.OwnS3(t)
	t.Setenv("S3_ENDPOINT", b.Endpoint)
	p := place{name: "lets_go", broker: real.Kafka(t), lake: "s3://" + b.Name, s3: b.Endpoint, glue: real.Glue(t), lanes: 2, every: time.Hour}
	o := newOrders(t, p, 2)
	o.produce(2000)
	conf := p.pipeline(t)
	d := start(t, nil, "run", "--session-timeout", "2s", "--drain-timeout", "3s", conf)
	until(t, time.Minute, "everything is read", func() bool { return d.taken() == 2000 })
	b.Kill(t)
	d.signal(syscall.SIGTERM)
	begin := time.Now()
	code := d.wait(40 * time.Second)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("ended %s after the signal, with a drain timeout of 3s", took.Round(time.Millisecond))
	}
	if code != 75 || strings.Contains(d.stderr(), "committed.") {
		t.Errorf("exit %d, want 75: it stopped safely, but has not committed what it read:\n%s", code, tail(d.stderr(), 1000))
	}
	b.Start(t)
	if code, d := once(t, conf); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 3000))
	}
	o.settled(conf)
	o.verify(p)
}
