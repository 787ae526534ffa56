package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/stream"
)

// classify wraps a fault of the client with what was tried, one of stream's classes, and advice.
func (s *Source) classify(what string, err error) error {
	if err == nil {
		return nil
	}
	if stream.Kind(err) != "internal" {
		return fmt.Errorf("kafka: %s: %w", what, err)
	}
	class, next := s.class(err)
	err = fmt.Errorf("kafka: %s: %w: %w", what, class, err)
	if next == "" {
		return err
	}
	return stream.WithNext(err, "%s", next)
}

// waiting is classify for a fault that a reader waits out: nothing is permanent there, as the keeper's checks decide what is.
func (s *Source) waiting(what string, err error) error {
	class, next := s.class(err)
	if !errors.Is(class, stream.ErrDenied) {
		class = stream.ErrUnavailable
	}
	err = fmt.Errorf("kafka: %s: %w: %w", what, class, err)
	if next == "" {
		return err
	}
	return stream.WithNext(err, "%s", next)
}

func (s *Source) class(err error) (class error, next string) {
	var (
		ke    *kerr.Error
		first *kgo.ErrFirstReadEOF
		cert  *tls.CertificateVerificationError
		auth  x509.UnknownAuthorityError
		plain tls.RecordHeaderError
		alert tls.AlertError
	)
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return stream.ErrDenied, "check source.kafka.sasl: mechanism, username and password"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return stream.ErrDenied, "grant this user READ and DESCRIBE on the topics"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		return stream.ErrDenied, "grant this user READ and DESCRIBE on the group " + s.c.Group
	case errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.SecurityDisabled):
		return stream.ErrDenied, "ask the cluster's operator for access"
	case errors.As(err, &cert), errors.As(err, &auth):
		return stream.ErrDenied, "the brokers' certificate is not trusted: check source.kafka.tls ca and server_name"
	case errors.As(err, &alert):
		return stream.ErrDenied, "the broker refused the TLS connection: check source.kafka.tls cert and key"
	case errors.As(err, &plain):
		return stream.ErrDenied, "this listener does not speak TLS: leave source.kafka.tls out, or use the port that does"
	case errors.As(err, &first), errors.Is(err, io.EOF):
		return stream.ErrUnavailable, "the broker closed the connection: if this stays, its listener may want source.kafka.tls or source.kafka.sasl"
	case strings.Contains(err.Error(), "tls alert"): // an answer that the client takes for a length
		return stream.ErrUnavailable, "this listener speaks TLS: write source.kafka.tls, with its ca if that is not a public one"
	case errors.Is(err, context.Canceled):
		return stream.ErrUnavailable, ""
	case errors.As(err, &ke):
		if ke.Retriable {
			return stream.ErrUnavailable, ""
		}
		return stream.ErrPermanent, ""
	}
	var op *net.OpError
	if !errors.As(err, &op) && !errors.Is(err, context.DeadlineExceeded) {
		return stream.ErrUnavailable, ""
	}
	return stream.ErrUnavailable, "check source.kafka.brokers (" + strings.Join(s.c.brokers(), ", ") + ") and that they can be reached from here"
}
