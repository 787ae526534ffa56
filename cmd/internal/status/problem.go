package status

import (
	"encoding/json"
	"net/http"
)

// problemDetails is an error for machines and people, RFC 9457 §3.
type problemDetails struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
}

func problem(w http.ResponseWriter, r *http.Request, status int, detail string) {
	b, err := json.Marshal(problemDetails{"about:blank", http.StatusText(status), status, detail, r.URL.EscapedPath()})
	if err != nil {
		b = []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(w, r, http.StatusNotFound, "nothing is here; there are /-/healthy, /-/ready, /metrics and /api/v1/pipelines")
}

func onlyGet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	problem(w, r, http.StatusMethodNotAllowed, "only GET and HEAD are answered here")
}
