package status

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/millrace/millrace/stream"
)

// Listen opens addr, host:port. Whoever reaches an address other than loopback could read and, later, command the
// process; so such an address is refused unless there is a token.
func Listen(addr string, token stream.Secret) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		err := fmt.Errorf("http: address %q: %w: %w", addr, stream.ErrPermanent, err)
		return nil, stream.WithNext(err, "write it like 127.0.0.1:8787")
	}
	// Names are judged by what they are bound to, below; an address that is none of ours never gets bound first.
	if ip := net.ParseIP(strings.SplitN(host, "%", 2)[0]); token == "" && (host == "" || ip != nil && !ip.IsLoopback()) {
		return nil, exposed(addr)
	}
	l, err := net.Listen("tcp", addr) //nolint:noctx // binding does not wait; a name in it is looked up in no time or not at all
	if err != nil {
		class, next := stream.ErrPermanent, "give another address with --addr"
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			next = "another process has this port, perhaps another millrace: stop it, or give another address with --addr"
		case errors.Is(err, syscall.EACCES):
			class, next = stream.ErrDenied, "ports below 1024 need a privilege: give a higher one with --addr"
		}
		return nil, stream.WithNext(fmt.Errorf("http: %w: %w", class, err), "%s", next)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); token == "" && (!ok || !tcp.IP.IsLoopback()) {
		_ = l.Close()
		return nil, exposed(addr)
	}
	return l, nil
}

func exposed(addr string) error {
	err := fmt.Errorf("http: %s can be reached from other machines, and no token is set: %w", addr, stream.ErrPermanent)
	return stream.WithNext(err, "set --token-file, or listen on 127.0.0.1")
}

// allowed tells whether r carries the token, if one is set. The time it takes does not depend on how much of it is right.
func (s *server) allowed(r *http.Request) bool {
	if s.Token == "" {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(s.Token.Reveal()))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// private asks for the token.
func (s *server) private(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.allowed(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="millrace"`)
			problem(w, r, http.StatusUnauthorized, "send the token of this process as `Authorization: Bearer …`")
			return
		}
		h.ServeHTTP(w, r)
	})
}
