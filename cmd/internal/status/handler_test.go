package status_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
)

const token = "correct horse"

type process struct {
	board   *status.Board
	handler http.Handler
}

func newProcess(t *testing.T, tok stream.Secret) *process {
	t.Helper()
	b := status.NewBoard()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(status.NewCollector(b, status.Info{Version: "1.2.3", Revision: "abc", Budget: &stream.Budget{Limit: 512 << 20}}))
	return &process{b, status.Handler(b, status.Options{Gatherer: reg, Token: tok})}
}

// ask sends a request with headers given as name, value, …
func (p *process) ask(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	return w
}

// wantProblem checks an error as RFC 9457 has it.
func wantProblem(t *testing.T, r *httptest.ResponseRecorder, code int) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Instance string
		Status                        int
	}
	b := r.Body.String()
	if err := json.Unmarshal([]byte(b), &p); err != nil {
		t.Fatalf("got %q: %v", b, err)
	}
	if r.Code != code || p.Status != code || p.Type != "about:blank" || p.Title != http.StatusText(code) || p.Detail == "" ||
		r.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d, %s: %s; want a problem with status %d", r.Code, r.Header().Get("Content-Type"), b, code)
	}
}

func TestProbes(t *testing.T) {
	p := newProcess(t, "")
	p.board.Set("orders", status.Running, "", "")
	if r := p.ask("GET", "/-/ready"); r.Code != 200 || r.Body.String() != "ready\n" {
		t.Errorf("ready: got %d", r.Code)
	}
	p.board.Set("billing", status.Waiting, "S3 PUT: 503 SlowDown, 38 tries", "")
	p.board.Set("audit", status.Halted, "records were deleted", "accept the gap")
	r := p.ask("GET", "/-/ready")
	want := "audit: halted: records were deleted; next: accept the gap\nbilling: waiting: S3 PUT: 503 SlowDown, 38 tries\n"
	if got := r.Body.String(); r.Code != http.StatusServiceUnavailable || got != want {
		t.Errorf("got %d %q, want 503 %q", r.Code, got, want)
	}
	if r := p.ask("GET", "/-/healthy"); r.Code != 200 {
		t.Errorf("healthy: got %d, want 200 whatever is away", r.Code)
	}
	if r := p.ask("HEAD", "/-/healthy"); r.Code != 200 {
		t.Errorf("HEAD: got %d, want 200", r.Code)
	}
}

func TestPipelines(t *testing.T) {
	p := newProcess(t, "")
	if got := p.ask("GET", "/api/v1/pipelines").Body.String(); got != "[]\n" {
		t.Errorf("without pipelines: got %q, want an empty list", got)
	}
	commit := time.Date(2026, 1, 5, 9, 14, 2, 0, time.UTC)
	p.board.Set("orders", status.Running, "", "")
	p.board.Report("orders", status.Progress{LanesHeld: 2, LanesTotal: 4, LastCommit: commit, Records: 10, Rows: 8, Dead: 1, Lag: 812, LagSeconds: 1.5})
	p.board.Set("audit", status.Halted, "deleted", "accept")
	r := p.ask("GET", "/api/v1/pipelines")
	var list []map[string]any
	if err := json.Unmarshal(r.Body.Bytes(), &list); err != nil || r.Header().Get("Content-Type") != "application/json" {
		t.Fatal(err, r.Header())
	}
	since := list[1]["since"]
	delete(list[1], "since")
	want := map[string]any{
		"name": "orders", "state": "running", "lanes_held": 2.0, "lanes_total": 4.0, "last_commit": "2026-01-05T09:14:02Z", "records": 10.0, "rows": 8.0, "dead": 1.0,
		"lag_records": 812.0, "lag_seconds": 1.5, "records_per_second": 0.0, "rows_per_second": 0.0,
	}
	for k, v := range want {
		if list[1][k] != v {
			t.Errorf("%s: got %v, want %v", k, list[1][k], v)
		}
	}
	if len(list[1]) != len(want) || since == nil {
		t.Errorf("got %v, want the keys of %v and since", list[1], want)
	}
	if a := list[0]; a["state"] != "halted" || a["reason"] != "deleted" || a["next"] != "accept" || a["lag_records"] != -1.0 || a["last_commit"] != nil {
		t.Errorf("got %v, want halted, its reason and advice, lag unknown, no commit", a)
	}
	var one map[string]any
	if err := json.Unmarshal(p.ask("GET", "/api/v1/pipelines/audit").Body.Bytes(), &one); err != nil || one["name"] != "audit" {
		t.Errorf("got %v, %v; want the one pipeline", one, err)
	}
}

