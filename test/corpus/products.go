package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"

	"github.com/mattermost/mattermost-server/v6/db"
)

type file struct {
	name    string
	content []byte
}

// migrations returns a product's files for PostgreSQL in the order of their names.
func migrations(product string) ([]file, error) {
	switch product {
	case "mattermost":
		return read(db.Assets(), "migrations/postgres")
	case "minder":
		root, err := module("github.com/mindersec/minder")
		if err != nil {
			return nil, err
		}
		return read(os.DirFS(root), "database/migrations")
	}
	return nil, fmt.Errorf("no product %q, there are mattermost and minder", product)
}

func read(tree fs.FS, folder string) ([]file, error) {
	entries, err := fs.ReadDir(tree, folder)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		content, err := fs.ReadFile(tree, folder+"/"+e.Name())
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: e.Name(), content: content})
	}
	return files, nil
}

// module returns the folder of a module that go.mod requires, downloaded if need be and checked
// against go.sum. No package of it is imported: the one that embeds the files would be compiled with
// all that it needs itself, and does not hand them out.
func module(path string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", path)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, runErr := cmd.Output()
	var found struct{ Dir, Error string }
	if err := json.Unmarshal(out, &found); err != nil {
		return "", errors.Join(runErr, err, errors.New(stderr.String()))
	}
	if runErr != nil || found.Error != "" {
		return "", fmt.Errorf("go mod download %s: %s%s", path, found.Error, stderr.String())
	}
	return found.Dir, nil
}
