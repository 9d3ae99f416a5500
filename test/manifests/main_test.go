// Package manifests tests what users apply and what the cluster then says: the CRDs, their rules,
// the samples, the roles and the policies, all against a real API server. It needs no operator.
package manifests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/test/platform"
)

// What all tests share: none of them changes what another one reads.
var (
	plane *platform.ControlPlane
	admin client.Client
	root  string
)

// established bounds how long the API server may take to serve a kind.
const established = time.Minute

// started bounds the start of the servers, building them included.
const started = 15 * time.Minute

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), started)
	defer cancel()
	if err := start(ctx); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "start:", err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "stop:", err)
		}
	}()
	return m.Run()
}

// start starts a control plane whose controllers aggregate roles, and installs Gateway API and the
// CRDs as `make install` does.
func start(ctx context.Context) (err error) {
	if root, err = platform.RepoRoot(); err != nil {
		return err
	}
	if plane, err = platform.StartControlPlane(ctx, platform.WithControllerManager()); err != nil {
		return err
	}
	if err := plane.InstallGatewayAPI(ctx); err != nil {
		return err
	}
	crds, err := render(ctx, "config/crd")
	if err != nil {
		return err
	}
	if err := plane.ApplyObjects(ctx, crds...); err != nil {
		return err
	}
	admin, err = strict(plane)
	return err
}

// strict returns an administrator's client that has unknown fields refused, as kubectl does.
func strict(plane *platform.ControlPlane) (client.Client, error) {
	c, err := client.New(plane.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		return nil, err
	}
	return client.WithFieldValidation(c, "Strict"), nil
}

// render returns the objects of a kustomization, named from the repository's root.
func render(ctx context.Context, folder string) ([]*unstructured.Unstructured, error) {
	text, err := plane.Kubectl(ctx, "kustomize", filepath.Join(root, folder))
	if err != nil {
		return nil, err
	}
	return objects(text)
}
