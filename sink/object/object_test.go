package object_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

var txn = stream.TxnID{Incarnation: "7f3a", Lane: "2", Epoch: 17, N: 41}

func folder(t *testing.T) store.Client {
	t.Helper()
	c, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func stage(t *testing.T, u *object.Uploads, key string, body []byte) stream.Staged {
	t.Helper()
	s, err := u.Stage(t.Context(), key, stream.UploadMeta{Txn: txn})
	if err != nil {
		t.Fatal(err)
	}
	for c := range slices.Chunk(body, 300_001) {
		if n, err := s.Write(c); n != len(c) || err != nil {
			t.Fatalf("write: %d of %d, %v", n, len(c), err)
		}
	}
	return s
}

func seal(t *testing.T, u *object.Uploads, key string, body []byte) stream.StagedRef {
	t.Helper()
	r, err := stage(t, u, key, body).Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func content(t *testing.T, c store.Client, key string) []byte {
	t.Helper()
	r, _, err := c.Get(t.Context(), key, 0, -1)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t *testing.T, u *object.Uploads) (keys []string) {
	t.Helper()
	for r, err := range u.Pending(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, r.Key)
	}
	return keys
}

func want(t *testing.T, what string, err, class error) {
	t.Helper()
	if !errors.Is(err, class) || (class == nil && err != nil) {
		t.Errorf("%s: got %v, want %v", what, err, class)
	}
}

func TestFileLifeInFolder(t *testing.T) { life(t, folder(t)) }

// life takes files of several sizes through all of it.
func life(t *testing.T, c store.Client) {
	u := object.New(c, object.Options{})
	for _, size := range []int{0, 1, 1000, store.MinPart - 1, store.MinPart, store.MinPart + 1, 3*store.MinPart + 12345} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key, body := fmt.Sprintf("order_date=2026-01-03/%s-%d.parquet", txn, size), random(size)
			r := seal(t, u, key, body)
			parts := max((size+store.MinPart-1)/store.MinPart, 1)
			if r.Bytes != int64(size) || len(r.Parts) != parts || r.Txn != txn.String() || r.CRC64NVME != store.EncodeCRC(store.CRC64NVME(0, body)) {
				t.Errorf("got %+v, want %d bytes in %d parts", r, size, parts)
			}
			if age := time.Since(time.UnixMicro(int64(r.Started))); age < 0 || age > time.Minute {
				t.Errorf("started %s ago", age)
			}
			want(t, "verify", u.Verify(t.Context(), r), nil)
			if b := content(t, c, key); b != nil {
				t.Errorf("%d bytes are visible before publishing", len(b))
			}
			if got := open(t, u); !slices.Equal(got, []string{key}) {
				t.Errorf("pending: got %v", got)
			}
			for range 3 {
				want(t, "publish", u.Publish(t.Context(), r), nil)
				if !bytes.Equal(content(t, c, key), body) {
					t.Error("other bytes were published")
				}
			}
			want(t, "discard of a published file", u.Discard(t.Context(), r), nil)
			if !bytes.Equal(content(t, c, key), body) {
				t.Error("discard took a published file away")
			}
			if got := open(t, u); len(got) != 0 {
				t.Errorf("pending: got %v", got)
			}
		})
	}
}

func TestAbortAndDiscardInFolder(t *testing.T) { discard(t, folder(t)) }

func discard(t *testing.T, c store.Client) {
	u := object.New(c, object.Options{})
	for _, size := range []int{0, 1000, 2*store.MinPart + 1} {
		s := stage(t, u, "a", random(size))
		want(t, "abort", s.Abort(t.Context()), nil)
		want(t, "abort again", s.Abort(t.Context()), nil)
		if s.Buffered() != 0 {
			t.Errorf("got %d bytes held after Abort, want 0", s.Buffered())
		}
		_, err := s.Seal(t.Context())
		want(t, "seal after abort", err, stream.ErrPermanent)
	}
	r := seal(t, u, "b", random(10))
	want(t, "discard", u.Discard(t.Context(), r), nil)
	want(t, "discard again", u.Discard(t.Context(), r), nil)
	want(t, "publish of what is gone", u.Publish(t.Context(), r), stream.ErrNoUpload)
	if got := open(t, u); len(got) != 0 {
		t.Errorf("pending: got %v, want none", got)
	}
}

