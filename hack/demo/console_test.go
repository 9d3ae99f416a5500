package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIndent(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":             {"", ""},
		"no last line break":  {"a\nb", "  a\n  b\n"},
		"an empty line":       {"a\n\nb\n", "  a\n\n  b\n"},
		"indentation is kept": {"{\n  \"a\": 1\n}\n", "  {\n    \"a\": 1\n  }\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, indent(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	tests := map[string]struct {
		texts []string
		want  string
	}{
		"nothing":                 {nil, ""},
		"less than a row":         {[]string{"a", "b"}, "a   b\n"},
		"down, then to the right": {[]string{"a", "bbb", "c", "d", "e"}, "a     c   e\nbbb   d\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, columns(tt.texts, 3)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is no terminal gets no control characters.
func TestConsoleIsPlainInAFile(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	c := newConsole(file)
	c.heading("Part %d", 1)
	c.say("a line")
	c.command("kubectl get tenants", "NAME\nacme\n")
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := "\nPart 1\n  a line\n\n  $ kubectl get tenants\n  NAME\n  acme\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// A command that was shown can be pasted into a shell.
func TestLineIsReadBackByAShell(t *testing.T) {
	args := []string{"plain", "", "two words", "it's", `{"a":"b"}`, "$HOME", "*", "tab\there", "a&b", "-o=x"}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", line("printf '%s\\0'", args)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(args, strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")); diff != "" {
		t.Error(diff)
	}
	if got := line("kubectl", []string{"get", "tenants", "-A"}); got != "kubectl get tenants -A" {
		t.Errorf("quoted without need: %s", got)
	}
}

func TestWithoutProxies(t *testing.T) {
	got := withoutProxies([]string{"HOME=/h", "http_proxy=p", "HTTPS_PROXY=p", "no_proxy=n", "PROXY_HOME=x"})
	if diff := cmp.Diff([]string{"HOME=/h", "PROXY_HOME=x"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestNextHasEverySetting(t *testing.T) {
	var out bytes.Buffer
	if err := next.Execute(&out, settings{Kubeconfig: "K", Bin: "B", Log: "L", Curl: "C", Namespace: "N"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"KUBECONFIG=K\n", "PATH=B:", "tail -f L\n", "C http://acme", "-n N "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the text", want)
		}
	}
}
