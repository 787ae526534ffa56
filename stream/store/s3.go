package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/millrace/millrace/stream"
)

// s3Store is a prefix of a bucket. The SDK's retries are off: a repeated conditional write would fail on its own first try,
// and only the caller knows what an unknown outcome means.
type s3Store struct {
	c       *s3.Client
	bucket  string
	prefix  string // "" or ending in "/"
	region  string
	metrics *Metrics
}

var _ Client = (*s3Store)(nil)

func openS3(ctx context.Context, rest string, o Options) (Client, error) {
	bucket, prefix, _ := strings.Cut(rest, "/")
	prefix = strings.TrimSuffix(prefix, "/")
	where := "s3://" + rest
	if len(bucket) < 3 || strings.ContainsAny(bucket, " ?#@:") {
		return nil, stream.WithNext(fmt.Errorf("store: %s: %w: %q is not the name of a bucket", where, stream.ErrPermanent, bucket),
			"write s3://bucket/prefix/")
	}
	if prefix != "" {
		if err := checkKey("open", prefix); err != nil {
			return nil, err
		}
		prefix += "/"
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, stream.WithNext(fmt.Errorf("store: %s: %w: endpoint %q is not an address", where, stream.ErrPermanent, o.Endpoint),
				"write http://host:port or https://host:port")
		}
	}
	load := []func(*config.LoadOptions) error{}
	if o.HTTP == nil {
		load = append(load, config.WithHTTPClient(newHTTPClient())) // of the SDK's own kind, which AWS_CA_BUNDLE needs
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, stream.WithNext(fmt.Errorf("store: %s: %w: AWS settings: %w", where, stream.ErrPermanent, err),
			"correct the AWS_* environment variables or ~/.aws/config")
	}
	if cfg.Region == "" && (o.Endpoint != "" || cfg.BaseEndpoint != nil) {
		cfg.Region = "us-east-1"
	}
	if cfg.Region == "" {
		return nil, stream.WithNext(fmt.Errorf("store: %s: %w: no region is set", where, stream.ErrPermanent),
			"set region, or AWS_REGION in the environment, to the bucket's region")
	}
	if o.HTTP != nil {
		cfg.HTTPClient = o.HTTP
	}
	if cfg.Credentials != nil {
		cfg.Credentials = credentials{cfg.Credentials}
	}
	c := s3.NewFromConfig(cfg, func(s *s3.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
		s.UsePathStyle = o.PathStyle
		s.Retryer = aws.NopRetryer{}
		s.RetryMaxAttempts = 1
		s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired // we give our own
		s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		s.DisableLogOutputChecksumValidationSkipped = true
	})
	return &s3Store{c, bucket, prefix, cfg.Region, o.Metrics}, nil
}

// newHTTPClient keeps as many connections as a busy process uses at once, and gives up on dead peers.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) {
			d.Timeout = 10 * time.Second
			d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 10 * time.Second, Count: 4}
		}).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 128
			t.IdleConnTimeout = 30 * time.Second // below the servers' own, which would close under a request
			t.TLSHandshakeTimeout = 10 * time.Second
			t.ExpectContinueTimeout = time.Second
			t.WriteBufferSize = 64 << 10
		})
}

func (s *s3Store) Location() string { return "s3://" + s.bucket + "/" + s.prefix }

// patience bounds a request that sends n bytes: a peer that is gone is noticed, one at 256 kB/s is not cut off. Completing
// a large object may take a store minutes.
func patience(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 2*time.Minute+time.Duration(n)*time.Second/(256<<10), errSlow)
}

var errSlow = errors.New("no answer in time")

// unsigned leaves the body out of the signature: it carries a checksum of its own, and hashing it once is enough.
//
//nolint:gochecknoglobals // an option that nobody writes
var unsigned = s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

func (s *s3Store) full(key string) *string { return aws.String(s.prefix + key) }

