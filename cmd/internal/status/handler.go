package status

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/millrace/millrace/stream"
)

// Options of Handler.
type Options struct {
	Gatherer prometheus.Gatherer // of /metrics
	Token    stream.Secret       // that requests must carry; empty: none, for a listener on loopback
	Log      *slog.Logger        // nil: silent
}

// Handler answers for the process whose daemon reports to b.
func Handler(b *Board, o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{b, o}
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
		ErrorHandling:     promhttp.ContinueOnError, // one broken metric must not hide the others
		EnableOpenMetrics: true,
	})
	for path, h := range map[string]http.Handler{
		"/metrics":                 s.private(metrics),
		"/-/healthy":               http.HandlerFunc(s.healthy),
		"/-/ready":                 http.HandlerFunc(s.ready),
		"/api/v1/pipelines":        s.private(http.HandlerFunc(s.list)),
		"/api/v1/pipelines/{name}": s.private(http.HandlerFunc(s.one)),
	} {
		mux.Handle("GET "+path, h) // and HEAD
		mux.Handle(path, s.private(http.HandlerFunc(onlyGet)))
	}
	mux.Handle("/", s.private(http.HandlerFunc(notFound)))

	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem(w, r, http.StatusForbidden, "a page of another origin may not change anything here")
	}))
	return headers(guard.Handler(mux))
}

type server struct {
	board *Board
	Options
}

// headers are those of every answer: none is a page, and none is for keeping.
func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.ServeHTTP(w, r)
	})
}

func (s *server) healthy(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "healthy\n") }

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	lines := s.board.Unready()
	switch {
	case len(lines) == 0:
		text(w, http.StatusOK, "ready\n")
	case !s.allowed(r):
		text(w, http.StatusServiceUnavailable, "not ready\n") // reasons name brokers and buckets
	default:
		text(w, http.StatusServiceUnavailable, strings.Join(lines, "\n")+"\n")
	}
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, "application/json", http.StatusOK, s.board.Pipelines())
}

func (s *server) one(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for _, p := range s.board.Pipelines() {
		if p.Name == name {
			s.answer(w, r, "application/json", http.StatusOK, p)
			return
		}
	}
	problem(w, r, http.StatusNotFound, "there is no pipeline of this name; /api/v1/pipelines lists them")
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, kind string, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		s.Log.Error("cannot answer", "path", r.URL.Path, "err", err)
		problem(w, r, http.StatusInternalServerError, "the answer cannot be written as JSON")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
