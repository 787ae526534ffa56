package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

func openDir(t *testing.T, dir string) store.Client {
	t.Helper()
	c, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFileConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Client { return openDir(t, t.TempDir()) })
}

func TestLocations(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"lake": wd + "/lake/", "./lake/": wd + "/lake/", "/tmp/x/../y": "/tmp/y/", "file:///tmp/a%20b": "/tmp/a b/", "s3://bucket": "s3://bucket/",
		"s3://bucket/": "s3://bucket/", "s3://bucket/a/b": "s3://bucket/a/b/", "s3://bucket/a/b/": "s3://bucket/a/b/",
	} {
		if got := openDir(t, in).Location(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if err := os.WriteFile("plain", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{"", "s3://", "s3://b", "s3:///key", "s3://bucket/../x", "s3a://bucket/", "gs://bucket/", "file://host/x", "plain", "plain/below", "a\x00b"} {
		_, err := store.Open(t.Context(), in, store.Options{})
		if !errors.Is(err, stream.ErrPermanent) {
			t.Errorf("%q: got %v, want a permanent error", in, err)
		}
	}
	if _, err := os.Stat("lake"); err == nil {
		t.Error("Open created a folder")
	}
}

// child runs this test binary again as another process, which runs TestChild in the given role.
func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-test.count=1") //nolint:gosec // itself
	c.Env = append(os.Environ(), "STORE_CHILD="+role, "STORE_DIR="+dir)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChild does nothing by itself: it is what the other processes of the tests below run.
func TestChild(t *testing.T) {
	if os.Getenv("STORE_CHILD") == "" {
		return
	}
	c := openDir(t, os.Getenv("STORE_DIR"))
	switch os.Getenv("STORE_CHILD") {
	case "count":
		for range 25 {
			increment(t, c)
		}
	case "churn":
		for {
			churn(t, c)
		}
	}
}

func increment(t *testing.T, c store.Client) {
	for {
		r, o, err := c.Get(t.Context(), "lanes/0.json", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		_ = r.Close()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(b))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Put(t.Context(), "lanes/0.json", []byte(strconv.Itoa(n+1)), store.Cond{IfMatch: o.ETag})
		if err == nil {
			return
		}
		if !errors.Is(err, store.ErrPrecondition) {
			t.Fatal(err)
		}
	}
}

func TestProcessesShareALedger(t *testing.T) {
	dir := t.TempDir()
	c := openDir(t, dir)
	if _, err := c.Put(t.Context(), "lanes/0.json", []byte("0"), store.Cond{}); err != nil {
		t.Fatal(err)
	}
	var others []*exec.Cmd
	for range 3 {
		others = append(others, child(t, "count", dir))
	}
	for range 25 {
		increment(t, c)
	}
	for _, o := range others {
		if err := o.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "lanes/0.json")); err != nil || string(b) != "100" {
		t.Errorf("got %s, %v, want 100", b, err)
	}
}

// body says how long it is, so that half of one is found out.
func body(n int) []byte {
	head := fmt.Sprintf("%d\n", n)
	return append([]byte(head), bytes.Repeat([]byte{'x'}, n)...)
}

func whole(b []byte) bool {
	head, rest, ok := strings.Cut(string(b), "\n")
	n, err := strconv.Atoi(head)
	return ok && err == nil && n == len(rest)
}

func churn(t *testing.T, c store.Client) {
	ctx := t.Context()
	if _, err := c.Put(ctx, "head", body(rand.N(1<<20)), store.Cond{}); err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("d=%d/%d", rand.N(3), rand.Int64())
	id, err := c.Create(ctx, key, map[string]string{"txn": key})
	if err != nil {
		t.Fatal(err)
	}
	all := body(store.MinPart + rand.N(1<<20))
	one, err := c.Part(ctx, key, id, 1, all[:store.MinPart])
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.Part(ctx, key, id, 2, all[store.MinPart:])
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Complete(ctx, key, id, []store.Part{one, two}); err != nil {
		t.Fatal(err)
	}
	if rand.N(2) == 0 {
		if err := c.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
}

// A writer is killed at any moment; whatever can be read is whole, what was uploaded can be completed or aborted by
// others, and nobody waits for a lock of the dead.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	c := openDir(t, dir)
	for range 8 {
		k := child(t, "churn", dir)
		time.Sleep(20*time.Millisecond + rand.N(150*time.Millisecond)) //nolint:gosec // the moment of the kill, not a wait for anything
		_ = k.Process.Kill()
		_ = k.Wait()
		for o, err := range c.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(dir, o.Key))
			if err != nil || !whole(b) {
				t.Fatalf("%s: %d bytes are not whole (%v)", o.Key, len(b), err)
			}
			h, err := c.Head(t.Context(), o.Key)
			if err != nil || (o.Key != "head" && (h.Meta["txn"] != o.Key || h.CRC64NVME != store.EncodeCRC(store.CRC64NVME(0, b)))) {
				t.Fatalf("%s: got %+v, %v", o.Key, h, err)
			}
		}
		for u, err := range c.Uploads(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			finish(t, c, u)
		}
		if _, err := c.Put(t.Context(), "head", body(10), store.Cond{}); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "_millrace/staging/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if !strings.HasSuffix(f, ".tmp") {
			t.Errorf("left behind: %s", f)
			continue
		}
		if err := os.Chtimes(f, time.Time{}, time.Now().Add(-25*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for range c.Uploads(t.Context(), "") {
		t.Error("an upload is left")
	}
	if left, _ = filepath.Glob(filepath.Join(dir, "_millrace/staging/*")); len(left) != 0 {
		t.Errorf("not swept a day later: %v", left)
	}
}

// finish completes an upload of a dead process if all of its parts are there, else aborts it.
func finish(t *testing.T, c store.Client, u store.Upload) {
	parts, err := c.Parts(t.Context(), u.Key, u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(parts) == 2 {
		err = c.Complete(t.Context(), u.Key, u.ID, parts)
	} else {
		err = c.Abort(t.Context(), u.Key, u.ID)
	}
	if err != nil && !errors.Is(err, store.ErrNoUpload) {
		t.Fatal(err)
	}
	if errors.Is(err, store.ErrNoUpload) { // deleted after it was completed, with its log still there
		if err := c.Abort(t.Context(), u.Key, u.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCompleteNeverReplaces(t *testing.T) {
	c := openDir(t, t.TempDir())
	id, err := c.Create(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Part(t.Context(), "k", id, 1, []byte("mine"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "k", []byte("theirs"), store.Cond{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Complete(t.Context(), "k", id, []store.Part{p}); !errors.Is(err, store.ErrPrecondition) {
			t.Errorf("got %v, want a failed precondition", err)
		}
	}
	if err := c.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := c.Complete(t.Context(), "k", id, []store.Part{p}); err != nil {
		t.Errorf("when the place is free again: %v", err)
	}
}

func TestStagingIsNobodysKey(t *testing.T) {
	c := openDir(t, t.TempDir())
	_, err := c.Put(t.Context(), "_millrace/staging/x", nil, store.Cond{})
	if !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("got %v, want a permanent error", err)
	}
	if _, err := c.Put(t.Context(), "_millrace/other", nil, store.Cond{}); err != nil {
		t.Error(err)
	}
}

func TestEmptyFoldersGo(t *testing.T) {
	dir := t.TempDir()
	c := openDir(t, dir)
	for range 3 {
		if _, err := c.Put(t.Context(), "state/2/1.1/x", nil, store.Cond{}); err != nil {
			t.Fatal(err)
		}
		if err := c.Delete(t.Context(), "state/2/1.1/x"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
			t.Error("empty folders stay")
		}
	}
}
