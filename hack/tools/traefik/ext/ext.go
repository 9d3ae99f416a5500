// Package ext stands in for the empty extension package that Traefik keeps inside its own
// repository and that is therefore no published module.
package ext

// HTTP extends Traefik's dynamic HTTP configuration with nothing.
type HTTP struct{}

// Router extends Traefik's router with nothing.
type Router struct{}
