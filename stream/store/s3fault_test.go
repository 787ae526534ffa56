package store_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// quiet keeps the settings of whoever runs the tests out of them.
func quiet(t *testing.T) {
	t.Helper()
	for _, v := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"} {
		t.Setenv(v, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
}

func fakeS3(t *testing.T, h http.HandlerFunc) (store.Client, *prometheus.Registry) {
	t.Helper()
	quiet(t)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	reg := prometheus.NewRegistry()
	c, err := store.Open(t.Context(), "s3://bucket/p/", store.Options{Endpoint: srv.URL, PathStyle: true, Metrics: store.NewMetrics(reg)})
	if err != nil {
		t.Fatal(err)
	}
	return c, reg
}

func TestS3Faults(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
		next   string // a piece of the advice
	}{
		{412, "PreconditionFailed", store.ErrPrecondition, ""},
		{409, "ConditionalRequestConflict", stream.ErrUnavailable, ""},
		{404, "NoSuchKey", store.ErrNotFound, ""},
		{404, "NoSuchUpload", store.ErrNoUpload, ""},
		{404, "NoSuchBucket", stream.ErrPermanent, "create the bucket bucket"},
		{403, "AccessDenied", stream.ErrDenied, "s3:GetObject"},
		{403, "RequestTimeTooSkewed", stream.ErrDenied, "clock"},
		{400, "ExpiredToken", stream.ErrDenied, "renew"},
		{301, "PermanentRedirect", stream.ErrPermanent, "set region: eu-north-1"},
		{400, "AuthorizationHeaderMalformed", stream.ErrPermanent, "set region: eu-north-1"},
		{400, "BadDigest", stream.ErrUnavailable, ""},
		{400, "InvalidRequest", stream.ErrPermanent, ""},
		{429, "TooManyRequests", stream.ErrUnavailable, ""},
		{500, "InternalError", stream.ErrUnavailable, ""},
		{503, "SlowDown", stream.ErrUnavailable, ""},
		{501, "NotImplemented", stream.ErrPermanent, "conditional writes"},
		{507, "XMinioStorageFull", stream.ErrFull, "make room"},
		{502, "", stream.ErrUnavailable, ""},
	} {
		t.Run(fmt.Sprint(c.status, c.code), func(t *testing.T) {
			var requests atomic.Int32
			s, reg := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("x-amz-bucket-region", "eu-north-1")
				w.WriteHeader(c.status)
				if c.code != "" {
					_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>words of the server</Message></Error>", c.code)
				}
			})
			_, err := s.Put(t.Context(), "k", []byte("x"), store.Cond{IfMatch: `"e"`})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if !strings.Contains(stream.Next(err), c.next) || !strings.Contains(err.Error(), c.code) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, next %q, want %q in it", err, stream.Next(err), c.next)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("got %d requests, want 1: retries are the caller's", n)
			}
			class := fmt.Sprintf("%dxx", max(c.status/100, 4))
			want := fmt.Sprintf("# HELP millrace_object_store_requests_total Requests to object stores, by operation and class of the answer: 2xx, 4xx, 5xx, or none without an answer.\n"+
				"# TYPE millrace_object_store_requests_total counter\nmillrace_object_store_requests_total{code_class=%q,operation=\"put\"} 1\n", class)
			if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "millrace_object_store_requests_total"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestS3ErrorInsideSuccess(t *testing.T) {
	for code, want := range map[string]error{"InternalError": stream.ErrUnavailable, "SlowDown": stream.ErrUnavailable, "NoSuchUpload": store.ErrNoUpload, "Strange": stream.ErrUnavailable} {
		s, _ := fakeS3(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?>\n   \n<Error><Code>%s</Code><Message>m</Message></Error>", code)
		})
		err := s.Complete(t.Context(), "k", "id", []store.Part{{N: 1, ETag: `"e"`}})
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", code, err, want)
		}
	}
}

