package raw_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/decode"
	"github.com/millrace/millrace/stream/decode/raw"
)

func TestValuesAreKeptAsTheyAre(t *testing.T) {
	r, err := raw.New(raw.DefaultConfig(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := stream.NewBatch(r.Schema())
	values := []string{"", "a", "\x00\xff", `{"a":1}`}
	for _, v := range values {
		if _, f := r.Append([]byte(v), b.Cols); f != nil {
			t.Fatalf("%q: got fault %+v", v, f)
		}
	}
	for i, v := range values {
		if got := string(b.Cols[0].BytesAt(i)); got != v || b.Cols[0].IsNull(i) {
			t.Errorf("row %d: got %q, want %q", i, got, v)
		}
	}
}

func TestTextMustBeUTF8(t *testing.T) {
	r, err := raw.New(raw.DefaultConfig(), arrow.NewSchema([]arrow.Field{{Name: "line", Type: arrow.BinaryTypes.String}}, nil))
	if err != nil {
		t.Fatal(err)
	}
	b := stream.NewBatch(r.Schema())
	if _, f := r.Append([]byte("a\xff"), b.Cols); f == nil || f.Code != decode.BadUTF8 || f.Column != "line" {
		t.Errorf("got %+v, want bad_utf8 in line", f)
	}
	if _, f := r.Append([]byte("ä"), b.Cols); f != nil {
		t.Errorf("got %+v, want none", f)
	}
}

func TestOtherSchemasAreRefused(t *testing.T) {
	str := arrow.BinaryTypes.String
	for _, fields := range [][]arrow.Field{
		{},
		{{Name: "a", Type: str}, {Name: "b", Type: str}},
		{{Name: "a", Type: arrow.PrimitiveTypes.Int64}},
	} {
		_, err := raw.New(raw.DefaultConfig(), arrow.NewSchema(fields, nil))
		if !errors.Is(err, stream.ErrPermanent) || stream.Next(err) == "" {
			t.Errorf("%v: got %v, want a permanent error with advice", fields, err)
		}
	}
}
