package platform

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// serviceRange gives Services addresses that are loopback addresses; firstService is the one of
// the Service "kubernetes".
const (
	serviceRange = "127.96.0.0/16"
	firstService = "127.96.0.1"
)

// auditPolicy logs who wrote what, once per request, when it was answered, and all that the given users
// ask for, a watch when it begins and when it ends.
func auditPolicy(users []string) ([]byte, error) {
	rules := []map[string]any{{"level": "None", "verbs": []string{"get", "list", "watch"}}, {"level": "Metadata"}}
	if len(users) > 0 {
		rules = append([]map[string]any{{"level": "Metadata", "users": users}}, rules...)
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": []string{"RequestReceived"}, "rules": rules,
	})
}

// withoutNodes are the controllers that are left out: those of nodes, volumes, devices and
// certificate signing, which have nothing to do here and would only use memory.
var withoutNodes = []string{
	"node-ipam-controller", "node-lifecycle-controller", "taint-eviction-controller", "device-taint-eviction-controller",
	"ttl-controller", "persistentvolume-binder-controller", "persistentvolume-attach-detach-controller",
	"persistentvolume-expander-controller", "persistentvolumeclaim-protection-controller",
	"persistentvolume-protection-controller", "ephemeral-volume-controller", "resourceclaim-controller",
	"certificatesigningrequest-signing-controller", "certificatesigningrequest-approving-controller",
	"certificatesigningrequest-cleaner-controller", "podcertificaterequest-cleaner-controller",
	"horizontal-pod-autoscaler-controller", "volumeattributesclass-protection-controller",
}

// server fills in what the control plane's commands share.
func (c *ControlPlane) server(name string, args ...string) command {
	return command{
		name: name, path: c.tools[name], args: args, env: append(cleanEnvironment(), "HOME="+c.Folder), dir: c.Folder,
		detached: c.config.detached != "", death: syscall.SIGKILL, ending: endingOf(name),
	}
}

// file is a path in the control plane's folder.
func (c *ControlPlane) file(name string) string { return filepath.Join(c.Folder, name) }

func endpoint(port int) string { return fmt.Sprintf("https://%s:%d", loopback, port) }

// etcdCommand demands certificates of clients: other users of this machine reach the port too.
// Nothing is synced to disk, which only a power failure would show.
func (c *ControlPlane) etcdCommand() command {
	client, peer := endpoint(c.record.EtcdPort), endpoint(c.record.PeerPort)
	args := []string{
		"--name=etcd", "--data-dir=" + c.file("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=etcd=" + peer,
	}
	for _, prefix := range []string{"--", "--peer-"} {
		args = append(args,
			prefix+"cert-file="+c.file("server.crt"), prefix+"key-file="+c.file("server.key"),
			prefix+"trusted-ca-file="+c.file("ca.crt"), prefix+"client-cert-auth")
	}
	return c.server("etcd", args...)
}

func (c *ControlPlane) apiServerCommand() command {
	args := []string{
		"--etcd-servers=" + endpoint(c.record.EtcdPort), "--etcd-cafile=" + c.file("ca.crt"),
		"--etcd-certfile=" + c.file("server.crt"), "--etcd-keyfile=" + c.file("server.key"),
		"--bind-address=" + loopback, "--advertise-address=" + loopback, fmt.Sprintf("--secure-port=%d", c.record.Port),
		"--tls-cert-file=" + c.file("server.crt"), "--tls-private-key-file=" + c.file("server.key"),
		"--client-ca-file=" + c.file("ca.crt"), "--authorization-mode=RBAC", "--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("tokens.crt"), "--service-account-signing-key-file=" + c.file("tokens.key"),
		"--service-cluster-ip-range=" + serviceRange, "--endpoint-reconciler-type=none",
	}
	if c.record.Audit {
		args = append(args,
			"--audit-policy-file="+c.file("audit-policy.yaml"), "--audit-log-path="+c.AuditLog, "--audit-log-maxsize=10000")
	}
	return c.server("kube-apiserver", args...)
}

func (c *ControlPlane) controllerCommand() command {
	return c.server("kube-controller-manager",
		"--kubeconfig="+c.file("kube-controller-manager.kubeconfig"), "--use-service-account-credentials",
		"--service-account-private-key-file="+c.file("tokens.key"), "--root-ca-file="+c.file("ca.crt"),
		"--controllers=*,-"+strings.Join(withoutNodes, ",-"), "--leader-elect=false", "--secure-port=0")
}

// credentials writes keys and certificates that are not there yet.
func (c *ControlPlane) credentials() (err error) {
	if c.authority, err = loadAuthority(c.Folder); err != nil {
		return err
	}
	if _, err := os.Stat(c.file("tokens.key")); err == nil {
		return nil
	}
	hosts := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	server, err := c.authority.server("tenantry-control-plane", hosts, net.ParseIP(firstService))
	if err != nil {
		return err
	}
	tokens, err := c.authority.client("service-account-tokens")
	if err != nil {
		return err
	}
	policy, err := auditPolicy(c.config.auditUsers)
	if err != nil {
		return err
	}
	return errors.Join(
		server.write(c.Folder, "server"),
		os.WriteFile(c.file("audit-policy.yaml"), policy, 0o600),
		tokens.write(c.Folder, "tokens"), // last: its presence says that all are there
	)
}

// probeEtcd asks etcd for its health, over TLS of our own authority: no stranger's answer counts.
func (c *ControlPlane) probeEtcd(ctx context.Context) error {
	return c.get(ctx, endpoint(c.record.EtcdPort)+"/health")
}

// probeAPIServer asks whether the API server and all its start-up hooks are ready.
func (c *ControlPlane) probeAPIServer(ctx context.Context) error {
	return c.get(ctx, endpoint(c.record.Port)+"/readyz")
}

// get asks a server of this control plane and wants the status 200.
func (c *ControlPlane) get(ctx context.Context, url string) (err error) {
	cert, err := tls.LoadX509KeyPair(c.file("server.crt"), c.file("server.key"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.authority.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: transport, Timeout: 5 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, lastLines(string(body), 3))
	}
	return err
}
