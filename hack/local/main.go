// Command local runs Tenantry's local platform: a real control plane, a real PostgreSQL and a real
// data plane on this machine's loopback addresses. It is the command line of packages stack and
// platform and holds nothing else.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/tenantry/tenantry/hack/local/stack"
	"github.com/tenantry/tenantry/test/platform"
)

const usage = `usage: go run ./hack/local COMMAND

  tools [NAME...]      build or fetch the servers' programs (all, or some) into the cache
  up [--with traefik]  start what does not run, in .demo or $TENANTRY_DEMO_DIR
  down                 end it and remove all it made
  env                  print the settings for a shell: eval "$(go run ./hack/local env)"`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	switch command, rest := args[0], args[1:]; command {
	case "tools":
		return tools(ctx, rest)
	case "up":
		return up(ctx, rest)
	case "down":
		dir, err := stack.DefaultDir()
		if err != nil {
			return err
		}
		return stack.Down(ctx, dir)
	case "env":
		return env()
	default:
		return fmt.Errorf("no command %q\n%s", command, usage)
	}
}

// tools prints where each program is.
func tools(ctx context.Context, names []string) error {
	cache, err := platform.DefaultCache()
	if err != nil {
		return err
	}
	paths, err := cache.Tools(ctx, names...)
	if err != nil {
		return err
	}
	for _, name := range platform.ToolNames {
		if path, ok := paths[name]; ok {
			fmt.Printf("%-24s %s\n", name, path)
		}
	}
	return nil
}

func up(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	with := flags.String("with", "", "parts to start besides Kubernetes and PostgreSQL: traefik")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "traefik"}, *with) || flags.NArg() > 0 {
		return fmt.Errorf("up knows only --with traefik, not %q", strings.Join(args, " "))
	}
	dir, err := stack.DefaultDir()
	if err != nil {
		return err
	}
	_, err = stack.Up(ctx, dir, stack.Options{Traefik: *with == "traefik", Out: os.Stdout})
	return err
}

// env prints exports for a POSIX shell.
func env() error {
	dir, err := stack.DefaultDir()
	if err != nil {
		return err
	}
	state, err := stack.ReadState(dir)
	if err != nil {
		return err
	}
	if state.Kubeconfig == "" {
		return fmt.Errorf("nothing runs in %s; start it with: go run ./hack/local up", dir)
	}
	fmt.Printf("export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\nexport TENANTRY_POSTGRES_URL=%s\n",
		quote(state.Kubeconfig), quote(state.Bin), quote(state.PostgresURL))
	if state.HTTPPort != 0 {
		fmt.Printf("export TENANTRY_HTTP_PORT=%d\nexport TENANTRY_HTTPS_PORT=%d\n", state.HTTPPort, state.HTTPSPort)
	}
	return nil
}

// quote makes one word of a shell's language of any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
