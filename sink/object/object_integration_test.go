//go:build integration

package object_test

import (
	"testing"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/stream/store"
)

func TestMain(m *testing.M) { real.Main(m) }

func bucket(t testing.TB) store.Client {
	t.Helper()
	b := real.S3(t)
	c, err := store.Open(t.Context(), "s3://"+b.Name+"/lake/orders/", store.Options{Endpoint: b.Endpoint, Region: b.Region, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFileLifeInS3(t *testing.T)          { life(t, bucket(t)) }
func TestAbortAndDiscardInS3(t *testing.T)   { discard(t, bucket(t)) }
func TestForeignObjectInS3(t *testing.T)     { foreign(t, bucket(t)) }
func TestPublishByManyAtOnceS3(t *testing.T) { together(t, bucket(t)) }

func BenchmarkS3(b *testing.B) { upload(b, bucket(b)) }