func TestProblems(t *testing.T) {
	p := newProcess(t, "")
	for _, path := range []string{"/", "/nothing", "/api/v1/pipelines/none", "/api/v1/pipelines/", "/-/"} {
		wantProblem(t, p.ask("GET", path), 404)
	}
	for _, path := range []string{"/metrics", "/-/ready", "/-/healthy", "/api/v1/pipelines", "/api/v1/pipelines/x"} {
		r := p.ask("POST", path)
		if r.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: Allow is %q", path, r.Header().Get("Allow"))
		}
		wantProblem(t, r, 405)
	}
	wantProblem(t, p.ask("POST", "/metrics", "Sec-Fetch-Site", "cross-site"), 403)
	wantProblem(t, p.ask("DELETE", "/metrics", "Origin", "https://evil.example"), 403)
	r := p.ask("GET", "/-/healthy")
	for k, v := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if r.Header().Get(k) != v {
			t.Errorf("%s: got %q, want %q", k, r.Header().Get(k), v)
		}
	}
}

func TestToken(t *testing.T) {
	p := newProcess(t, token)
	p.board.Set("orders", status.Waiting, "bucket lake is away", "")
	for _, auth := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Bearer " + token + "x", "Basic " + token, token} {
		for _, path := range []string{"/metrics", "/api/v1/pipelines", "/api/v1/pipelines/orders", "/nothing"} {
			r := p.ask("GET", path, "Authorization", auth)
			if !strings.HasPrefix(r.Header().Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%q %s: WWW-Authenticate is %q", auth, path, r.Header().Get("WWW-Authenticate"))
			}
			wantProblem(t, r, 401)
		}
		if r := p.ask("GET", "/-/ready", "Authorization", auth); r.Code != http.StatusServiceUnavailable || r.Body.String() != "not ready\n" {
			t.Errorf("%q: a probe without the token: got %d, want 503 without reasons", auth, r.Code)
		}
		if r := p.ask("GET", "/-/healthy", "Authorization", auth); r.Code != 200 {
			t.Errorf("%q: healthy: got %d, want 200", auth, r.Code)
		}
	}
	for _, auth := range []string{"Bearer " + token, "bearer  " + token} {
		if r := p.ask("GET", "/api/v1/pipelines", "Authorization", auth); r.Code != 200 {
			t.Errorf("%q: got %d, want 200", auth, r.Code)
		}
		if r := p.ask("GET", "/-/ready", "Authorization", auth); !strings.Contains(r.Body.String(), "bucket lake") {
			t.Errorf("%q: the reason is missing", auth)
		}
	}
}

func TestMetrics(t *testing.T) {
	p := newProcess(t, "")
	p.board.Set("orders", status.Waiting, "", "")
	p.board.Report("orders", status.Progress{LanesHeld: 3, LanesTotal: 4})
	got := p.ask("GET", "/metrics").Body.String()
	for _, line := range []string{
		`millrace_pipeline_state{pipeline="orders",state="waiting"} 1`, `millrace_pipeline_state{pipeline="orders",state="running"} 0`,
		`millrace_pipeline_lanes{pipeline="orders"} 3`, `millrace_memory_limit_bytes 5.36870912e+08`,
		`revision="abc",version="1.2.3"} 1`,
	} {
		if !strings.Contains(got, line) {
			t.Errorf("%s is missing in\n%s", line, got)
		}
	}
	if n := strings.Count(got, "millrace_pipeline_state{"); n != len(status.States()) {
		t.Errorf("got %d states, want %d: a label of closed words", n, len(status.States()))
	}
	if n := testutil.CollectAndCount(status.NewCollector(p.board, status.Info{})); n != 1+len(status.States())+1 {
		t.Errorf("without a budget: got %d metrics", n)
	}
	problems, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("got %v, %v; want no problems", problems, err)
	}
}

func TestMetricsSurviveABrokenOne(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_good", Help: "Good."}, func() float64 { return 1 }), broken{})
	h := status.Handler(status.NewBoard(), status.Options{Gatherer: reg})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), "millrace_good 1") {
		t.Errorf("got %d %s, want the good one", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Describe(ch chan<- *prometheus.Desc) { ch <- brokenDesc() }

func (broken) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(brokenDesc(), errors.New("broken"))
}

func brokenDesc() *prometheus.Desc { return prometheus.NewDesc("millrace_broken", "Broken.", nil, nil) }
