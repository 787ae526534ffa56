package checkpoint_test

import (
	"context"
	"testing"
	"time"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
	"github.com/millrace/millrace/stream/streamtest"
)

// quick repeats without making a test wait.
var quick = checkpoint.Retry{First: time.Millisecond, Max: 4 * time.Millisecond}

// place is a ledger in a folder or bucket. Tables lie beside it in the same store.
type place struct {
	c store.Client
}

func (p place) Worker(t *testing.T, session string) (stream.Ledger, streamtest.Faults) {
	t.Helper()
	f := storetest.Faulty(p.c)
	return checkpoint.New(p.options(f, session)), faults{f}
}

func (p place) options(c store.Client, session string) checkpoint.Options {
	return checkpoint.Options{Store: c, Session: session, Retry: quick, Stores: p.tables}
}

// tables opens every table's folder at the ledger's own store: what matters is the key.
func (p place) tables(context.Context, stream.TableRef) (store.Client, error) { return p.c, nil }

type faults struct{ f *storetest.FaultyClient }

func (x faults) Lose(k int, after bool) { x.f.Add(storetest.Fault{Nth: k, After: after}) }

func (x faults) Crash(k int, after bool, died func()) {
	x.f.Add(storetest.Fault{Nth: k, After: after, Crash: true, Do: died})
}

func (x faults) Before(n int, f func()) {
	x.f.Add(storetest.Fault{Op: "put", Key: "lanes/", Nth: n, Do: f})
}

func (x faults) Unanswered() {
	x.f.Add(storetest.Fault{Op: "put", Key: "lanes/", After: true})
	x.f.Add(storetest.Fault{Op: "get", Key: "lanes/"})
}

func (x faults) Calls() int { return x.f.Count("") }
func (x faults) Heal()      { x.f.Heal() }

func folder(t *testing.T) place {
	t.Helper()
	c, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return place{c}
}

func TestLedgerOnFiles(t *testing.T) {
	streamtest.TestLedger(t, func(t *testing.T) streamtest.Place { return folder(t) })
}
