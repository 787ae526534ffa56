package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/cmd/internal/status"
	"github.com/millrace/millrace/stream"
)

// reportEvery is how often the board learns what the daemon is doing.
const reportEvery = 500 * time.Millisecond

// server is the process's HTTP server.
type server struct {
	url  string
	stop func()
}

// serve starts the HTTP server of d, and keeps its board up to date until stop.
func (g *global) serve(d *daemon.Daemon, registry *prometheus.Registry, p process) (*server, error) {
	token, err := p.token()
	if err != nil {
		return nil, err
	}
	conf, err := p.tls()
	if err != nil {
		return nil, err
	}
	guard := token
	if guard == "" && conf != nil && conf.ClientCAs != nil {
		guard = "client certificates" // they are what Listen asks for, too
	}
	l, err := status.Listen(p.addr, guard)
	if err != nil {
		return nil, err
	}
	board := status.NewBoard()
	version, revision, _ := buildInfo()
	registry.MustRegister(
		status.NewCollector(board, status.Info{Version: version, Revision: revision, Budget: d.Budget()}),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	log := g.logger(g.screen)
	srv := &http.Server{
		Handler:           status.Handler(board, status.Options{Gatherer: registry, Token: token, Log: log}),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, TLSConfig: conf,
	}
	scheme := "http"
	var wg sync.WaitGroup
	wg.Go(func() {
		serve := func() error { return srv.Serve(l) }
		if conf != nil {
			serve = func() error { return srv.ServeTLS(l, "", "") }
		}
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP server ended", "err", err)
		}
	})
	if conf != nil {
		scheme = "https"
	}
	quit := make(chan struct{})
	wg.Go(func() {
		t := time.NewTicker(reportEvery)
		defer t.Stop()
		for {
			d.Report(board)
			select {
			case <-quit:
				return
			case <-t.C:
			}
		}
	})
	return &server{url: scheme + "://" + l.Addr().String(), stop: func() {
		close(quit)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			_ = srv.Close()
		}
		wg.Wait()
	}}, nil
}

// token is what --token-file holds.
func (p *process) token() (stream.Secret, error) {
	if p.tokenFile == "" {
		return "", nil
	}
	b, err := os.ReadFile(p.tokenFile)
	if err != nil {
		return "", &exit{exitUsage, fmt.Errorf("--token-file: %w", err)}
	}
	token := strings.TrimSpace(string(b))
	if len(token) < 16 {
		return "", &exit{exitUsage, fmt.Errorf("--token-file %s: a token has at least 16 characters; `openssl rand -hex 32` makes one", p.tokenFile)}
	}
	return stream.Secret(token), nil
}

// tls is the server's TLS configuration; nil: plain HTTP.
func (p *process) tls() (*tls.Config, error) {
	if p.tlsCert == "" && p.tlsKey == "" && p.tlsClientCA == "" {
		return nil, nil //nolint:nilnil // plain HTTP is the normal case
	}
	if p.tlsCert == "" || p.tlsKey == "" {
		return nil, &exit{exitUsage, errors.New("TLS needs both --tls-cert and --tls-key")}
	}
	cert, err := tls.LoadX509KeyPair(p.tlsCert, p.tlsKey)
	if err != nil {
		return nil, &exit{exitUsage, fmt.Errorf("--tls-cert, --tls-key: %w", err)}
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if p.tlsClientCA != "" {
		pem, err := os.ReadFile(p.tlsClientCA)
		if err != nil {
			return nil, &exit{exitUsage, fmt.Errorf("--tls-client-ca: %w", err)}
		}
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, &exit{exitUsage, fmt.Errorf("--tls-client-ca %s holds no certificate", p.tlsClientCA)}
		}
	}
	return c, nil
}
