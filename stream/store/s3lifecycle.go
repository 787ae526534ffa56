package store

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// AbortAge is the least age at which a lifecycle rule of the bucket aborts uploads below this location; 24 hours when no
// rule says so, or they may not be read.
func (s *s3Store) AbortAge(ctx context.Context) (time.Duration, error) {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err := s.c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &s.bucket})
	if err != nil {
		if a := answerOf(err); a.status >= 400 && a.status < 500 || a.status == 501 {
			return assumedAbortAge, nil // no rules, not known here, or not to be read by these credentials
		}
		return 0, s.fault(ctx, "read lifecycle rules of", "", err)
	}
	return abortAgeOf(out.Rules, s.prefix), nil
}

// AbortAge of a folder: uploads stay until somebody aborts them.
func (*fileStore) AbortAge(context.Context) (time.Duration, error) { return math.MaxInt64, nil }

func abortAgeOf(rules []types.LifecycleRule, prefix string) time.Duration {
	age := time.Duration(0)
	for _, r := range rules {
		if r.Status != types.ExpirationStatusEnabled || r.AbortIncompleteMultipartUpload == nil {
			continue
		}
		at := aws.ToString(r.Prefix) //nolint:staticcheck // old rules have it
		if f := r.Filter; f != nil {
			if f.Prefix != nil {
				at = *f.Prefix
			}
			if f.And != nil {
				at = aws.ToString(f.And.Prefix)
			}
		}
		if !strings.HasPrefix(at, prefix) && !strings.HasPrefix(prefix, at) {
			continue
		}
		days := time.Duration(aws.ToInt32(r.AbortIncompleteMultipartUpload.DaysAfterInitiation)) * 24 * time.Hour
		if days > 0 && (age == 0 || days < age) {
			age = days
		}
	}
	if age == 0 {
		return assumedAbortAge
	}
	return age
}