func TestForeignObjectInFolder(t *testing.T) { foreign(t, folder(t)) }

func foreign(t *testing.T, c store.Client) {
	u := object.New(c, object.Options{})
	r := seal(t, u, "k", []byte("ours!"))
	if _, err := c.Put(t.Context(), "k", []byte("their"), store.Cond{}); err != nil {
		t.Fatal(err)
	}
	err := u.Publish(t.Context(), r)
	want(t, "publish", err, stream.ErrForeign)
	if stream.Next(err) == "" {
		t.Error("no advice")
	}
	if got := string(content(t, c, "k")); got != "their" {
		t.Errorf("got %q, want it untouched", got)
	}
	want(t, "delete", c.Delete(t.Context(), "k"), nil)
	want(t, "publish when it is gone", u.Publish(t.Context(), r), nil)

	// Another transaction of ours with the same size is another's, too.
	s, err := u.Stage(t.Context(), "k", stream.UploadMeta{Txn: stream.TxnID{Incarnation: "7f3a", Lane: "2", Epoch: 18, N: 41}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = s.Write([]byte("ours!"))
	other, err := s.Seal(t.Context())
	want(t, "seal", err, nil)
	want(t, "publish over it", u.Publish(t.Context(), other), stream.ErrForeign)
}

func TestForeignObjectAtTheLastMoment(t *testing.T) {
	c := folder(t)
	f := storetest.Faulty(c)
	u := object.New(f, object.Options{})
	r := seal(t, u, "k", []byte("ours!"))
	f.Add(storetest.Fault{Op: "complete", Nth: 1, Do: func() { _, _ = c.Put(t.Context(), "k", []byte("their"), store.Cond{}) }})
	want(t, "publish", u.Publish(t.Context(), r), stream.ErrForeign)
	if got := string(content(t, c, "k")); got != "their" {
		t.Errorf("got %q, want it untouched", got)
	}
}

// Every call of a file's way fails once, before and after it reached the store; the file must come through.
func TestLostReplies(t *testing.T) {
	body := random(store.MinPart + 5)
	for _, after := range []bool{false, true} {
		for _, op := range []string{"create", "part", "complete", "head"} {
			for k := 1; k <= 2; k++ {
				t.Run(fmt.Sprintf("%s %d after=%v", op, k, after), func(t *testing.T) {
					c := folder(t)
					f := storetest.Faulty(c, storetest.Fault{Op: op, Nth: k, After: after})
					u := object.New(f, object.Options{})
					r := seal(t, u, "k", body)
					want(t, "verify", u.Verify(t.Context(), r), nil)
					err := u.Publish(t.Context(), r)
					for i := 0; err != nil && i < 3; i++ {
						want(t, "publish", err, stream.ErrUnavailable)
						err = u.Publish(t.Context(), r)
					}
					want(t, "publish", err, nil)
					if !bytes.Equal(content(t, c, "k"), body) {
						t.Error("other bytes were published")
					}
				})
			}
		}
	}
}

func TestRetriesUntilPatienceIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.Faulty(folder(t), storetest.Fault{Op: "part", Err: storetest.Status(503)})
		u := object.New(f, object.Options{Patience: 20 * time.Second})
		s := stage(t, u, "k", []byte("x"))
		begin := time.Now()
		_, err := s.Seal(t.Context())
		want(t, "seal", err, stream.ErrUnavailable)
		if d := time.Since(begin); d < 15*time.Second || d > 40*time.Second {
			t.Errorf("gave up after %s, want about 20 s", d)
		}
		if n := f.Count("part"); n < 6 || n > 15 {
			t.Errorf("got %d tries, want about 9", n)
		}
		want(t, "abort", s.Abort(t.Context()), nil)
		if got := open(t, u); len(got) != 0 {
			t.Errorf("pending: got %v, want none", got)
		}
	})
}