func (s *s3Store) Get(ctx context.Context, key string, off, n int64) (r io.ReadCloser, o Object, err error) {
	defer s.metrics.seen("get", time.Now(), &err)
	if err := checkKey("get", key); err != nil {
		return nil, Object{}, err
	}
	if n == 0 {
		o, err = s.head(ctx, "get", key)
		return io.NopCloser(bytes.NewReader(nil)), o, err
	}
	in := &s3.GetObjectInput{Bucket: &s.bucket, Key: s.full(key)}
	if off > 0 || n > 0 {
		in.Range = aws.String("bytes=" + strconv.FormatInt(off, 10) + "-")
		if n > 0 {
			in.Range = aws.String(*in.Range + strconv.FormatInt(off+n-1, 10))
		}
	}
	out, err := s.c.GetObject(ctx, in)
	if a := answerOf(err); a.status == http.StatusRequestedRangeNotSatisfiable {
		if off == 0 { // an empty object has no first byte
			o, err = s.head(ctx, "get", key)
			return io.NopCloser(bytes.NewReader(nil)), o, err
		}
		return nil, Object{}, fmt.Errorf("store: get %s%s: %w: it ends before byte %d: %w", s.Location(), key, stream.ErrPermanent, off, a)
	}
	if err != nil {
		return nil, Object{}, s.fault(ctx, "get", key, err)
	}
	o = Object{Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag),
		Modified: aws.ToTime(out.LastModified), Meta: out.Metadata}
	if _, total, ok := strings.Cut(aws.ToString(out.ContentRange), "/"); ok {
		if size, err := strconv.ParseInt(total, 10, 64); err == nil {
			o.Size = size
		}
	}
	return &body{out.Body, s, ctx, key}, o, nil
}

// body gives errors on the way their class.
type body struct {
	io.ReadCloser
	s   *s3Store
	ctx context.Context //nolint:containedctx // of the request that the body belongs to
	key string
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.s.fault(b.ctx, "get", b.key, err)
	}
	return n, err
}

func (s *s3Store) Put(ctx context.Context, key string, b []byte, c Cond) (etag string, err error) {
	defer s.metrics.seen("put", time.Now(), &err)
	if err := checkKey("put", key); err != nil {
		return "", err
	}
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: s.full(key), Body: bytes.NewReader(b), ContentLength: aws.Int64(int64(len(b))),
		ChecksumCRC64NVME: aws.String(EncodeCRC(CRC64NVME(0, b)))}
	if c.IfMatch != "" {
		in.IfMatch = &c.IfMatch
	}
	if c.IfNone {
		in.IfNoneMatch = aws.String("*")
	}
	ctx, cancel := patience(ctx, len(b))
	defer cancel()
	out, err := s.c.PutObject(ctx, in, unsigned)
	if err != nil {
		err = s.fault(ctx, "put", key, err)
		if c.IfMatch != "" && errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: %w", ErrPrecondition, err)
		}
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

func (s *s3Store) Head(ctx context.Context, key string) (o Object, err error) {
	defer s.metrics.seen("head", time.Now(), &err)
	if err := checkKey("head", key); err != nil {
		return Object{}, err
	}
	return s.head(ctx, "head", key)
}

func (s *s3Store) head(ctx context.Context, op, key string) (Object, error) {
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err := s.c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: s.full(key), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return Object{}, s.fault(ctx, op, key, err)
	}
	o := Object{Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Modified: aws.ToTime(out.LastModified),
		Meta: out.Metadata}
	if out.ChecksumType != types.ChecksumTypeComposite {
		o.CRC64NVME = aws.ToString(out.ChecksumCRC64NVME)
	}
	return o, nil
}

func (s *s3Store) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.full(prefix)}
		if after != "" {
			in.StartAfter = s.full(after)
		}
		for {
			out, err := s.listPage(ctx, prefix, in)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, c := range out.Contents {
				key, ok := strings.CutPrefix(aws.ToString(c.Key), s.prefix)
				if !ok || key == "" || key <= after || strings.HasSuffix(key, "/") {
					continue // not ours to see, or the marker of a folder that consoles create
				}
				if !yield(Object{Key: key, Size: aws.ToInt64(c.Size), ETag: aws.ToString(c.ETag), Modified: aws.ToTime(c.LastModified)}, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || out.NextContinuationToken == nil {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

func (s *s3Store) listPage(ctx context.Context, prefix string, in *s3.ListObjectsV2Input) (out *s3.ListObjectsV2Output, err error) {
	defer s.metrics.seen("list", time.Now(), &err)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err = s.c.ListObjectsV2(ctx, in)
	if err != nil {
		return nil, s.fault(ctx, "list", prefix, err)
	}
	return out, nil
}

func (s *s3Store) Delete(ctx context.Context, key string) (err error) {
	defer s.metrics.seen("delete", time.Now(), &err)
	if err := checkKey("delete", key); err != nil {
		return err
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	_, err = s.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: s.full(key)})
	if err == nil {
		return nil
	}
	if err = s.fault(ctx, "delete", key, err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
