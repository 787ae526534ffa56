package store_test

import (
	"testing"

	"github.com/millrace/millrace/stream/store"
	"github.com/millrace/millrace/stream/store/storetest"
)

func openDir(t *testing.T, dir string) store.Client {
	t.Helper()
	c, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFileConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Client { return openDir(t, t.TempDir()) })
}
