package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/test/platform"
)

// Names in the platform's folder.
const (
	stateFile      = "state.json"
	kubeconfigFile = "kubeconfig"
	binFolder      = "bin"
)

// State is what scripts and later commands need to know of a running platform. It holds passwords:
// state.json is readable by its owner alone.
type State struct {
	// Kubeconfig logs in as cluster administrator; Bin holds kubectl.
	Kubeconfig string `json:"kubeconfig"`
	Bin        string `json:"bin"`
	// PostgresURL is the superuser's, for looking at the tables.
	PostgresURL string `json:"postgresURL"`
	// Databases are the URLs of the operator's logins, by database.
	Databases map[string]string `json:"databases,omitempty"`
	// HTTPPort and HTTPSPort are the data plane's on 127.0.0.1, zero while there is none.
	HTTPPort  int `json:"httpPort,omitempty"`
	HTTPSPort int `json:"httpsPort,omitempty"`
}

// ReadState reads the state of the platform in dir. Without one it is empty.
func ReadState(dir string) (State, error) {
	var state State
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, err
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return state, fmt.Errorf("%s in %s: %w", stateFile, dir, err)
	}
	return state, nil
}

// save writes the kubeconfig and the state.
func (s *Stack) save() error {
	s.State.Kubeconfig, s.State.Bin = filepath.Join(s.Dir, kubeconfigFile), filepath.Join(s.Dir, binFolder)
	if s.State.PostgresURL != s.Postgres.AdminDSN() {
		// Another server than before, after its data was lost: the old databases are gone too.
		s.State.Databases = nil
	}
	s.State.PostgresURL = s.Postgres.AdminDSN()
	if s.Traefik != nil {
		s.State.HTTPPort, s.State.HTTPSPort = s.Traefik.HTTPPort, s.Traefik.HTTPSPort
	}
	if err := platform.WriteKubeconfig(s.Plane.Config, s.State.Kubeconfig); err != nil {
		return err
	}
	data, err := json.MarshalIndent(s.State, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir, stateFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
