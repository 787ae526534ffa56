package sinktest

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
)

// patient calls a table as a lane does: what was unavailable is tried again, for as often as a server on the same machine
// may fail. So the suite also sees whether trying again is harmless.
type patient struct{ stream.Table }

const tries = 5

func again(ctx context.Context, f func() error) error {
	err := f()
	for n := 1; n < tries && errors.Is(err, stream.ErrUnavailable) && ctx.Err() == nil; n++ {
		err = f()
	}
	return err
}

func (p patient) Claim(ctx context.Context, o stream.Owner) error {
	return again(ctx, func() error { return p.Table.Claim(ctx, o) })
}

func (p patient) Ensure(ctx context.Context, s *arrow.Schema) (files *arrow.Schema, err error) {
	err = again(ctx, func() error { files, err = p.Table.Ensure(ctx, s); return err })
	return files, err
}

func (p patient) Apply(ctx context.Context, ms []stream.Manifest) error {
	return again(ctx, func() error { return p.Table.Apply(ctx, ms) })
}

// patiently wraps what a catalog opens.
type patiently struct{ Catalog }

func (c patiently) Open(t testing.TB, ref stream.TableRef) stream.Table {
	return patient{c.Catalog.Open(t, ref)}
}