func TestS3Requests(t *testing.T) {
	var got []string
	s, _ := fakeS3(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("If-Match"), r.Header.Get("If-None-Match"), r.Header.Get("x-amz-content-sha256"),
			r.Header.Get("x-amz-checksum-crc64nvme"), r.Header.Get("x-amz-checksum-crc32"), r.Header.Get("Content-Encoding"), string(b)}, " "))
		w.Header().Set("ETag", `"e"`)
	})
	for _, c := range []store.Cond{{}, {IfMatch: `"t"`}, {IfNone: true}} {
		if _, err := s.Put(t.Context(), "a/b", []byte("123456789"), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Part(t.Context(), "a/b", "id", 1, []byte("123456789")); err != nil {
		t.Fatal(err)
	}
	sum := store.EncodeCRC(0xae8b14860a799888)
	for i, want := range []string{
		"PUT /bucket/p/a/b   UNSIGNED-PAYLOAD " + sum + "   123456789", `PUT /bucket/p/a/b "t"  UNSIGNED-PAYLOAD ` + sum + "   123456789",
		"PUT /bucket/p/a/b  * UNSIGNED-PAYLOAD " + sum + "   123456789", "PUT /bucket/p/a/b   UNSIGNED-PAYLOAD " + sum + "   123456789",
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("request %d: got %q, want %q", i, got, want)
		}
	}
}

func TestS3Unreachable(t *testing.T) {
	quiet(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	addr := srv.URL
	srv.Close()
	c, err := store.Open(t.Context(), "s3://bucket/", store.Options{Endpoint: addr, PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Head(t.Context(), "k"); !errors.Is(err, stream.ErrUnavailable) || strings.Contains(err.Error(), "\n") {
		t.Errorf("refused connection: got %v, want unavailable", err)
	}
	if _, err := c.Put(t.Context(), "k", nil, store.Cond{}); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("refused connection: got %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := fakeS3(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := s.Put(ctx, "k", nil, store.Cond{}); !errors.Is(err, context.Canceled) || errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("cancelled: got %v, want only that", err)
	}
}

func TestS3BrokenBody(t *testing.T) {
	s, _ := fakeS3(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	})
	r, _, err := s.Get(t.Context(), "k", 0, -1)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestS3Settings(t *testing.T) {
	quiet(t)
	if _, err := store.Open(t.Context(), "s3://bucket/", store.Options{}); !errors.Is(err, stream.ErrPermanent) || !strings.Contains(stream.Next(err), "AWS_REGION") {
		t.Errorf("no region: got %v", err)
	}
	for _, e := range []string{"localhost:9000", "ftp://x", "http://"} {
		if _, err := store.Open(t.Context(), "s3://bucket/", store.Options{Endpoint: e}); !errors.Is(err, stream.ErrPermanent) {
			t.Errorf("endpoint %s: got %v", e, err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	c, err := store.Open(t.Context(), "s3://bucket/", store.Options{Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Head(t.Context(), "k"); !errors.Is(err, stream.ErrDenied) || !strings.Contains(stream.Next(err), "AWS_ACCESS_KEY_ID") {
		t.Errorf("no credentials: got %v, next %s", err, stream.Next(err))
	}
}

func TestS3TrustsTheBundle(t *testing.T) {
	quiet(t)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("ETag", `"e"`) }))
	defer srv.Close()
	put := func() error {
		c, err := store.Open(t.Context(), "s3://bucket/", store.Options{Endpoint: srv.URL, PathStyle: true})
		if err != nil {
			return err
		}
		_, err = c.Put(t.Context(), "k", []byte("x"), store.Cond{})
		return err
	}
	srv.Config.ErrorLog = nil
	if err := put(); !errors.Is(err, stream.ErrPermanent) || !strings.Contains(stream.Next(err), "AWS_CA_BUNDLE") {
		t.Errorf("unknown authority: got %v, next %s", err, stream.Next(err))
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", file)
	if err := put(); err != nil {
		t.Errorf("with the bundle: %v", err)
	}
	t.Setenv("AWS_CA_BUNDLE", file+".missing")
	if err := put(); !errors.Is(err, stream.ErrPermanent) {
		t.Errorf("bundle missing: got %v", err)
	}
}
