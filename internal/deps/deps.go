package deps

import (
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/wasilibs/go-pgquery"
	_ "golang.org/x/net/idna"
	_ "k8s.io/api/networking/v1"
	_ "k8s.io/client-go/kubernetes"
	_ "sigs.k8s.io/controller-runtime"
	_ "sigs.k8s.io/gateway-api/apis/v1"
	_ "pgregory.net/rapid"
	_ "go.uber.org/goleak"
	_ "github.com/fluxcd/cli-utils/pkg/kstatus/status"
	_ "sigs.k8s.io/yaml"
)
