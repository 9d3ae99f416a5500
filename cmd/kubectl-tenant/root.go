package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// shell is what all verbs share: where the cluster is, and where to write.
type shell struct {
	genericiooptions.IOStreams

	config *genericclioptions.ConfigFlags
	// format of the output: text, json or yaml.
	format string
}

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	sh := &shell{IOStreams: streams, config: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:           "kubectl-tenant",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tenant"},
		Short:         "Ask about tenants and their hosts, approve their migrations",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	sh.config.AddFlags(root.PersistentFlags())
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddCommand(sh.explainHost(), sh.listHosts(), sh.approve(), sh.makeCheckpoint())
	return root
}

// addFormat adds the flag -o to a verb.
func (sh *shell) addFormat(verb *cobra.Command) {
	verb.Flags().StringVarP(&sh.format, "output", "o", "text", "format of the answer: text, json or yaml")
}

// print writes a value as JSON or YAML, or lets text write it.
func (sh *shell) print(value any, text func(io.Writer)) error {
	switch sh.format {
	case "text":
		text(sh.Out)
		return nil
	case "json":
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(sh.Out, string(data))
		return err
	case "yaml":
		data, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = sh.Out.Write(data)
		return err
	}
	return fmt.Errorf("--output: %q is no format; use text, json or yaml", sh.format)
}

// Requests a second to the API server, and as many more at once: kubectl's own.
const (
	qps   = 50
	burst = 300
)

// reader reads from the API server, with the rights of the kubeconfig.
func (sh *shell) reader() (client.Reader, error) { return sh.client() }

// client also writes.
func (sh *shell) client() (client.Client, error) {
	config, err := sh.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = qps, burst
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		v1alpha1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, gatewayv1.Install, metav1.AddMetaToScheme,
		authenticationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.New(config, client.Options{Scheme: scheme})
}

// namespace of the kubeconfig's context or of the flag, and whether the flag was given.
func (sh *shell) namespace() (name string, given bool, err error) {
	return sh.config.ToRawKubeConfigLoader().Namespace()
}
