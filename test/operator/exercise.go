package operator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tenantry/tenantry/controllers"
)

// Exercise starts a manager as cmd/manager does, with a lease and with metrics for those whom the API
// server lets read them, and stops it when every kind is watched and the metrics were asked for.
func (s *Servers) Exercise(ctx context.Context) (err error) {
	if err := s.Plane.InstallCertificateKind(ctx); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil { // the manager opens it itself
		return err
	}
	mgr, err := ctrl.NewManager(s.Operator, ctrl.Options{
		Scheme: controllers.Scheme(),
		Metrics: metricsserver.Options{
			BindAddress: address, SecureServing: true, FilterProvider: filters.WithAuthenticationAndAuthorization, CertDir: s.Plane.Folder, CertName: "server.crt", KeyName: "server.key",
		},
		LeaderElection: true, LeaderElectionID: "tenantry.dev", LeaderElectionNamespace: operatorNamespace, LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout: new(stopWithin / 2), Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return err
	}
	if err := controllers.Register(mgr, controllers.Options{}); err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- mgr.Start(running) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-done)
	}()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		missing, lookErr := s.unwatched(ctx)
		if asked := s.askMetrics(ctx, address); lookErr == nil && asked == nil && len(missing) == 0 {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("the manager does not watch %v; metrics: %w", missing, errors.Join(asked, lookErr))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// unwatched are the kinds that the operator may watch and does not.
func (s *Servers) unwatched(ctx context.Context) (missing []Right, err error) {
	granted, err := s.Granted(ctx)
	if err != nil {
		return nil, err
	}
	used, _, err := s.Used()
	for right := range granted {
		if right.Verb == "watch" && !used[right] {
			missing = append(missing, right)
		}
	}
	return missing, err
}

func (s *Servers) askMetrics(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.Operator.BearerToken)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- the test's own server on loopback
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
