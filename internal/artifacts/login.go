package artifacts

import (
	"context"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/tenantry/tenantry/internal/fault"
)

// Login is what a registry is told when it asks who is there.
type Login struct {
	Username, Password string
	// IdentityToken is exchanged for an access token, RegistryToken is one.
	IdentityToken, RegistryToken string
}

func (l Login) credential() auth.Credential {
	return auth.Credential{Username: l.Username, Password: l.Password, RefreshToken: l.IdentityToken, AccessToken: l.RegistryToken}
}

// dockerHub is the name under which Docker's own registry keeps logins.
const dockerHub = "index.docker.io"

// LoginOf finds the login of a registry (host or host:port) in the text of a .dockerconfigjson.
func LoginOf(config []byte, registry string) (Login, error) {
	store, err := credentials.NewMemoryStoreFromDockerConfig(config)
	if err != nil { // The library's error quotes what it read.
		return Login{}, fault.NewInvalid(ReasonInvalid, "the key .dockerconfigjson is not what `kubectl create secret docker-registry` makes")
	}
	if registry == "docker.io" || registry == "registry-1.docker.io" {
		registry = dockerHub
	}
	found, err := store.Get(context.Background(), registry)
	if err != nil || found == auth.EmptyCredential {
		return Login{}, fault.NewWaiting(ReasonUnauthorized, 0, "it has no login for the registry %s; add one", registry)
	}
	return Login{Username: found.Username, Password: found.Password, IdentityToken: found.RefreshToken, RegistryToken: found.AccessToken}, nil
}
