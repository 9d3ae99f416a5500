// Command kubectl-tenant is a plugin of kubectl: `kubectl tenant explain-host acme.example.com` tells which
// tenant, schema, database, login and route answer on a host, or exactly why nothing does. It reads the
// cluster with the rights of whoever runs it, and changes nothing; only `kubectl tenant approve` writes, the
// annotations by which a version of a MigrationSet is approved.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// Exit codes.
const (
	exitOK = 0
	// exitError : the question could not be answered.
	exitError = 1
	// exitNothing : it could, and nothing answers on the host.
	exitNothing = 3
)

// errNothing ends a command whose answer is that nothing answers.
var errNothing = errors.New("nothing answers")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errNothing):
		return exitNothing
	case meta.IsNoMatchError(err):
		err = fmt.Errorf("the cluster does not know Tenantry's kinds; is it installed there? (%w)", err)
	}
	_, _ = fmt.Fprintln(streams.ErrOut, "Error:", err)
	return exitError
}
