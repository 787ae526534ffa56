package storetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

func folder(t *testing.T) store.Client {
	t.Helper()
	c, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFaultyConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Client { return storetest.Faulty(folder(t)) })
}

func TestFaulty(t *testing.T) {
	put := func(f store.Client, key string) error {
		_, err := f.Put(t.Context(), key, []byte("x"), store.Cond{IfNone: true})
		return err
	}
	there := func(c store.Client, key string) bool {
		_, err := c.Head(t.Context(), key)
		return err == nil
	}
	c := folder(t)
	f := storetest.Faulty(c, storetest.Fault{Op: "put", Key: "b", Nth: 1}, storetest.Fault{Op: "put", Key: "c", Nth: 1, After: true},
		storetest.Fault{Op: "put", Key: "d", Err: storetest.Status(412)})
	for _, s := range []struct {
		key   string
		want  error
		there bool
	}{{"a", nil, true}, {"b", stream.ErrUnavailable, false}, {"b", nil, true}, {"c", stream.ErrUnavailable, true}, {"c", store.ErrPrecondition, true},
		{"d", store.ErrPrecondition, false}, {"d", store.ErrPrecondition, false}} {
		if err := put(f, s.key); !errors.Is(err, s.want) || there(c, s.key) != s.there {
			t.Errorf("%s: got %v, there %v; want %v, %v", s.key, err, there(c, s.key), s.want, s.there)
		}
	}
	if got := fmt.Sprintf("%d %d %s", f.Count("put"), f.Count("head"), f.Calls()[0]); got != "7 0 put a" {
		t.Errorf("got %s", got)
	}
	f.Add(storetest.Fault{Nth: 2, Crash: true, After: true})
	if err := put(f, "e"); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"f", "g"} {
		if err := put(f, key); !errors.Is(err, storetest.ErrCrashed) || !f.Crashed() {
			t.Errorf("%s: got %v, want crashed", key, err)
		}
	}
	if !there(c, "f") || there(c, "g") {
		t.Error("the call that crashed after it landed must have landed, the next not")
	}
	f.Heal()
	if err := put(f, "g"); err != nil {
		t.Error(err)
	}
}
