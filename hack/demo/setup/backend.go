package setup

import (
	"context"
	"fmt"
	"net"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tenantry/tenantry/test/platform"
)

// Backend is the sample backend that runs.
type Backend struct {
	*platform.Program
	// Address is the cluster IP and port of the Service, a loopback address here.
	Address string
}

// Backend starts the sample backend from the program that Build made of ./hack/backend. It listens on
// the first port of a Service in the place of the Pods behind it, and logs in as the service account
// of the Service's name.
func (h Host) Backend(ctx context.Context, program, namespace, service string, args ...string) (*Backend, error) {
	admin, err := kubernetes.NewForConfig(h.Plane.Config)
	if err != nil {
		return nil, err
	}
	found, err := admin.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if len(found.Spec.Ports) == 0 {
		return nil, fmt.Errorf("no port in Service %s/%s", namespace, service)
	}
	kubeconfig, err := h.login(ctx, service, namespace, service)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(found.Spec.ClusterIP, strconv.Itoa(int(found.Spec.Ports[0].Port)))
	process, err := h.run(ctx, platform.ProgramConfig{
		Name: service, Path: program, Args: append([]string{"-listen=" + address, "-kubeconfig=" + kubeconfig}, args...),
		Ready: answers("http://" + address + "/healthz"),
	})
	if err != nil {
		return nil, err
	}
	return &Backend{Program: process, Address: address}, nil
}
