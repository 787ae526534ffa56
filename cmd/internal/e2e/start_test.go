//go:build integration

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAnAnswerThatIsCutOffAtTheStartEndsNothing has a proxy before the catalog that cuts its first answers off.
func TestAnAnswerThatIsCutOffAtTheStartEndsNothing(t *testing.T) {
	p := onS3(t, "cut_off")
	to, err := url.Parse(p.glue)
	if err != nil {
		t.Fatal(err)
	}
	var cut atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(to)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetTable") && cut.Add(1) <= 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 500\r\n\r\n{\"Table\":"))
			_ = conn.Close()
			return
		}
		r.Host = to.Host
		proxy.ServeHTTP(w, r)
	}))
	defer srv.Close()
	p.glue = srv.URL
	o := newOrders(t, p, 2)
	o.produce(2_000)
	if code, d := run(t, time.Minute, nil, "run", "--once", p.pipeline(t)); code != 0 {
		t.Fatalf("exit %d, want 0:\n%s", code, d.stderr())
	}
	if cut.Load() < 3 {
		t.Errorf("the catalog was asked %d times: nothing was cut off", cut.Load())
	}
	o.verify(p)
}
