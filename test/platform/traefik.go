package platform

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// traefikReady bounds the start, and how long a Gateway may take to be programmed.
const traefikReady = 60 * time.Second

// TraefikClass is the name of the GatewayClass and of the IngressClass that Traefik serves.
const TraefikClass = "traefik"

//go:embed traefik.yaml
var traefikManifest []byte

// Traefik is a private data plane. It sends requests to Services' cluster IPs, so a backend is any
// process of this machine that listens on its Service's address of 127.96.0.0/16.
type Traefik struct {
	// HTTPPort and HTTPSPort are the entry points web and websecure, on 127.0.0.1. A Gateway's
	// listeners must have exactly these ports; EnsureGateway makes one.
	HTTPPort, HTTPSPort int
	// AdminPort serves /ping and the API that shows what is routed.
	AdminPort int
	// LogPath is Traefik's log.
	LogPath string

	plane    *ControlPlane
	detached string
	record   traefikRecord
	program  string
	proc     *process
}

// traefikRecord is what a detached Traefik's folder tells the next process.
type traefikRecord struct {
	Folder    string `json:"folder"`
	HTTPPort  int    `json:"httpPort"`
	HTTPSPort int    `json:"httpsPort"`
	AdminPort int    `json:"adminPort"`
}

// TraefikOption changes how StartTraefik starts the data plane.
type TraefikOption func(*Traefik)

// TraefikDetached lets Traefik outlive this process and keeps its record in dir. If one is there
// already, it is found again, and started if it does not run.
func TraefikDetached(dir string) TraefikOption {
	return func(t *Traefik) { t.detached = dir }
}

// StartTraefik installs the kinds of Gateway API and the classes named TraefikClass in the control
// plane and starts Traefik with a login of its own. It serves Gateway API and Ingress, watches all
// namespaces and calls nobody outside. ctx bounds the start. Building it at first use takes about
// ten minutes on two cores; a start takes some seconds.
func StartTraefik(ctx context.Context, plane *ControlPlane, opts ...TraefikOption) (*Traefik, error) {
	t := &Traefik{plane: plane}
	for _, opt := range opts {
		opt(t)
	}
	cache, err := DefaultCache()
	if err != nil {
		return nil, err
	}
	if t.program, err = cache.Tool(ctx, "traefik"); err != nil {
		return nil, err
	}
	if err := plane.InstallGatewayAPI(ctx); err != nil {
		return nil, err
	}
	if err := plane.ApplyYAML(ctx, traefikManifest); err != nil {
		return nil, err
	}
	if err := t.start(ctx); err != nil {
		if t.detached == "" {
			err = errors.Join(err, t.Stop())
		}
		return nil, err
	}
	return t, nil
}

// start finds a detached Traefik again, or starts a new one; taken ports are drawn again.
func (t *Traefik) start(ctx context.Context) error {
	if err := readRecord(t.detached, "traefik", &t.record); err != nil {
		return err
	}
	if isDir(t.record.Folder) {
		t.publish()
		return t.ensure(ctx)
	}
	if err := t.newFolder(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		ports, err := freePorts(3)
		if err != nil {
			return err
		}
		t.record.HTTPPort, t.record.HTTPSPort, t.record.AdminPort = ports[0], ports[1], ports[2]
		t.publish()
		if err := writeRecord(t.detached, "traefik", t.record); err != nil {
			return err
		}
		err = t.ensure(ctx)
		if err == nil || try == portTries || !portClash(t.LogPath) {
			return err
		}
		if err := os.Truncate(t.LogPath, 0); err != nil {
			return err
		}
	}
}

func (t *Traefik) newFolder() (err error) {
	if t.detached == "" {
		t.record.Folder, err = newFolder("traefik", nil)
		return err
	}
	dir, err := filepath.Abs(filepath.Join(t.detached, "traefik"))
	t.record.Folder = dir
	return errors.Join(err, os.RemoveAll(dir), os.MkdirAll(dir, 0o700))
}

// publish fills in the exported fields.
func (t *Traefik) publish() {
	t.HTTPPort, t.HTTPSPort, t.AdminPort = t.record.HTTPPort, t.record.HTTPSPort, t.record.AdminPort
	t.LogPath = t.command().log()
}

// ensure finds or starts the process, with a fresh token for its service account.
func (t *Traefik) ensure(ctx context.Context) error {
	config, err := t.plane.ServiceAccount(ctx, "traefik", "traefik")
	if err != nil {
		return err
	}
	if err := WriteKubeconfig(config, t.kubeconfig()); err != nil {
		return err
	}
	t.proc, err = t.command().ensure(ctx, traefikReady, t.probe)
	return err
}

