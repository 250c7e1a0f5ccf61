// Command belfry is Belfry: the server, and the command line that asks it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/belfryhq/belfry/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(cli.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}
