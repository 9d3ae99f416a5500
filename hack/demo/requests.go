package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// served bounds how long the data plane may take to serve a route that it has accepted.
const served = 30 * time.Second

// curl asks a URL through the data plane with the real curl, and shows both.
func (d *demo) curl(ctx context.Context, url string, args ...string) (string, error) {
	args = append(append(d.curlArgs(), url), args...)
	output, err := d.program(ctx, "curl", args...)
	if err == nil {
		d.out.command(line("curl", args), strings.TrimRight(output, "\n")+"\n")
	}
	return output, err
}

// curlArgs lead every host to the data plane. The user's own proxy must not be asked.
func (d *demo) curlArgs() []string {
	args := []string{"-sS", "--connect-to", "::" + net.JoinHostPort("127.0.0.1", strconv.Itoa(d.servers.State.HTTPPort))}
	if len(withoutProxies(os.Environ())) < len(os.Environ()) {
		args = append(args, "--noproxy", "*")
	}
	return args
}

// page is what the sample backend answers at /, and a failure's code.
type page struct {
	Tenant   string
	Name     string
	Projects []struct{ Key, Name string }
	Error    struct{ Code, Message string }
}

func parsePage(text string) (p page, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return p, fmt.Errorf("no JSON: %q", text)
	}
	return p, nil
}

// has says whether the page lists a project.
func (p page) has(key string) bool {
	for _, project := range p.Projects {
		if project.Key == key {
			return true
		}
	}
	return false
}

// waitServed asks a host until its tenant answers: a data plane accepts a route a moment before it
// serves it.
func (d *demo) waitServed(ctx context.Context, host, tenant string) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, served)
	defer cancel()
	var p page
	var failed error
	err := poll(ctx, 100*time.Millisecond, func() bool {
		if p, failed = d.ask(ctx, host); failed == nil && p.Tenant != tenant {
			failed = fmt.Errorf("tenant %q answers, with error %q", p.Tenant, p.Error.Code)
		}
		return failed == nil
	})
	if err != nil {
		return p, fmt.Errorf("%s is not served by tenant %s after %s: %w", host, tenant, served, failed)
	}
	return p, nil
}

// ask reads the first page of a host.
func (d *demo) ask(ctx context.Context, host string) (p page, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return p, err
	}
	response, err := d.servers.Traefik.Transport().RoundTrip(request)
	if err != nil {
		return p, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.Header.Get("Content-Type") != "application/json" {
		return p, fmt.Errorf("status %s", response.Status)
	}
	return p, json.NewDecoder(response.Body).Decode(&p)
}
