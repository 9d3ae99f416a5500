package main

import (
	"strings"
	"testing"

	"k8s.io/pod-security-admission/api"
)

const safe = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: manager}
spec:
  template:
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: manager
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`

func TestRun(t *testing.T) {
	tests := map[string]struct {
		manifests string
		wantErr   string
		wantOut   string
	}{
		"safe":            {manifests: safe, wantOut: "Deployment manager: meets restricted"},
		"others ignored":  {manifests: "kind: Service\nmetadata: {name: x}\n---\n" + safe, wantOut: "meets restricted"},
		"may be root":     {manifests: strings.Replace(safe, "runAsNonRoot: true, ", "", 1), wantErr: "1 of 1 pods", wantOut: "runAsNonRoot"},
		"no seccomp":      {manifests: strings.Replace(safe, "RuntimeDefault", "Unconfined", 1), wantErr: "1 of 1 pods", wantOut: "seccomp"},
		"one of two":      {manifests: safe + "---" + strings.Replace(safe, "ALL", "NET_RAW", 1), wantErr: "1 of 2 pods", wantOut: "capabilities"},
		"host path":       {manifests: safe + "      volumes: [{name: v, hostPath: {path: /}}]\n", wantErr: "1 of 1 pods", wantOut: "hostPath"},
		"misspelt field":  {manifests: strings.Replace(safe, "runAsNonRoot", "runAsNonRooted", 1), wantErr: "unknown field"},
		"no pod":          {manifests: "kind: Service\nmetadata: {name: x}\n", wantErr: "no pod"},
		"nothing":         {wantErr: "no pod"},
		"cron job's pods": {manifests: "kind: CronJob\nmetadata: {name: c}\nspec: {jobTemplate: {spec: {template: {spec: {hostNetwork: true}}}}}\n", wantErr: "1 of 1 pods", wantOut: "CronJob c: violates"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(tt.manifests), &out, api.LevelRestricted)
			switch {
			case tt.wantErr == "" && err != nil:
				t.Errorf("run: %v\n%s", err, out.String())
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("run: error %v, want one with %q", err, tt.wantErr)
			}
			if !strings.Contains(out.String(), tt.wantOut) {
				t.Errorf("output %q lacks %q", out.String(), tt.wantOut)
			}
		})
	}
}
