package scenarios

import (
	"context"

	"github.com/tenantry/tenantry/test/operator"
)

// unusable are rights that the operator needs and that nothing here can make it use, with the reason.
var unusable = map[operator.Right]string{}

// rights : behind all tests, the operator has used every right that the installation gives it. One that
// no test needs is one too many, or one without a test.
func rights() error { return servers.CheckRights(context.Background(), unusable) }
