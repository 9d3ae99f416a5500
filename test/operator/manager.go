package operator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tenantry/tenantry/controllers"
)

// stopWithin bounds how long a manager may take to stop: its workers end what they are doing.
const stopWithin = time.Minute

// Process is a running manager with all controllers.
type Process struct {
	cancel context.CancelFunc
	done   chan error
	once   sync.Once
	err    error
}

// Run starts the controllers on a manager, as cmd/manager does, and returns when its caches are
// filled. It may be called again after Stop: that is a restart of the operator.
func (s *Servers) Run(options controllers.Options) (*Process, error) {
	mgr, err := ctrl.NewManager(s.Operator, ctrl.Options{
		Scheme:                  controllers.Scheme(),
		Cache:                   controllers.CacheOptions(options.Namespaces),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		GracefulShutdownTimeout: new(stopWithin / 2),
		// The names belong to one manager in one process; here managers follow one another.
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		return nil, err
	}
	if err := controllers.Register(mgr, options); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Process{cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return nil, errors.Join(errors.New("the manager's caches do not fill"), p.Stop())
	}
	return p, nil
}

// Stop stops the manager and waits until its workers have ended. Stopping twice is no error.
func (p *Process) Stop() error {
	p.once.Do(func() {
		p.cancel()
		timer := time.NewTimer(stopWithin)
		defer timer.Stop()
		select {
		case p.err = <-p.done:
		case <-timer.C:
			p.err = fmt.Errorf("the manager did not stop in %s", stopWithin)
		}
	})
	return p.err
}
