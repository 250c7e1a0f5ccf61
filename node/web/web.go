package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what is served.
type Config struct {
	// Addr is host:port, of a loopback address.
	Addr string
	// Ready is nil while the node takes and stores commands, else says what
	// is the matter.
	Ready func() error
	// Short says what a node that is ready goes without; "" for nothing. It may be
	// absent.
	Short func() string
	// Metrics is what /metrics shows.
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
}

// Server is the node's one HTTP port.
type Server struct {
	cfg      Config
	listener net.Listener
	http     *http.Server
	ended    chan struct{}
}

const (
	headerTimeout = 5 * time.Second
	stopTimeout   = 2 * time.Second
)

// Start listens and serves.
func Start(cfg Config) (*Server, error) {
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("HTTP address %s cannot be used (%w): stop the other program or choose another with --http-addr", cfg.Addr, err)
	}
	s := &Server{cfg: cfg, listener: listener, ended: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Metrics, promhttp.HandlerOpts{}))
	s.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			cfg.Logger.Error("HTTP ended", "error", err)
		}
	}()
	return s, nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.cfg.Ready(); err != nil {
		say(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	text := "ready"
	if s.cfg.Short != nil {
		if short := s.cfg.Short(); short != "" {
			text += "; " + short
		}
	}
	say(w, http.StatusOK, text)
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the reader went away
}

// Addr is where it listens, with the port that was really taken.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Stop lets requests under way end, for a moment, and returns when all is down.
func (s *Server) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // what is left is cut off
	}
	<-s.ended
}
