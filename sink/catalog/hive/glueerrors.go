package hive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/millrace/millrace/stream"
)

// glueError gives an error of the SDK its class. It decides by the code of the answer, as the SDK's types are not always
// filled in, and then by the status.
func glueError(err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if c := glueClass(api.ErrorCode()); c != nil {
			return glueCode(api.ErrorCode(), api.ErrorMessage())
		}
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		switch answer.HTTPStatusCode() {
		case http.StatusUnauthorized, http.StatusForbidden:
			return denied(fmt.Errorf("%w: %w", stream.ErrDenied, err))
		case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently:
			err := fmt.Errorf("%w: %w", stream.ErrPermanent, err)
			return stream.WithNext(err, "check catalog.glue.endpoint: what answers there is not Glue")
		}
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), "get credentials") {
		return denied(fmt.Errorf("%w: %w", stream.ErrDenied, err))
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err := fmt.Errorf("%w: %w", stream.ErrUnavailable, err)
		return stream.WithNext(err, "check catalog.glue.endpoint and region, and that Glue can be reached from here")
	}
	return fmt.Errorf("%w: %w", stream.ErrUnavailable, err)
}

// glueClass is what a code of Glue means to us; nil: nothing that it would not mean of any server.
func glueClass(code string) error {
	switch code {
	case "EntityNotFoundException":
		return errMissing
	case "AlreadyExistsException":
		return errExists
	case "ConcurrentModificationException", "VersionMismatchException":
		return errConflict
	case "AccessDeniedException", "AccessDenied", "UnrecognizedClientException", "InvalidSignatureException", "SignatureDoesNotMatch",
		"InvalidClientTokenId", "ExpiredTokenException", "ExpiredToken", "MissingAuthenticationTokenException", "GlueEncryptionException":
		return stream.ErrDenied
	case "InvalidInputException", "ValidationException", "ResourceNumberLimitExceededException", "OperationNotSupportedException",
		"UnknownOperationException", "InvalidAction":
		return stream.ErrPermanent
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "ProvisionedThroughputExceededException",
		"InternalServiceException", "InternalFailure", "InternalServerError", "OperationTimeoutException", "ResourceNotReadyException", "ServiceUnavailable":
		return stream.ErrUnavailable
	}
	return nil
}

// glueCode is an error of a call, or of one entry of a batch.
func glueCode(code, message string) error {
	class := glueClass(code)
	if class == nil {
		class = stream.ErrUnavailable
	}
	err := fmt.Errorf("%w: %s: %s", class, code, message)
	switch {
	case errors.Is(class, stream.ErrDenied):
		return denied(err)
	case code == "ResourceNumberLimitExceededException":
		return stream.WithNext(err, "raise this Glue quota of the account, or partition more coarsely")
	}
	return err
}

func denied(err error) error {
	return stream.WithNext(err, "the process needs credentials with glue:GetTable, CreateTable, UpdateTable, CreateDatabase, "+
		"BatchCreatePartition and BatchGetPartition on catalog, database and table (and Lake Formation's grants where it governs them)")
}

func detail(d *types.ErrorDetail) (code, message string) {
	if d == nil {
		return "", "no reason given"
	}
	return aws.ToString(d.ErrorCode), aws.ToString(d.ErrorMessage)
}
