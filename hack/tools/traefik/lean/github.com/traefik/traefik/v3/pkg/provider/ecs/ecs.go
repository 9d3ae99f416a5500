// Package ecs stands in for Traefik's provider of that name: Amazon's client library behind it is a
// seventh of what Traefik is made from. It reads the provider's options, and refuses to work.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// ProviderName is the provider's place in the order of providers.
const ProviderName = "ecs"

var errLeftOut = errors.New("this build of Traefik holds no ECS provider")

// Provider has the options of the real one, whose names are those of its fields.
type Provider struct {
	Constraints, DefaultRule                                 string
	Region, AccessKeyID, SecretAccessKey                     string
	Clusters                                                 []string
	RefreshSeconds                                           int
	ExposedByDefault, AutoDiscoverClusters, HealthyTasksOnly bool
	ECSAnywhere                                              bool
}

// Init refuses the provider: Traefik logs it as an error and goes on without.
func (*Provider) Init() error { return errLeftOut }

// Provide is not called after Init has failed.
func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return errLeftOut }
