package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// tokenLife is the life of a service account's token in seconds: a year, longer than a platform's.
const tokenLife = 365 * 24 * 60 * 60

// connect makes the administrator's and the controller manager's credentials.
func (c *ControlPlane) connect() (err error) {
	if c.Config, err = c.User("tenantry-admin", "system:masters"); err != nil {
		return err
	}
	c.Kubeconfig = c.file("admin.kubeconfig")
	if err := WriteKubeconfig(c.Config, c.Kubeconfig); err != nil {
		return err
	}
	manager, err := c.User("system:kube-controller-manager")
	if err != nil {
		return err
	}
	return WriteKubeconfig(manager, c.file("kube-controller-manager.kubeconfig"))
}

// User returns a configuration that logs in by certificate as any user, with any groups. RBAC
// says what that user may do; the group system:masters may do all.
func (c *ControlPlane) User(name string, groups ...string) (*rest.Config, error) {
	pair, err := c.authority.client(name, groups...)
	if err != nil {
		return nil, err
	}
	config := c.anonymous()
	config.CertData, config.KeyData = pair.cert, pair.key
	return config, nil
}

// ServiceAccount returns a configuration that logs in as an existing service account by a token,
// as a pod does.
func (c *ControlPlane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	admin, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return nil, err
	}
	life := int64(tokenLife)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &life}}
	answer, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("token of service account %s/%s: %w", namespace, name, err)
	}
	config := c.anonymous()
	config.BearerToken = answer.Status.Token
	return config, nil
}

// ServingCertificate issues a certificate with its key, in PEM, for a server of these host names. Who
// trusts Config.CAData trusts it.
func (c *ControlPlane) ServingCertificate(hosts ...string) (cert, key []byte, err error) {
	pair, err := c.authority.server(hosts[0], hosts)
	return pair.cert, pair.key, err
}

// anonymous returns a configuration that knows the API server and trusts it, without credentials.
// It has no limit of requests: the API server guards itself, and tests measure the operator.
func (c *ControlPlane) anonymous() *rest.Config {
	return &rest.Config{
		Host: endpoint(c.record.Port), QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.certPEM},
	}
}

// WriteKubeconfig writes a configuration of this package as a file for kubectl and others, readable
// by this user alone.
func WriteKubeconfig(config *rest.Config, path string) error {
	const name = "tenantry"
	file := api.NewConfig()
	file.Clusters[name] = &api.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	file.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: config.CertData, ClientKeyData: config.KeyData, Token: config.BearerToken,
	}
	file.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	file.CurrentContext = name
	data, err := clientcmd.Write(*file)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// Kubectl runs kubectl as the administrator and returns what it printed on both outputs.
func (c *ControlPlane) Kubectl(ctx context.Context, args ...string) (string, error) {
	cache, err := DefaultCache()
	if err != nil {
		return "", err
	}
	kubectl, err := cache.Tool(ctx, "kubectl")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, kubectl, args...)
	cmd.Env = append(cleanEnvironment(), "HOME="+c.Folder, "KUBECONFIG="+c.Kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %v: %w: %s", args, err, lastLines(string(out), logLines))
	}
	return string(out), nil
}

// waitForDefaults waits for the namespace that the API server makes after it says it is ready.
func (c *ControlPlane) waitForDefaults(ctx context.Context) error {
	admin, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	return c.apiServer.waitReady(ctx, apiServerReady, func(ctx context.Context) error {
		_, err := admin.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
		return err
	})
}

// probeControllers looks for what two of the controllers do in every namespace.
func (c *ControlPlane) probeControllers(ctx context.Context) error {
	admin, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	_, account := admin.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	_, root := admin.CoreV1().ConfigMaps(metav1.NamespaceDefault).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	return errors.Join(account, root)
}
