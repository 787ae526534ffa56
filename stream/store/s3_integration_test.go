//go:build integration

package store_test

import (
	"testing"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

func TestMain(m *testing.M) { real.Main(m) }

func openBucket(t *testing.T, prefix string) store.Client {
	t.Helper()
	b := real.S3(t)
	c, err := store.Open(t.Context(), "s3://"+b.Name+"/"+prefix, store.Options{Endpoint: b.Endpoint, Region: b.Region, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestS3Conforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Client { return openBucket(t, "some/prefix/") })
}

func TestS3ConformsAtTheRootOfABucket(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Client { return openBucket(t, "") })
}

func TestProbeS3(t *testing.T) { probe(t, openBucket(t, "ledger/"), openBucket(t, "table/")) }
