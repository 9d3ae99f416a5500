package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tenantry/tenantry/test/platform"
)

// Names of config/default.
const (
	Namespace      = "tenantry-system"
	ServiceAccount = "tenantry-controller-manager"
)

// portTries is how often the operator is started with new ports: somebody else may take one
// between the question for a free port and its use.
const portTries = 3

// Operator is the operator that runs.
type Operator struct {
	*platform.Program
	Ports
}

// Ports are the operator's, on 127.0.0.1.
type Ports struct {
	// Metrics serves /metrics over HTTPS, to those whom the API server authorises.
	Metrics int `json:"metrics"`
	// Probe serves /healthz and /readyz.
	Probe int `json:"probe"`
}

// Operator starts the operator from the program that Build made of ./cmd/manager: as its own service
// account with its shipped roles, with leader election, its ports on loopback.
func (h Host) Operator(ctx context.Context, program string, args ...string) (*Operator, error) {
	kubeconfig, err := h.login(ctx, "operator", Namespace, ServiceAccount)
	if err != nil {
		return nil, err
	}
	dir, err := h.folder()
	if err != nil {
		return nil, err
	}
	ports, err := readPorts(filepath.Join(dir, "operator.json"))
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		process, err := h.run(ctx, platform.ProgramConfig{
			Name: "operator", Path: program, Args: append(ports.flags(), args...),
			Env:   []string{"KUBECONFIG=" + kubeconfig},
			Ready: answers(fmt.Sprintf("http://%s:%d/readyz", loopback, ports.Probe)),
		})
		if err == nil {
			return &Operator{Program: process, Ports: ports}, nil
		}
		if try == portTries || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
		if ports, err = drawPorts(filepath.Join(dir, "operator.json")); err != nil {
			return nil, err
		}
	}
}

func (p Ports) flags() []string {
	return []string{
		"--leader-elect", "--leader-elect-namespace=" + Namespace,
		"--metrics-bind-address=" + net.JoinHostPort(loopback, strconv.Itoa(p.Metrics)),
		"--health-probe-bind-address=" + net.JoinHostPort(loopback, strconv.Itoa(p.Probe)),
	}
}

// readPorts returns the ports of an operator that was started before, or new ones.
func readPorts(record string) (ports Ports, err error) {
	data, err := os.ReadFile(record)
	if errors.Is(err, os.ErrNotExist) {
		return drawPorts(record)
	}
	if err != nil {
		return ports, err
	}
	return ports, json.Unmarshal(data, &ports)
}

// drawPorts finds free ports and records them.
func drawPorts(record string) (ports Ports, err error) {
	for _, port := range []*int{&ports.Metrics, &ports.Probe} {
		listener, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			return ports, err
		}
		// Held until both are known: the kernel might give one twice.
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	data, err := json.Marshal(ports)
	if err != nil {
		return ports, err
	}
	return ports, os.WriteFile(record, data, 0o600)
}