func (t *Traefik) kubeconfig() string { return filepath.Join(t.record.Folder, "kubeconfig") }

func (t *Traefik) command() command {
	address := func(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
	args := []string{
		"--global.checkNewVersion=false", "--global.sendAnonymousUsage=false", "--log.level=INFO", "--log.noColor=true",
		"--entryPoints.web.address=" + address(t.record.HTTPPort),
		"--entryPoints.websecure.address=" + address(t.record.HTTPSPort), "--entryPoints.websecure.http.tls=true",
		"--entryPoints.traefik.address=" + address(t.record.AdminPort), "--ping=true", "--api.insecure=true", "--api.dashboard=false",
		// Changes are served half a second after they are made, not two seconds as by default.
		"--providers.providersThrottleDuration=500ms",
		"--providers.kubernetesGateway=true", "--providers.kubernetesGateway.nativeLBByDefault=true",
		"--providers.kubernetesGateway.statusAddress.ip=" + loopback,
		"--providers.kubernetesIngress=true", "--providers.kubernetesIngress.nativeLBByDefault=true",
		"--providers.kubernetesIngress.ingressClass=" + TraefikClass, "--providers.kubernetesIngress.ingressEndpoint.ip=" + loopback,
	}
	for _, name := range []string{"web", "websecure"} {
		// Kept-alive connections would hold up the end for ten seconds.
		args = append(args, "--entryPoints."+name+".transport.lifeCycle.graceTimeOut=1s")
	}
	return command{
		name: "traefik", path: t.program, args: args, dir: t.record.Folder, detached: t.detached != "",
		env:   append(cleanEnvironment(), "HOME="+t.record.Folder, "KUBECONFIG="+t.kubeconfig()),
		death: syscall.SIGKILL, ending: endings[""],
	}
}

// probe asks whether Traefik is up and has accepted its class, by which it shows that it reads the
// cluster and may write to it.
func (t *Traefik) probe(ctx context.Context) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/ping", loopback, t.record.AdminPort), nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ping answers %s", response.Status)
	}
	class := object("gateway.networking.k8s.io/v1", "GatewayClass", "", TraefikClass, nil)
	return t.plane.WaitForCondition(ctx, time.Second, class, "Accepted")
}

// EnsureGateway makes a Gateway of class TraefikClass on Traefik's ports, open to the routes of all
// namespaces, and waits until it is programmed. Its listeners are called http and, if a TLS secret of
// the same namespace is named, https.
func (t *Traefik) EnsureGateway(ctx context.Context, namespace, name, tlsSecret string) error {
	all := map[string]any{"namespaces": map[string]any{"from": "All"}}
	listeners := []any{map[string]any{
		"name": "http", "protocol": "HTTP", "port": int64(t.HTTPPort), "allowedRoutes": all,
	}}
	if tlsSecret != "" {
		listeners = append(listeners, map[string]any{
			"name": "https", "protocol": "HTTPS", "port": int64(t.HTTPSPort), "allowedRoutes": all,
			"tls": map[string]any{"certificateRefs": []any{map[string]any{"name": tlsSecret}}},
		})
	}
	gateway := object("gateway.networking.k8s.io/v1", "Gateway", namespace, name, map[string]any{
		"gatewayClassName": TraefikClass, "listeners": listeners,
	})
	if err := t.plane.ApplyObjects(ctx, gateway); err != nil {
		return err
	}
	return t.plane.WaitForCondition(ctx, traefikReady, gateway, "Programmed")
}

// object builds an object of any kind.
func object(apiVersion, kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	if spec != nil {
		o.Object["spec"] = spec
	}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// Transport returns a transport that sends every request to Traefik, whatever host its URL names:
// to the port of HTTPS for :443, or else to that of HTTP. Set its TLSClientConfig to trust a
// certificate. It keeps no connections open.
func (t *Traefik) Transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			port := t.HTTPPort
			if _, wanted, err := net.SplitHostPort(address); err == nil && (wanted == "443" || wanted == strconv.Itoa(t.HTTPSPort)) {
				port = t.HTTPSPort
			}
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, net.JoinHostPort(loopback, strconv.Itoa(port)))
		},
	}
}

// Stop ends Traefik and removes its folder; what it was given in the cluster stays. Stopping twice
// is no error.
func (t *Traefik) Stop() error {
	if t.proc != nil {
		if err := t.proc.stop(); err != nil {
			return err
		}
	}
	if t.record.Folder == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(t.record.Folder), removeRecord(t.detached, "traefik"))
}
