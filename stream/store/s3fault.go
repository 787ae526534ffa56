package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/millrace/millrace/stream"
)

// answer is what an S3 server said. Its words are few: the SDK's own text repeats itself over three lines.
type answer struct {
	status    int
	code, msg string
	region    string // of the bucket, if the server told
	cause     error
}

func (a *answer) Error() string {
	if a.status == 0 {
		return a.cause.Error()
	}
	s := strconv.Itoa(a.status)
	if a.code != "" {
		s += " " + a.code
	}
	if a.msg != "" && a.msg != a.code {
		s += ": " + a.msg
	}
	return s
}

func (a *answer) Unwrap() error { return a.cause }

// answerOf takes status and code out of an SDK error. Types are no use: the same answer has one here and none there.
func answerOf(err error) *answer {
	a := &answer{cause: err}
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) && re.Response != nil {
		a.status = re.HTTPStatusCode()
		a.region = re.Response.Header.Get("x-amz-bucket-region")
	}
	var ae smithy.APIError
	if errors.As(err, &ae) {
		a.code, a.msg = ae.ErrorCode(), ae.ErrorMessage()
	}
	return a
}

// credentials marks errors of the credential chain, which else look like any other failure to send.
type credentials struct{ aws.CredentialsProvider }

type credentialsError struct{ error }

func (e *credentialsError) Unwrap() error { return e.error }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = &credentialsError{err}
	}
	return v, err
}

// fault gives an error its class. What is not surely a no of the server, 409 included, is unavailable: the caller reads
// what is there and tries again.
func (s *s3Store) fault(ctx context.Context, op, key string, err error) error {
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errSlow) {
		return fmt.Errorf("store: %s %s%s: %w", op, s.Location(), key, ctx.Err())
	}
	a := answerOf(err)
	class, next := s.class(a)
	if errors.Is(context.Cause(ctx), errSlow) && a.status == 0 {
		a.cause = errSlow // and not context.DeadlineExceeded, which would pass for the caller's own
	}
	err = fmt.Errorf("store: %s %s%s: %w: %w", op, s.Location(), key, class, a)
	if next != "" {
		err = stream.WithNext(err, "%s", next)
	}
	return err
}

func (s *s3Store) class(a *answer) (class error, next string) {
	switch a.code {
	case "NoSuchUpload":
		return ErrNoUpload, ""
	case "NoSuchBucket":
		return stream.ErrPermanent, "create the bucket " + s.bucket + ", or correct its name"
	case "NoSuchKey":
		return ErrNotFound, ""
	case "PreconditionFailed":
		return ErrPrecondition, ""
	case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException",
		"TooManyRequests", "RequestLimitExceeded", "BadDigest", "OperationAborted", "ConditionalRequestConflict":
		return stream.ErrUnavailable, ""
	case "RequestTimeTooSkewed":
		return stream.ErrDenied, "set this machine's clock: it differs from the server's by more than 15 minutes"
	case "ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return stream.ErrDenied, "renew the AWS credentials that this process uses"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "AuthorizationQueryParametersError":
		return stream.ErrPermanent, s.otherRegion(a)
	case "NotImplemented":
		return stream.ErrPermanent, "use a store that has conditional writes, multipart uploads and CRC64NVME checksums"
	}
	switch {
	case a.status == 0:
		return unreachable(a.cause)
	case a.status == http.StatusMovedPermanently:
		return stream.ErrPermanent, s.otherRegion(a)
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return stream.ErrDenied, "grant these credentials s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload, " +
			"ListMultipartUploadParts below " + s.Location() + ", and s3:ListBucket, ListBucketMultipartUploads on the bucket"
	case a.status == http.StatusNotFound:
		return ErrNotFound, ""
	case a.status == http.StatusPreconditionFailed:
		return ErrPrecondition, ""
	case a.status == http.StatusInsufficientStorage:
		return stream.ErrFull, "make room in the store at " + s.Location()
	case a.status == http.StatusRequestTimeout, a.status == http.StatusConflict, a.status == http.StatusTooManyRequests,
		a.status >= 500, a.status < 300:
		return stream.ErrUnavailable, ""
	case a.status < 400:
		return stream.ErrPermanent, s.otherRegion(a)
	}
	return stream.ErrPermanent, ""
}

func (s *s3Store) otherRegion(a *answer) string {
	if a.region != "" && a.region != s.region {
		return "set region: " + a.region + "; the bucket " + s.bucket + " is there, not in " + s.region
	}
	return "set the region and endpoint of the bucket " + s.bucket + "; " + s.region + " was tried"
}

// unreachable classes what came without an answer.
func unreachable(err error) (error, string) {
	var (
		cred *credentialsError
		cert *tls.CertificateVerificationError
		auth x509.UnknownAuthorityError
		dns  *net.DNSError
	)
	switch {
	case errors.As(err, &cred):
		return stream.ErrDenied, "give AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of this machine"
	case errors.As(err, &cert), errors.As(err, &auth):
		return stream.ErrPermanent, "set AWS_CA_BUNDLE to the file of the authority that signed the server's certificate"
	case errors.As(err, &dns) && dns.IsNotFound:
		return stream.ErrUnavailable, "correct the endpoint or region: no such host " + dns.Name
	}
	return stream.ErrUnavailable, ""
}
