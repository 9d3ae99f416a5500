package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

type options struct {
	listen, header, kubeconfig string
	bindingTTL, poolIdle       time.Duration
	maxPools, poolConns        int
}

func main() {
	var o options
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.header, "tenant-header", "X-Tenantry-Tenant", "request header with <namespace>/<name> of the Tenant")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig file; empty uses the Pod's service account")
	flag.DurationVar(&o.bindingTTL, "binding-ttl", 5*time.Second, "how long a tenant's credentials are used before they are read again")
	flag.DurationVar(&o.poolIdle, "pool-idle", 30*time.Second, "how long an unused connection or pool is kept")
	flag.IntVar(&o.maxPools, "max-pools", 64, "how many tenants have a connection pool at one time")
	flag.IntVar(&o.poolConns, "pool-conns", 2, "connections in the pool of one tenant")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		slog.Error("Stopped", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.maxPools < 1 || o.poolConns < 1 || o.poolConns > 100 || o.poolIdle <= 0 {
		return errors.New("-max-pools, -pool-conns (at most 100) and -pool-idle must be positive")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	cfg.UserAgent = "tasklane-backend"
	cfg.QPS, cfg.Burst = 50, 100
	bindings, err := newKubeBindings(cfg, o.bindingTTL)
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	p := newPools(o.maxPools, int32(o.poolConns), o.poolIdle)
	defer p.close()
	go p.run(ctx)

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	s := &server{header: o.header, db: &database{bindings: bindings, pools: p}}
	return serve(ctx, listener, s.routes())
}

// serve answers until ctx ends, then lets the requests under way finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	slog.InfoContext(ctx, "Listening", "address", listener.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*requestTimeout)
	defer cancel()
	return srv.Shutdown(grace)
}
