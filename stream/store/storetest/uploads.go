package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

func create(t *testing.T, c store.Client, key string, meta map[string]string) string {
	t.Helper()
	id, err := c.Create(t.Context(), key, meta)
	if err != nil || id == "" {
		t.Fatalf("create %s: %q, %v", key, id, err)
	}
	return id
}

func part(t *testing.T, c store.Client, key, id string, n int32, body []byte) store.Part {
	t.Helper()
	p, err := c.Part(t.Context(), key, id, n, body)
	if err != nil {
		t.Fatalf("part %d of %s: %v", n, key, err)
	}
	same(t, "number and size", []any{p.N, p.Size}, []any{n, len(body)})
	if p.CRC64NVME != "" {
		same(t, "checksum", p.CRC64NVME, store.EncodeCRC(store.CRC64NVME(0, body)))
	}
	return p
}

func pending(t *testing.T, c store.Client, prefix string) []string {
	t.Helper()
	ids := []string{}
	for u, err := range c.Uploads(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(u.Started); age < -time.Minute || age > time.Hour {
			t.Errorf("started: got %v, want about now", u.Started)
		}
		ids = append(ids, u.Key+" "+u.ID)
	}
	return ids
}

func upload(t *testing.T, c store.Client) {
	key, body := "t/d=1/f.parquet", []byte("few bytes")
	id := create(t, c, key, map[string]string{"Millrace-Txn": "7f3a-2-17-41"})
	p := part(t, c, key, id, 1, body)
	_, err := c.Head(t.Context(), key)
	is(t, "head before", err, store.ErrNotFound)
	_, _, err = c.Get(t.Context(), key, 0, -1)
	is(t, "get before", err, store.ErrNotFound)
	same(t, "list before", list(t, c, "", ""), []string{})
	same(t, "uploads before", pending(t, c, "t/"), []string{key + " " + id})
	if err := c.Complete(t.Context(), key, id, []store.Part{p}); err != nil {
		t.Fatal(err)
	}
	same(t, "uploads after", pending(t, c, ""), []string{})
	same(t, "list after", list(t, c, "", ""), []string{key})
	got, o := read(t, c, key, 0, -1)
	same(t, "body", got, string(body))
	h, err := c.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "meta of get", o.Meta["millrace-txn"], "7f3a-2-17-41")
	same(t, "meta of head", h.Meta["millrace-txn"], "7f3a-2-17-41")
	same(t, "tags", o.ETag, h.ETag)
	same(t, "checksum", h.CRC64NVME, store.EncodeCRC(store.CRC64NVME(0, body)))
}

// big is n bytes that differ from place to place and from seed to seed.
func big(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>16) ^ byte(i*7) ^ seed
	}
	return b
}

func finished(t *testing.T, c store.Client, key string, want []byte) {
	t.Helper()
	got, _ := read(t, c, key, 0, -1)
	if got != string(want) {
		t.Errorf("%s: got %d other bytes, want %d", key, len(got), len(want))
	}
	h, err := c.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "checksum", h.CRC64NVME, store.EncodeCRC(store.CRC64NVME(0, want)))
}

func pieces(t *testing.T, c store.Client) {
	key := "f"
	id := create(t, c, key, nil)
	bodies := [][]byte{big(1, store.MinPart), big(2, store.MinPart+1), big(3, 1)}
	var parts []store.Part
	for i, b := range bodies {
		parts = append(parts, part(t, c, key, id, int32(i+1), b)) //nolint:gosec // small
	}
	listed, err := c.Parts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "parts", fmt.Sprint(strip(listed)), fmt.Sprint(strip(parts)))
	if err := c.Complete(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	finished(t, c, key, bytes.Join(bodies, nil))
}

func strip(ps []store.Part) (out []store.Part) {
	for _, p := range ps {
		p.CRC64NVME = ""
		out = append(out, p)
	}
	return out
}

func partsAgain(t *testing.T, c store.Client) {
	key := "g"
	id := create(t, c, key, nil)
	two := part(t, c, key, id, 2, big(2, store.MinPart))
	part(t, c, key, id, 1, big(9, store.MinPart))
	three := part(t, c, key, id, 3, big(3, 77))
	one := part(t, c, key, id, 1, big(1, store.MinPart))
	listed, err := c.Parts(t.Context(), key, id)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "parts", fmt.Sprint(strip(listed)), fmt.Sprint(strip([]store.Part{one, two, three})))
	if err := c.Complete(t.Context(), key, id, []store.Part{one, two, three}); err != nil {
		t.Fatal(err)
	}
	finished(t, c, key, bytes.Join([][]byte{big(1, store.MinPart), big(2, store.MinPart), big(3, 77)}, nil))
	id = create(t, c, "h", nil)
	one = part(t, c, "h", id, 1, []byte("kept"))
	part(t, c, "h", id, 2, []byte("left out"))
	if err := c.Complete(t.Context(), "h", id, []store.Part{one}); err != nil {
		t.Fatal(err)
	}
	finished(t, c, "h", []byte("kept"))
}

