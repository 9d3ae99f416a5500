package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Limits of a start. They are generous: continuous integration has slow disks and busy cores.
const (
	etcdReady       = 60 * time.Second
	apiServerReady  = 120 * time.Second
	controllerReady = 60 * time.Second
)

// ControlPlane is a private Kubernetes without nodes: etcd, an API server with RBAC, and by option a
// controller manager.
type ControlPlane struct {
	// Config logs in as a cluster administrator, without a limit of requests. Copy it to change it.
	Config *rest.Config
	// Kubeconfig is a file with the same credentials, for kubectl.
	Kubeconfig string
	// Folder holds data, keys and the logs <server>.log.
	Folder string
	// AuditLog is the API server's audit log, empty without WithAuditLog.
	AuditLog string

	config    controlPlaneConfig
	record    controlPlaneRecord
	authority *authority
	tools     map[string]string

	mu                       sync.Mutex
	etcd, apiServer, manager *process
}

// controlPlaneRecord is what a detached control plane's folder tells the next process.
type controlPlaneRecord struct {
	Folder   string `json:"folder"`
	EtcdPort int    `json:"etcdPort"`
	PeerPort int    `json:"peerPort"`
	Port     int    `json:"port"`
	Audit    bool   `json:"audit"`
}

// ControlPlaneOption changes how StartControlPlane starts a control plane.
type ControlPlaneOption func(*controlPlaneConfig)

type controlPlaneConfig struct {
	detached   string
	controller bool
	audit      bool
	auditUsers []string
}

// WithControllerManager adds kube-controller-manager: garbage collection, namespace deletion, jobs,
// service accounts and the rest, but nothing about nodes, volumes and clouds.
func WithControllerManager() ControlPlaneOption {
	return func(c *controlPlaneConfig) { c.controller = true }
}

// WithAuditLog logs each write request, so that tests can count them by AuditEvents, and each request of
// any kind of the given users.
func WithAuditLog(users ...string) ControlPlaneOption {
	return func(c *controlPlaneConfig) { c.audit, c.auditUsers = true, users }
}

// ControlPlaneDetached lets the servers outlive this process and keeps their record in dir. If one
// is there already, they are found again, and those that do not run are started.
func ControlPlaneDetached(dir string) ControlPlaneOption {
	return func(c *controlPlaneConfig) { c.detached = dir }
}

// StartControlPlane starts etcd and kube-apiserver on free loopback ports and waits until they are
// ready; the options add more. Services get addresses of 127.96.0.0/16, on which processes of this
// machine can listen. ctx bounds the start; Stop ends all. Building the programs at first use takes
// about ten minutes on two cores; a start takes some seconds.
func StartControlPlane(ctx context.Context, opts ...ControlPlaneOption) (*ControlPlane, error) {
	c := &ControlPlane{}
	for _, opt := range opts {
		opt(&c.config)
	}
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	if err := c.run(ctx); err != nil {
		// What ran before this process came is left alone for a look at it.
		if c.config.detached == "" {
			err = errors.Join(err, c.Stop())
		}
		return nil, err
	}
	return c, nil
}

// prepare gets programs, folder and keys.
func (c *ControlPlane) prepare(ctx context.Context) error {
	cache, err := DefaultCache()
	if err != nil {
		return err
	}
	names := []string{"etcd", "kube-apiserver"}
	if c.config.controller {
		names = append(names, "kube-controller-manager")
	}
	if c.tools, err = cache.Tools(ctx, names...); err != nil {
		return err
	}
	if err := readRecord(c.config.detached, "controlplane", &c.record); err != nil {
		return err
	}
	if !isDir(c.record.Folder) {
		if err := c.newFolder(); err != nil {
			return err
		}
	}
	c.Folder = c.record.Folder
	if c.record.Audit {
		c.AuditLog = filepath.Join(c.Folder, "audit.log")
	}
	return c.credentials()
}

// newFolder makes the folder of a new control plane: inside a detached one's, or temporary.
func (c *ControlPlane) newFolder() (err error) {
	c.record = controlPlaneRecord{Audit: c.config.audit}
	if c.config.detached == "" {
		c.record.Folder, err = newFolder("controlplane", nil)
		return err
	}
	dir, err := filepath.Abs(filepath.Join(c.config.detached, "controlplane"))
	if err != nil {
		return err
	}
	c.record.Folder = dir
	// Without a record, what is left there belongs to a start that failed at once.
	return errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700))
}

// run starts what does not run yet, in the order in which one needs the other.
func (c *ControlPlane) run(ctx context.Context) (err error) {
	if c.etcd, err = c.ensure(ctx, c.etcdCommand, etcdReady, c.probeEtcd, &c.record.EtcdPort, &c.record.PeerPort); err != nil {
		return err
	}
	if c.apiServer, err = c.ensure(ctx, c.apiServerCommand, apiServerReady, c.probeAPIServer, &c.record.Port); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	if err := c.waitForDefaults(ctx); err != nil {
		return err
	}
	if !c.config.controller {
		return nil
	}
	c.manager, err = c.ensure(ctx, c.controllerCommand, controllerReady, c.probeControllers)
	return err
}

// ensure finds or starts one server. The ports of a new one are drawn here and recorded, and drawn
// again if somebody else took one meanwhile.
func (c *ControlPlane) ensure(
	ctx context.Context, build func() command, limit time.Duration, probe func(context.Context) error, ports ...*int,
) (*process, error) {
	drawn := len(ports) > 0 && *ports[0] == 0
	for try := 1; ; try++ {
		if drawn {
			free, err := freePorts(len(ports))
			if err != nil {
				return nil, err
			}
			for i := range ports {
				*ports[i] = free[i]
			}
			if err := writeRecord(c.config.detached, "controlplane", c.record); err != nil {
				return nil, err
			}
		}
		proc, err := build().ensure(ctx, limit, probe)
		if err == nil || !drawn || try == portTries || !portClash(build().log()) {
			return proc, err
		}
		if err := os.Truncate(build().log(), 0); err != nil {
			return nil, err
		}
	}
}

// HaltAPIServer ends the API server, as an outage does; etcd keeps the data.
func (c *ControlPlane) HaltAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apiServer.stop()
}

// ResumeAPIServer starts a halted API server on the same port with the same keys: clients that
// were made before still work.
func (c *ControlPlane) ResumeAPIServer(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiServer.running() {
		return nil
	}
	c.apiServer, err = c.apiServerCommand().ensure(ctx, apiServerReady, c.probeAPIServer)
	return err
}

// RestartAPIServer halts the API server and resumes it.
func (c *ControlPlane) RestartAPIServer(ctx context.Context) error {
	if err := c.HaltAPIServer(); err != nil {
		return err
	}
	return c.ResumeAPIServer(ctx)
}

// Stop ends all servers, the last started first, and removes their folder. Stopping twice is no error.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, proc := range []*process{c.manager, c.apiServer, c.etcd} {
		if proc == nil {
			continue
		}
		if err := proc.stop(); err != nil {
			return fmt.Errorf("stop the control plane: %w", err)
		}
	}
	return c.discard()
}

// discard removes what the control plane keeps on disk.
func (c *ControlPlane) discard() error {
	if c.record.Folder == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(c.record.Folder), removeRecord(c.config.detached, "controlplane"))
}
