// Command demo shows Tenantry at work on this machine: it starts a control plane, PostgreSQL, a
// data plane and the operator, gives them the sample product with its tenants, waits until
// every one is Ready, and shows what a user gets. It can be run again at any time, after a failure
// too, and then does only what is missing. `demo down` leaves nothing behind but the cache of
// programs.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tenantry/tenantry/hack/local/stack"
)

const usage = `usage: go run ./hack/demo [down]

  (nothing)  start what does not run, in .demo or $TENANTRY_DEMO_DIR, and show it
  down       end it and remove all it made
`

func main() {
	// The demo says itself what there is to say; without a logger, the client's library complains of
	// that after half a minute.
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], newConsole(os.Stdout))
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		_, _ = fmt.Fprintln(os.Stderr, "\nInterrupted. `make demo` goes on from here, `make demo-down` ends what runs.")
		os.Exit(130)
	case err != nil:
		_, _ = fmt.Fprintf(os.Stderr, "\nerror: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out *console) error {
	dir, err := stack.DefaultDir()
	if err != nil {
		return err
	}
	var do func(context.Context, string, *console) error
	switch {
	case len(args) == 0:
		do = up
	case len(args) == 1 && args[0] == "down":
		do = down
	default:
		return fmt.Errorf("not understood: %q\n%s", args, usage)
	}
	unlock, err := lock(ctx, dir)
	if err != nil {
		return err
	}
	defer unlock()
	return do(ctx, dir, out)
}
