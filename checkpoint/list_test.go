package checkpoint_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// halting is a store whose listings break off after two keys, as one that takes longer than a call may.
type halting struct{ store.Client }

func (h halting) List(ctx context.Context, prefix, after string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		n := 0
		for o, err := range h.Client.List(ctx, prefix, after) {
			if n++; n > 2 {
				yield(store.Object{}, fmt.Errorf("the call's time is over: %w", context.DeadlineExceeded))
				return
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

// TestLongListing: a listing goes on where it broke off, however often that is.
func TestLongListing(t *testing.T) {
	s := scene{T: t, p: folder(t), ref: stream.TableRef{Name: "silver", Location: "/lake/silver/"}}
	o := s.p.options(halting{s.p.c}, "a")
	o.Tables, o.Retry.Tries = &uploads{open: map[string]bool{}}, 2
	l := checkpoint.New(o)
	s.join(l)
	lane := s.acquire(l)
	const commits = 9
	for i := range commits {
		s.commit(lane, uint64(i))
	}
	dead := "txn/0/00000000000000000020.00000000000000000001.json"
	lane = s.acquire(l)
	s.write(dead, []byte("{}"))
	got, err := l.Collect(t.Context(), lane)
	if err != nil || got.Manifests != 1 {
		t.Fatalf("collected %+v, %v", got, err)
	}
	if keys := s.keys("txn/"); len(keys) != commits {
		t.Fatalf("%d manifests are left, want %d", len(keys), commits)
	}
}