func TestNoRetries(t *testing.T) {
	for _, class := range []error{stream.ErrDenied, stream.ErrFull, stream.ErrPermanent, store.ErrNoUpload} {
		f := storetest.Faulty(folder(t), storetest.Fault{Op: "part", Err: class})
		s := stage(t, object.New(f, object.Options{}), "k", []byte("x"))
		_, err := s.Seal(t.Context())
		want(t, "seal", err, class)
		if n := f.Count("part"); n != 1 {
			t.Errorf("%v: got %d tries, want 1", class, n)
		}
	}
}

func TestErrorsOnTheWayReachTheWriter(t *testing.T) {
	f := storetest.Faulty(folder(t), storetest.Fault{Op: "part", Nth: 1, Err: stream.ErrFull})
	s, err := object.New(f, object.Options{}).Stage(t.Context(), "k", stream.UploadMeta{Txn: txn})
	want(t, "stage", err, nil)
	for i := 0; err == nil && i < 4; i++ {
		_, err = s.Write(make([]byte, store.MinPart))
	}
	want(t, "write", err, stream.ErrFull)
	_, err = s.Seal(t.Context())
	want(t, "seal", err, stream.ErrFull)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := storetest.Faulty(folder(t), storetest.Fault{Op: "part", Delay: time.Hour})
	u := object.New(f, object.Options{})
	s, err := u.Stage(t.Context(), "k", stream.UploadMeta{Txn: txn})
	want(t, "stage", err, nil)
	_, err = s.Write(make([]byte, store.MinPart+1))
	want(t, "write", err, nil)
	cancel()
	_, err = s.Seal(ctx)
	want(t, "seal", err, context.Canceled)
	want(t, "abort", s.Abort(t.Context()), nil)
}

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := storetest.Faulty(folder(t))
		u := object.New(f, object.Options{AbortAge: 4 * time.Hour})
		r := seal(t, u, "k", random(store.MinPart+1))
		gone := seal(t, u, "gone", random(10))
		want(t, "discard", u.Discard(t.Context(), gone), nil)
		want(t, "young", u.Verify(t.Context(), r), nil)
		if f.Count("parts") != 0 {
			t.Error("a young upload was listed")
		}
		bad := r
		bad.Bytes++
		want(t, "wrong size", u.Verify(t.Context(), bad), stream.ErrUnavailable)
		bad = r
		bad.CRC64NVME = store.EncodeCRC(1)
		want(t, "wrong checksum", u.Verify(t.Context(), bad), stream.ErrUnavailable)
		time.Sleep(time.Hour + time.Minute)
		want(t, "an hour old", u.Verify(t.Context(), r), nil)
		if f.Count("parts") != 1 {
			t.Error("an old upload was not listed")
		}
		want(t, "gone", u.Verify(t.Context(), gone), stream.ErrNoUpload)
		bad = r
		bad.Parts = slices.Clone(r.Parts)
		bad.Parts[0].ETag = "of the same bytes, sent again"
		want(t, "part sent twice", u.Verify(t.Context(), bad), nil)
		bad.Parts[0].CRC64NVME, bad.Parts[0].ETag = "", r.Parts[0].ETag[1:len(r.Parts[0].ETag)-1]
		want(t, "without quotes", u.Verify(t.Context(), bad), nil)
		bad.Parts[0].ETag = `"other"`
		want(t, "other part", u.Verify(t.Context(), bad), stream.ErrNoUpload)
		time.Sleep(time.Hour)
		want(t, "above half the abort age", u.Verify(t.Context(), r), stream.ErrNoUpload)
	})
}

