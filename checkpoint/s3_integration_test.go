//go:build integration

package checkpoint_test

import (
	"testing"

	"github.com/millrace/millrace/checkpoint"
	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/streamtest"
)

func TestMain(m *testing.M) { real.Main(m) }

func bucket(t *testing.T) place {
	t.Helper()
	b := real.S3(t)
	c, err := store.Open(t.Context(), "s3://"+b.Name+"/ledger/", store.Options{Endpoint: b.Endpoint, Region: b.Region, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return place{c}
}

func TestLedgerOnS3(t *testing.T) {
	streamtest.TestLedger(t, func(t *testing.T) streamtest.Place { return bucket(t) })
}

// TestProofOnS3: the real probe runs once, and never again.
func TestProofOnS3(t *testing.T) {
	p := bucket(t)
	ref := stream.TableRef{Name: "silver", Location: p.c.Location(), Store: stream.StoreRef{Endpoint: "e"}}
	o := p.options(p.c, "a")
	o.Probe = store.Probe
	plan := stream.Plan{Pipeline: "orders", Hash: "h", Lanes: 1, Tables: []stream.TableRef{ref}}
	l := checkpoint.New(o)
	if _, err := l.Join(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
	proof, err := l.TableProof(t.Context(), ref)
	if err != nil || proof == nil || proof.AbortAge <= 0 {
		t.Fatalf("TableProof: %+v, %v", proof, err)
	}
	o.Probe = nil
	if _, err := checkpoint.New(o).Join(t.Context(), plan, nil); err != nil {
		t.Fatal(err)
	}
}
