package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kubectl runs the real kubectl and shows the command with its output.
func (d *demo) kubectl(ctx context.Context, args ...string) error {
	output, err := d.program(ctx, "kubectl", args...)
	if err == nil {
		d.out.command(line("kubectl", args), output)
	}
	return err
}

// program runs kubectl or curl with the settings that the user is told to make, and none of the
// user's own that would lead it elsewhere.
func (d *demo) program(ctx context.Context, name string, args ...string) (string, error) {
	path := name
	if name == "kubectl" {
		path = filepath.Join(d.servers.State.Bin, name)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(withoutProxies(os.Environ()), "KUBECONFIG="+d.servers.State.Kubeconfig)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", line(name, args), err, strings.TrimSpace(stdout.String()+stderr.String()))
	}
	return stdout.String(), nil
}

// withoutProxies drops the settings of a proxy: everything here is on this machine.
func withoutProxies(env []string) (kept []string) {
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// line writes a command as a shell takes it.
func line(name string, args []string) string {
	words := []string{name}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

// quote quotes a word for a shell where it has to be.
func quote(word string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%"
	if word != "" && strings.Trim(word, safe) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