func completeTwice(t *testing.T, c store.Client) {
	id := create(t, c, "k", nil)
	p := part(t, c, "k", id, 1, []byte("body"))
	for i := range 3 {
		err := c.Complete(t.Context(), "k", id, []store.Part{p})
		if err != nil && (i == 0 || !errors.Is(err, store.ErrNoUpload)) {
			t.Errorf("complete number %d: got %v, want nil or ErrNoUpload", i+1, err)
		}
		finished(t, c, "k", []byte("body"))
	}
	err := c.Abort(t.Context(), "k", id)
	if err != nil && !errors.Is(err, store.ErrNoUpload) {
		t.Errorf("abort after complete: got %v, want nil or ErrNoUpload", err)
	}
	finished(t, c, "k", []byte("body"))
}

func badComplete(t *testing.T, c store.Client) {
	ctx := t.Context()
	id := create(t, c, "k", nil)
	one, two := part(t, c, "k", id, 1, []byte("short")), part(t, c, "k", id, 2, []byte("last"))
	for what, parts := range map[string][]store.Part{
		"no parts": {}, "a wrong tag": {{N: 1, ETag: `"00000000000000000000000000000000"`, Size: 5}},
		"a missing part": {{N: 3, ETag: one.ETag, Size: 5}}, "a short part before the last": {one, two}, "wrong order": {two, one},
	} {
		is(t, what, c.Complete(ctx, "k", id, parts), stream.ErrPermanent)
	}
	_, err := c.Head(ctx, "k")
	is(t, "head", err, store.ErrNotFound)
	for _, no := range []string{"nosuch", "../../etc/passwd", "00000000-0000-0000-0000-000000000000"} {
		is(t, "complete of no upload", c.Complete(ctx, "k", no, []store.Part{one}), store.ErrNoUpload)
		_, err = c.Part(ctx, "k", no, 1, []byte("x"))
		is(t, "part of no upload", err, store.ErrNoUpload)
	}
	is(t, "complete under another key", c.Complete(ctx, "other", id, []store.Part{one}), store.ErrNoUpload)
	for _, n := range []int32{0, -1, 10_001} {
		_, err = c.Part(ctx, "k", id, n, []byte("x"))
		is(t, fmt.Sprintf("part %d", n), err, stream.ErrPermanent)
	}
}

func abort(t *testing.T, c store.Client) {
	ctx := t.Context()
	id := create(t, c, "k", nil)
	p := part(t, c, "k", id, 1, []byte("x"))
	if err := c.Abort(ctx, "k", id); err != nil {
		t.Fatal(err)
	}
	is(t, "abort again", c.Abort(ctx, "k", id), store.ErrNoUpload)
	_, err := c.Part(ctx, "k", id, 2, []byte("x"))
	is(t, "part", err, store.ErrNoUpload)
	_, err = c.Parts(ctx, "k", id)
	is(t, "parts", err, store.ErrNoUpload)
	is(t, "complete", c.Complete(ctx, "k", id, []store.Part{p}), store.ErrNoUpload)
	_, err = c.Head(ctx, "k")
	is(t, "head", err, store.ErrNotFound)
	same(t, "uploads", pending(t, c, ""), []string{})
}

func uploads(t *testing.T, c store.Client) {
	var want []string
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		want = append(want, key+" "+create(t, c, key, nil))
	}
	same(t, "all", pending(t, c, ""), want)
	same(t, "a/", pending(t, c, "a/"), want[:2])
	same(t, "c/", pending(t, c, "c/"), []string{})
	again := create(t, c, "a/1", nil) // two uploads of one key live side by side
	same(t, "of one key", len(pending(t, c, "a/1")), 2)
	if err := c.Abort(t.Context(), "a/1", again); err != nil {
		t.Fatal(err)
	}
	same(t, "all but one", pending(t, c, ""), want)
}

func cancelled(t *testing.T, c store.Client) {
	ctx, cancel := context.WithCancel(t.Context())
	put(t, c, "k", "x")
	id := create(t, c, "u", nil)
	cancel()
	_, _, err := c.Get(ctx, "k", 0, -1)
	is(t, "get", err, context.Canceled)
	_, err = c.Put(ctx, "k", []byte("y"), store.Cond{})
	is(t, "put", err, context.Canceled)
	_, err = c.Part(ctx, "u", id, 1, []byte("y"))
	is(t, "part", err, context.Canceled)
	for _, err := range c.List(ctx, "", "") {
		is(t, "list", err, context.Canceled)
	}
	got, _ := read(t, c, "k", 0, -1)
	same(t, "unchanged", got, "x")
}