// TestPublishPartSentTwice: a part of an encrypted object that landed again after its answer was lost has another tag than
// the one that was committed. The object is published all the same, if it has the same bytes.
func TestPublishPartSentTwice(t *testing.T) {
	c := folder(t)
	u := object.New(c, object.Options{})
	body := random(store.MinPart + 1)
	r := seal(t, u, "k", body)
	r.Parts[1].ETag = `"committed"`
	other := r
	other.Parts = slices.Clone(r.Parts)
	other.Parts[1].CRC64NVME = store.EncodeCRC(1)
	want(t, "other bytes", u.Publish(t.Context(), other), stream.ErrPermanent)
	want(t, "publish", u.Publish(t.Context(), r), nil)
	if !bytes.Equal(content(t, c, "k"), body) {
		t.Error("other bytes were published")
	}
}

func TestPublishByManyAtOnce(t *testing.T) { together(t, folder(t)) }

func together(t *testing.T, c store.Client) {
	body := random(store.MinPart + 100)
	r := seal(t, object.New(c, object.Options{}), "d/k", body)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			u := object.New(c, object.Options{})
			err := u.Publish(t.Context(), r)
			for i := 0; errors.Is(err, stream.ErrUnavailable) && i < 20; i++ {
				err = u.Publish(t.Context(), r)
			}
			want(t, "publish", err, nil)
		})
	}
	wg.Wait()
	if !bytes.Equal(content(t, c, "d/k"), body) {
		t.Error("other bytes were published")
	}
}

// Buffered is what the file holds: never more than two parts, and little for little.
func TestBuffered(t *testing.T) {
	release := make(chan struct{})
	f := storetest.Faulty(folder(t), storetest.Fault{Op: "part", Nth: 1, Do: func() { <-release }})
	s, err := object.New(f, object.Options{}).Stage(t.Context(), "k", stream.UploadMeta{Txn: txn})
	want(t, "stage", err, nil)
	for _, step := range []struct{ write, held int }{
		{0, 0}, {1, 80 << 10}, {79 << 10, 80 << 10}, {2 << 10, 160 << 10}, {store.MinPart - 82<<10 - 1, store.MinPart},
		{2 << 10, store.MinPart + 80<<10}, {store.MinPart - 2<<10, 2 * store.MinPart},
	} {
		_, err := s.Write(make([]byte, step.write))
		want(t, "write", err, nil)
		if got := s.Buffered(); got != int64(step.held) {
			t.Errorf("after %d more: got %d, want %d", step.write, got, step.held)
		}
	}
	close(release)
	_, err = s.Seal(t.Context())
	want(t, "seal", err, nil)
	if got := s.Buffered(); got != 0 {
		t.Errorf("after Seal: got %d, want 0", got)
	}
}

func TestCrashAtEveryCall(t *testing.T) {
	body := random(store.MinPart + 7)
	for k := 1; ; k++ {
		c := folder(t)
		f := storetest.Faulty(c, storetest.Fault{Nth: k, After: k%2 == 0, Crash: true})
		u := object.New(f, object.Options{})
		r, err := stage(t, u, "k", body).Seal(t.Context())
		if err == nil {
			err = u.Publish(t.Context(), r)
		}
		if b := content(t, c, "k"); b != nil && !bytes.Equal(b, body) {
			t.Fatalf("crash at call %d: half a file of %d bytes is visible", k, len(b))
		}
		if err == nil {
			if k < 6 {
				t.Errorf("only %d calls", k)
			}
			return
		}
		if r.UploadID != "" { // it was committed: another process publishes
			want(t, "publish by another", object.New(c, object.Options{}).Publish(t.Context(), r), nil)
			if !bytes.Equal(content(t, c, "k"), body) {
				t.Fatalf("crash at call %d: other bytes were published", k)
			}
		}
	}
}
