package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// Run checks a backend. open returns a client at a fresh, empty location each time.
func Run(t *testing.T, open func(t *testing.T) store.Client) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Client)
	}{
		{"put and get", putGet},
		{"ranges", ranges},
		{"missing", missing},
		{"conditions", conditions},
		{"tags differ", tagsDiffer},
		{"concurrent creation has one winner", func(t *testing.T, c store.Client) { race(t, c, false) }},
		{"concurrent swaps have one winner", func(t *testing.T, c store.Client) { race(t, c, true) }},
		{"counter loses nothing", counter},
		{"readers see whole objects", wholeObjects},
		{"list order", listOrder},
		{"list many", listMany},
		{"delete", deletes},
		{"bad keys", badKeys},
		{"odd keys", oddKeys},
		{"upload is invisible until completed", upload},
		{"upload in pieces", pieces},
		{"parts out of order and again", partsAgain},
		{"completing twice", completeTwice},
		{"bad completions", badComplete},
		{"abort", abort},
		{"uploads", uploads},
		{"cancelled", cancelled},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func put(t *testing.T, c store.Client, key, body string) string {
	t.Helper()
	etag, err := c.Put(t.Context(), key, []byte(body), store.Cond{})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return etag
}

func read(t *testing.T, c store.Client, key string, off, n int64) (string, store.Object) {
	t.Helper()
	r, o, err := c.Get(t.Context(), key, off, n)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(b), o
}

func list(t *testing.T, c store.Client, prefix, after string) []string {
	t.Helper()
	keys := []string{}
	for o, err := range c.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func putGet(t *testing.T, c store.Client) {
	before := time.Now().Add(-time.Minute)
	for _, body := range []string{"hello", "", string(bytes.Repeat([]byte("0123456789"), 300_000))} {
		etag := put(t, c, "a/b.json", body)
		got, o := read(t, c, "a/b.json", 0, -1)
		if got != body {
			t.Errorf("got %d bytes, want %d", len(got), len(body))
		}
		h, err := c.Head(t.Context(), "a/b.json")
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []store.Object{o, h} {
			same(t, "key, size, tag", []any{o.Key, o.Size, o.ETag}, []any{"a/b.json", len(body), etag})
			if o.Modified.Before(before) {
				t.Errorf("modified: got %v, want about now", o.Modified)
			}
		}
		for o, err := range c.List(t.Context(), "", "") {
			same(t, "in the list", []any{o.Key, o.Size, o.ETag, err}, []any{"a/b.json", len(body), etag, nil})
		}
	}
}

func ranges(t *testing.T, c store.Client) {
	put(t, c, "k", "0123456789")
	for _, r := range []struct {
		off, n int64
		want   string
	}{{0, 4, "0123"}, {3, 4, "3456"}, {7, -1, "789"}, {8, 100, "89"}, {9, 1, "9"}, {0, 10, "0123456789"}, {2, 0, ""}} {
		got, o := read(t, c, "k", r.off, r.n)
		same(t, fmt.Sprintf("range %d+%d", r.off, r.n), got, r.want)
		same(t, "size of the whole", o.Size, int64(10))
	}
	_, _, err := c.Get(t.Context(), "k", 10, 1)
	is(t, "beyond the end", err, stream.ErrPermanent)
	put(t, c, "empty", "")
	got, o := read(t, c, "empty", 0, 100)
	same(t, "range of an empty object", fmt.Sprint(got, o.Size), "0")
}

func missing(t *testing.T, c store.Client) {
	_, _, err := c.Get(t.Context(), "no/such", 0, -1)
	is(t, "get", err, store.ErrNotFound)
	_, err = c.Head(t.Context(), "no/such")
	is(t, "head", err, store.ErrNotFound)
	same(t, "list", list(t, c, "no/", ""), []string{})
	put(t, c, "dir/file", "x")
	_, err = c.Head(t.Context(), "dir")
	is(t, "head of a folder", err, store.ErrNotFound)
	_, _, err = c.Get(t.Context(), "dir/file/below", 0, -1)
	is(t, "get below an object", err, store.ErrNotFound)
}

func conditions(t *testing.T, c store.Client) {
	ctx := t.Context()
	_, err := c.Put(ctx, "h", []byte("0"), store.Cond{IfMatch: `"0123"`})
	is(t, "IfMatch on a missing key", err, store.ErrPrecondition)
	one, err := c.Put(ctx, "h", []byte("1"), store.Cond{IfNone: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Put(ctx, "h", []byte("2"), store.Cond{IfNone: true})
	is(t, "IfNone on a key", err, store.ErrPrecondition)
	two, err := c.Put(ctx, "h", []byte("2"), store.Cond{IfMatch: one})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Put(ctx, "h", []byte("3"), store.Cond{IfMatch: one})
	is(t, "IfMatch with an old tag", err, store.ErrPrecondition)
	got, o := read(t, c, "h", 0, -1)
	same(t, "body and tag", got+o.ETag, "2"+two)
}

func tagsDiffer(t *testing.T, c store.Client) {
	seen := map[string]bool{}
	for i := range 200 {
		etag := put(t, c, "k", fmt.Sprintf("%03d", i)) // of one length, as fast as it goes
		if seen[etag] {
			t.Fatalf("tag %s came twice", etag)
		}
		seen[etag] = true
	}
}

func race(t *testing.T, c store.Client, swap bool) {
	for round := range 5 {
		key, cond := fmt.Sprintf("race/%d", round), store.Cond{IfNone: true}
		if swap {
			cond = store.Cond{IfMatch: put(t, c, key, "start")}
		}
		var wg sync.WaitGroup
		tags := make([]string, 32)
		for i := range tags {
			wg.Go(func() {
				etag, err := c.Put(t.Context(), key, fmt.Appendf(nil, "%02d", i), cond)
				if err == nil {
					tags[i] = etag
				} else if !errors.Is(err, store.ErrPrecondition) {
					t.Errorf("put: %v", err)
				}
			})
		}
		wg.Wait()
		winners := 0
		got, o := read(t, c, key, 0, -1)
		for i, tag := range tags {
			if tag != "" {
				winners++
				same(t, "the winner's body and tag", got+o.ETag, fmt.Sprintf("%02d", i)+tag)
			}
		}
		same(t, "winners", winners, 1)
	}
}

// counter adds from several goroutines by swaps; each addition must be there in the end.
func counter(t *testing.T, c store.Client) {
	put(t, c, "n", "")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for added := 0; added < 10; {
				r, o, err := c.Get(t.Context(), "n", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(r)
				_ = r.Close()
				if err != nil {
					t.Error(err)
					return
				}
				_, err = c.Put(t.Context(), "n", append(b, '+'), store.Cond{IfMatch: o.ETag})
				if err == nil {
					added++
				} else if !errors.Is(err, store.ErrPrecondition) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	_, o := read(t, c, "n", 0, -1)
	same(t, "sum", o.Size, int64(40))
}

func wholeObjects(t *testing.T, c store.Client) {
	big := func(i int) string { return string(bytes.Repeat([]byte{byte('a' + i)}, 100_000+i)) }
	put(t, c, "k", big(0))
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		for i := range 20 {
			if _, err := c.Put(t.Context(), "k", []byte(big(i)), store.Cond{}); err != nil {
				t.Error(err)
			}
		}
	})
	for ctx.Err() == nil {
		got, o := read(t, c, "k", 0, -1)
		if int64(len(got)) != o.Size || got != big(len(got)-100_000) {
			t.Fatalf("read a mixture of %d bytes, size %d", len(got), o.Size)
		}
	}
	wg.Wait()
}

func listOrder(t *testing.T, c store.Client) {
	keys := []string{"a", "b-1/x", "b.txt", "b/c/1", "b/c/2", "b/c-d", "b0", "ba", "c/00000000000000000002.1.json", "c/00000000000000000010.1.json"}
	for _, k := range keys {
		put(t, c, k, k)
	}
	slices.Sort(keys)
	same(t, "all", list(t, c, "", ""), keys)
	for _, prefix := range []string{"b", "b/", "b/c", "b/c/", "c/", "x", "b/c/1"} {
		for _, after := range []string{"", "a", "b/", "b/c", "b/c/1", "b/c/15", "zz", "c/00000000000000000002.1.json"} {
			want := []string{}
			for _, k := range keys {
				if len(k) >= len(prefix) && k[:len(prefix)] == prefix && k > after {
					want = append(want, k)
				}
			}
			same(t, fmt.Sprintf("prefix %q after %q", prefix, after), list(t, c, prefix, after), want)
		}
	}
	for o, err := range c.List(t.Context(), "", "") { // may be left early
		if err != nil || o.Key != keys[0] {
			t.Errorf("first: got %s, %v", o.Key, err)
		}
		break
	}
}

// listMany goes beyond the 1,000 keys of one answer of S3.
func listMany(t *testing.T, c store.Client) {
	var want []string
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < 1100; i += 16 {
				if _, err := c.Put(t.Context(), fmt.Sprintf("many/%04d", i), nil, store.Cond{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 1100 {
		want = append(want, fmt.Sprintf("many/%04d", i))
	}
	same(t, "all", list(t, c, "many/", ""), want)
	same(t, "after", list(t, c, "many/", "many/1050"), want[1051:])
}

func deletes(t *testing.T, c store.Client) {
	put(t, c, "d/e/f", "x")
	put(t, c, "d/g", "x")
	for range 2 {
		if err := c.Delete(t.Context(), "d/e/f"); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(t.Context(), "d"); err != nil { // the name of a folder is no key
		t.Fatal(err)
	}
	same(t, "left", list(t, c, "", ""), []string{"d/g"})
	put(t, c, "d/e/f", "y")
	got, _ := read(t, c, "d/e/f", 0, -1)
	same(t, "written again", got, "y")
}

func badKeys(t *testing.T, c store.Client) {
	ctx := t.Context()
	for _, k := range []string{"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/", "a\x00b", "\xff", string(make([]byte, 1025))} {
		_, err := c.Put(ctx, k, nil, store.Cond{})
		is(t, fmt.Sprintf("put %q", k), err, stream.ErrPermanent)
		_, _, err = c.Get(ctx, k, 0, -1)
		is(t, fmt.Sprintf("get %q", k), err, stream.ErrPermanent)
		_, err = c.Head(ctx, k)
		is(t, fmt.Sprintf("head %q", k), err, stream.ErrPermanent)
		is(t, fmt.Sprintf("delete %q", k), c.Delete(ctx, k), stream.ErrPermanent)
		_, err = c.Create(ctx, k, nil)
		is(t, fmt.Sprintf("create %q", k), err, stream.ErrPermanent)
	}
}

func oddKeys(t *testing.T, c store.Client) {
	keys := []string{"sp ace/ü/😀=x", "p%20q/a%2Fb=1", "q?x=1&y#z", "plus+plus", "'quote\"", "d=__HIVE_DEFAULT_PARTITION__/x", "tab\there", "...", "-"}
	slices.Sort(keys)
	for _, k := range keys {
		put(t, c, k, k)
		got, _ := read(t, c, k, 0, -1)
		same(t, "body", got, k)
	}
	same(t, "list", list(t, c, "", ""), keys)
}
