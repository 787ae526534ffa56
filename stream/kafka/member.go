package kafka

import (
	"context"
	"errors"

	"github.com/millrace/millrace/stream"
)

func (s *Source) Assign(ctx context.Context, m stream.Member, f func(context.Context, stream.Change) error) error {
	return errors.New("kafka: Assign is not written yet")
}
