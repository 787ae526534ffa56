package store

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/millrace/millrace/stream"
)

// Options say how a location is reached. The zero value is right for a folder, and for S3 on AWS.
type Options struct {
	Endpoint  string // of an S3-compatible service, http(s)://host:port; empty: AWS, or what AWS_ENDPOINT_URL says
	Region    string // empty: from the environment; with an endpoint us-east-1
	PathStyle bool   // http://host/bucket/key instead of http://bucket.host/key
	Metrics   *Metrics
	Log       *slog.Logger
	HTTP      HTTPClient // nil: a client of our own, which honours AWS_CA_BUNDLE and proxies
}

// HTTPClient sends the requests of an S3 client. *http.Client is one.
type HTTPClient interface {
	Do(*http.Request) (*http.Response, error)
}

// Open returns a client for s3://bucket/prefix/, file:///folder/ or a folder's path. It sends no request, and creates
// nothing: a folder comes into being with the first object. Credentials of S3 come from the usual places of AWS tools.
// A folder on a network file system is refused, as locks and renames cannot be relied on there.
func Open(ctx context.Context, location string, o Options) (Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	scheme, rest, ok := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, stream.WithNext(fmt.Errorf("store: %w: the location is empty", stream.ErrPermanent),
			"write s3://bucket/prefix/ or a folder")
	case strings.ContainsRune(location, 0) || !utf8.ValidString(location):
		return nil, fmt.Errorf("store: %w: location %q is not a name", stream.ErrPermanent, location)
	case !ok:
		abs, err := filepath.Abs(location)
		if err != nil {
			return nil, fmt.Errorf("store: folder %s: %w: %w", location, stream.ErrPermanent, err)
		}
		return openFile(abs, o)
	case scheme == "file":
		path, err := url.PathUnescape(rest)
		if err != nil || !strings.HasPrefix(path, "/") {
			return nil, stream.WithNext(fmt.Errorf("store: %w: %q does not name an absolute folder", stream.ErrPermanent, location),
				"write file:///absolute/folder or just the folder")
		}
		return openFile(filepath.Clean(path), o)
	case scheme == "s3":
		return openS3(ctx, rest, o)
	case scheme == "s3a" || scheme == "s3n":
		return nil, stream.WithNext(fmt.Errorf("store: %w: scheme %s is another program's", stream.ErrPermanent, scheme), "write s3://%s", rest)
	}
	return nil, stream.WithNext(fmt.Errorf("store: %w: no store is called %q", stream.ErrPermanent, scheme),
		"write s3://bucket/prefix/ or a folder")
}

// checkKey refuses keys that would not mean the same on every backend, or would lead out of the location.
func checkKey(op, key string) error {
	reason := ""
	switch {
	case key == "":
		reason = "is empty"
	case len(key) > 1024:
		reason = "has more than 1024 bytes"
	case !utf8.ValidString(key):
		reason = "is not UTF-8"
	case strings.ContainsRune(key, 0):
		reason = "contains NUL"
	default:
		for part := range strings.SplitSeq(key, "/") {
			if part == "" || part == "." || part == ".." {
				reason = fmt.Sprintf("has the path element %q", part)
			}
		}
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("store: %s %q: %w: the key %s", op, key, stream.ErrPermanent, reason)
}
