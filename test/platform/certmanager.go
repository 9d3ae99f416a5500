package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// certManager is the module whose kinds are installed. It is none of this project's dependencies: the
// operator knows the kind by its name alone.
const certManager = "github.com/cert-manager/cert-manager@v1.21.2"

// CertificateKind is the file of cert-manager's kind Certificate, from its module.
func CertificateKind(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", certManager)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the module of cert-manager: %w: %s", err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", err
	}
	return filepath.Join(module.Dir, "deploy", "crds", "cert-manager.io_certificates.yaml"), nil
}

// InstallCertificateKind installs the kind without anybody who looks after it: tests say and do what
// cert-manager would.
func (c *ControlPlane) InstallCertificateKind(ctx context.Context) error {
	file, err := CertificateKind(ctx)
	if err != nil {
		return err
	}
	return c.Apply(ctx, file)
}
