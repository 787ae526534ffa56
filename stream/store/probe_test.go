package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

func TestProbe(t *testing.T) { probe(t, openDir(t, t.TempDir()), openDir(t, t.TempDir())) }

func probe(t *testing.T, ledger, table store.Client) {
	r, err := store.Probe(t.Context(), ledger, table)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back store.ProbeResult
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(r, back) {
		t.Errorf("through JSON: got %+v, want %+v (%v)", back, r, err)
	}
	if len(r.RepeatedComplete) != 1 || r.AbortAge <= 0 || r.Rounds != 20 || r.Writers != 32 {
		t.Errorf("got %s", b)
	}
	for _, c := range []store.Client{ledger, table} {
		for o, err := range c.List(t.Context(), "", "") {
			t.Errorf("left behind: %s, %v", o.Key, err)
		}
		for u, err := range c.Uploads(t.Context(), "") {
			t.Errorf("left behind: upload of %s, %v", u.Key, err)
		}
	}
}

// liar is a store with one property broken.
type liar struct {
	store.Client
	put  func(c store.Client, ctx context.Context, key string, body []byte, cond store.Cond) (string, error)
	done func(c store.Client, ctx context.Context, key, id string, parts []store.Part) error
	head func(c store.Client, ctx context.Context, key string) (store.Object, error)
}

func (l liar) Put(ctx context.Context, key string, body []byte, cond store.Cond) (string, error) {
	if l.put != nil {
		return l.put(l.Client, ctx, key, body, cond)
	}
	return l.Client.Put(ctx, key, body, cond)
}

func (l liar) Complete(ctx context.Context, key, id string, parts []store.Part) error {
	if l.done != nil {
		return l.done(l.Client, ctx, key, id, parts)
	}
	return l.Client.Complete(ctx, key, id, parts)
}

func (l liar) Head(ctx context.Context, key string) (store.Object, error) {
	if l.head != nil {
		return l.head(l.Client, ctx, key)
	}
	return l.Client.Head(ctx, key)
}

func TestProbeRefuses(t *testing.T) {
	var once sync.Once
	for name, c := range map[string]struct {
		lie  liar
		text string
	}{
		"ignores conditions": {liar{put: func(c store.Client, ctx context.Context, key string, b []byte, _ store.Cond) (string, error) {
			return c.Put(ctx, key, b, store.Cond{})
		}}, "does not exist was accepted"},
		"ignores If-None-Match": {liar{put: func(c store.Client, ctx context.Context, key string, b []byte, cond store.Cond) (string, error) {
			cond.IfNone = false
			return c.Put(ctx, key, b, cond)
		}}, "32 were accepted"},
		"checks before it writes": {liar{put: func(c store.Client, ctx context.Context, key string, b []byte, cond store.Cond) (string, error) {
			etag, err := c.Put(ctx, key, b, cond)
			if errors.Is(err, store.ErrPrecondition) && cond.IfMatch != "" && !strings.Contains(key, "missing") {
				once.Do(func() { etag, err = c.Put(ctx, key, b, store.Cond{}) })
			}
			return etag, err
		}}, "2 were accepted"},
		"accepts nothing": {liar{put: func(c store.Client, ctx context.Context, key string, b []byte, cond store.Cond) (string, error) {
			_, err := c.Put(ctx, key, b, cond)
			return "", errors.Join(store.ErrPrecondition, err)
		}}, "none was ever accepted"},
		"shows uploads": {liar{head: func(_ store.Client, _ context.Context, key string) (store.Object, error) {
			return store.Object{Key: key}, nil
		}}, "visible"},
		"forbids to ask": {liar{head: func(store.Client, context.Context, string) (store.Object, error) {
			return store.Object{}, storetest.Status(403)
		}}, "permission denied"},
		"loses metadata": {liar{head: func(c store.Client, ctx context.Context, key string) (store.Object, error) {
			o, err := c.Head(ctx, key)
			o.Meta = nil
			return o, err
		}}, "metadata"},
		"fails a second Complete": {liar{done: func(c store.Client, ctx context.Context, key, id string, parts []store.Part) error {
			if err := c.Complete(ctx, key, id, parts); !errors.Is(err, store.ErrNoUpload) {
				return err
			}
			return storetest.Status(400)
		}}, "again"},
	} {
		t.Run(name, func(t *testing.T) {
			c.lie.Client = openDir(t, t.TempDir())
			_, err := store.Probe(t.Context(), c.lie, c.lie)
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Fatalf("got %v, want %q", err, c.text)
			}
			if !errors.Is(err, stream.ErrPermanent) && !errors.Is(err, stream.ErrDenied) {
				t.Errorf("got class %s, want permanent or denied", stream.Kind(err))
			}
			if stream.Next(err) == "" && name != "fails a second Complete" {
				t.Error("no advice")
			}
		})
	}
}

func TestProbeThroughTrouble(t *testing.T) {
	f := storetest.Faulty(openDir(t, t.TempDir()), storetest.Fault{Op: "put", Nth: 100, After: true}, storetest.Fault{Op: "put", Nth: 300, Err: storetest.Status(409)})
	if _, err := store.Probe(t.Context(), f, f); err != nil {
		t.Error(err)
	}
	f = storetest.Faulty(openDir(t, t.TempDir()), storetest.Fault{Err: storetest.Status(503)})
	if _, err := store.Probe(t.Context(), f, f); !errors.Is(err, stream.ErrUnavailable) || errors.Is(err, stream.ErrPermanent) {
		t.Errorf("store away: got %v, want unavailable", err)
	}
}
