//go:build integration

package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func fileBytes(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// most is what the process may hold at any time, whatever it reads.
const most = 512 << 20

// TestManyTablePartitionsUnderALittleMemory spreads records over 500 days.
func TestManyTablePartitionsUnderALittleMemory(t *testing.T) {
	t.Parallel()
	p := onDisk(t, "days")
	p.lanes, p.every = 2, 30*time.Second
	w := newWide(t, p, 4)
	w.produce(50_000, 500)
	conf, l := w.pipeline(t, p), p.open(t)
	d := start(t, nil, "run", "--memory-limit", "64MiB", "--session-timeout", "6s", conf)
	until(t, 2*time.Minute, "all records are read", func() bool { return d.taken() == 50_000 })
	d.signal(syscall.SIGTERM)
	peak := d.peak()
	until(t, 2*time.Minute, "the end", func() bool {
		if d.alive() {
			if b, err := os.ReadFile("/proc/" + pid(d) + "/status"); err == nil && strings.Contains(string(b), "VmHWM") {
				peak = max(peak, d.peak())
			}
		}
		return !d.alive()
	})
	if code := d.wait(time.Second); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	t.Logf("50 MB in 500 partitions with a limit of 64 MiB: at most %d MiB", peak>>20)
	if peak > most {
		t.Errorf("the process held %d MiB, want at most %d", peak>>20, most>>20)
	}
	for lane, h := range l.heads(p) {
		if h.Retired != h.N {
			t.Errorf("lane %s: %d transactions are pending", lane, h.N-h.Retired)
		}
	}
	if r := w.verify(t, p); r.Files < 500 {
		t.Errorf("%d files, want one a partition at least", r.Files)
	}
}

// TestALargeFileOnS3 is one that takes several parts.
func TestALargeFileOnS3(t *testing.T) {
	t.Parallel()
	p := onS3(t, "large")
	p.lanes, p.every = 1, 5*time.Minute
	w := newWide(t, p, 1)
	w.produce(90_000, 1)
	conf, l := w.pipeline(t, p), p.open(t)
	d := start(t, nil, "run", "--once", conf)
	if code := d.wait(2 * time.Minute); code != 0 {
		t.Fatalf("exit %d:\n%s", code, tail(d.stderr(), 3000))
	}
	keys, err := l.list(p.name + "/")
	if err != nil {
		t.Fatal(err)
	}
	var largest int
	for _, k := range keys {
		if strings.HasSuffix(k, ".parquet") {
			largest = max(largest, len(l.read(k)))
		}
	}
	t.Logf("the largest file has %d MiB", largest>>20)
	if largest < 40<<20 {
		t.Errorf("the largest file has %d MiB, want at least 40", largest>>20)
	}
	w.verify(t, p)
}
