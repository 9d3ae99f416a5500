package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A detached server's record lies in its folder as <name>.json: all that a later process needs to
// find or start it again. It holds passwords, so only its owner may read it. The functions do
// nothing for servers without such a folder.

// readRecord reads a record; without one, into stays as it is.
func readRecord(dir, name string, into any) error {
	if dir == "" {
		return nil
	}
	path := filepath.Join(dir, name+".json")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeRecord writes a record, whole or not at all.
func writeRecord(dir, name string, record any) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name+".json")
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// removeRecord removes a record, if there is one.
func removeRecord(dir, name string) error {
	if dir == "" {
		return nil
	}
	err := os.Remove(filepath.Join(dir, name+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
