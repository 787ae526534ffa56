package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/millrace/millrace/stream"
	"golang.org/x/sys/unix"
)

func TestCombineCRC(t *testing.T) {
	b := make([]byte, 100_000)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	for _, cut := range []int{0, 1, 7, 8, 4096, 65_537, len(b)} {
		got := CombineCRC(CRC64NVME(0, b[:cut]), CRC64NVME(0, b[cut:]), int64(len(b)-cut))
		if want := CRC64NVME(0, b); got != want {
			t.Errorf("cut at %d: got %x, want %x", cut, got, want)
		}
	}
	if got := CRC64NVME(0, []byte("123456789")); got != 0xae8b14860a799888 { // the check value of the catalogue of CRCs
		t.Errorf("got %x", got)
	}
}

func TestFileFaults(t *testing.T) {
	for err, want := range map[error]error{
		unix.ENOSPC: stream.ErrFull, unix.EDQUOT: stream.ErrFull, unix.EACCES: stream.ErrDenied, unix.EPERM: stream.ErrDenied,
		unix.EROFS: stream.ErrDenied, unix.ENOENT: ErrNotFound, unix.ENAMETOOLONG: stream.ErrPermanent, unix.EXDEV: stream.ErrPermanent,
		unix.EIO: stream.ErrUnavailable, unix.EMFILE: stream.ErrUnavailable,
	} {
		got := fileFault("put", "/lake/x", &fs.PathError{Op: "open", Path: "/lake/x", Err: err})
		if !errors.Is(got, want) || !errors.Is(got, err) {
			t.Errorf("%v: got %v, want %v", err, got, want)
		}
		if (errors.Is(want, stream.ErrFull) || errors.Is(want, stream.ErrDenied)) && stream.Next(got) == "" {
			t.Errorf("%v: no advice", err)
		}
	}
}

func TestNetworkFileSystems(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "nfs", 0xff534d42: "cifs", 0x65735546: "fuse", 0xef53: "", 0x58465342: "", 0x01021994: ""} {
		if got := networkKind(magic); got != want {
			t.Errorf("%x: got %q, want %q", magic, got, want)
		}
	}
}

// Without attributes of files the metadata of completed uploads is found, and goes, with the object.
func TestNotesWithoutAttributes(t *testing.T) {
	c, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*fileStore)
	s.noAttrs = true
	for i := range 2 {
		body := fmt.Appendf(nil, "body %d", i)
		id, err := c.Create(t.Context(), "a/k", map[string]string{"txn": fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Part(t.Context(), "a/k", id, 1, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Complete(t.Context(), "a/k", id, []Part{p}); err != nil {
			t.Fatal(err)
		}
		o, err := c.Head(t.Context(), "a/k")
		if err != nil || o.Meta["txn"] != fmt.Sprint(i) || o.CRC64NVME != EncodeCRC(CRC64NVME(0, body)) {
			t.Errorf("got %+v, %v", o, err)
		}
		if i == 1 {
			if _, err := c.Put(t.Context(), "a/k", []byte("body 1"), Cond{}); err != nil {
				t.Fatal(err)
			}
			if o, err = c.Head(t.Context(), "a/k"); err != nil || o.Meta != nil {
				t.Errorf("after it was replaced: got %+v, %v", o, err)
			}
		}
		if err := c.Delete(t.Context(), "a/k"); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := filepath.Glob(s.root + "/" + staging + "/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// An upload whose completion was cut off between any two steps is carried on by the next call.
func TestCompleteCutOff(t *testing.T) {
	for name, undo := range map[string]func(s *fileStore, id string, log []byte){
		"log still there": func(s *fileStore, id string, log []byte) { _ = os.WriteFile(s.logPath(id), log, 0o600) },
		"linked, both names there": func(s *fileStore, id string, log []byte) {
			_ = os.WriteFile(s.logPath(id), log, 0o600)
			_ = os.Link(s.root+"/k", s.dataPath(id))
		},
		"a copy is left, too": func(s *fileStore, id string, log []byte) {
			_ = os.WriteFile(s.logPath(id), log, 0o600)
			_ = os.WriteFile(s.dataPath(id), []byte("body"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Open(t.Context(), t.TempDir(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			s := c.(*fileStore)
			id, _ := c.Create(t.Context(), "k", nil)
			p, err := c.Part(t.Context(), "k", id, 1, []byte("body"))
			if err != nil {
				t.Fatal(err)
			}
			log, err := os.ReadFile(s.logPath(id))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.Complete(t.Context(), "k", id, []Part{p}); err != nil {
					t.Fatal(err)
				}
				if b, err := os.ReadFile(s.root + "/k"); err != nil || !bytes.Equal(b, []byte("body")) {
					t.Fatalf("got %q, %v", b, err)
				}
				if left, _ := filepath.Glob(s.root + "/" + staging + "/*"); len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
				undo(s, id, log)
			}
		})
	}
}

// A line of the log that a crash cut off is as if the part had not been sent, and does not spoil the next one.
func TestTornLog(t *testing.T) {
	c, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*fileStore)
	id, _ := c.Create(t.Context(), "k", nil)
	if _, err := c.Part(t.Context(), "k", id, 1, make([]byte, MinPart)); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(s.logPath(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.logPath(id), log[:len(log)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	if parts, err := c.Parts(t.Context(), "k", id); err != nil || len(parts) != 0 {
		t.Errorf("got %v, %v, want no parts", parts, err)
	}
	p, err := c.Part(t.Context(), "k", id, 1, []byte("short"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Complete(t.Context(), "k", id, []Part{p}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(s.root + "/k"); err != nil || string(b) != "short" {
		t.Errorf("got %d bytes, %v", len(b), err)
	}
}

// A version always gets a later time than the one it replaces, even when the clock goes back.
func TestTimesOnlyRise(t *testing.T) {
	c, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "k", []byte("1"), Cond{}); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(c.(*fileStore).root+"/k", time.Time{}, future); err != nil {
		t.Fatal(err)
	}
	o, err := c.Head(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	etag, err := c.Put(t.Context(), "k", []byte("2"), Cond{IfMatch: o.ETag})
	if err != nil || etag == o.ETag {
		t.Errorf("got %s, %v after %s", etag, err, o.ETag)
	}
	if n, err := c.Head(t.Context(), "k"); err != nil || !n.Modified.After(future) || n.ETag != etag {
		t.Errorf("got %+v, %v", n, err)
	}
}

func TestAbortAge(t *testing.T) {
	rule := func(prefix string, days int32, on bool) types.LifecycleRule {
		r := types.LifecycleRule{Status: types.ExpirationStatusDisabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String(prefix)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(days)}}
		if on {
			r.Status = types.ExpirationStatusEnabled
		}
		return r
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		rules []types.LifecycleRule
		want  time.Duration
	}{
		{nil, day}, {[]types.LifecycleRule{rule("", 7, true)}, 7 * day}, {[]types.LifecycleRule{rule("", 7, true), rule("lake/orders/d=1/", 3, true)}, 3 * day},
		{[]types.LifecycleRule{rule("lake/", 5, true), rule("tmp/", 1, true), rule("", 2, false)}, 5 * day}, {[]types.LifecycleRule{rule("tmp/", 9, true)}, day},
	} {
		if got := abortAgeOf(c.rules, "lake/orders/"); got != c.want {
			t.Errorf("%d rules: got %s, want %s", len(c.rules), got, c.want)
		}
	}
}
