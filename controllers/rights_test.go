package controllers_test

import (
	"context"
	"errors"
	"time"

	"github.com/tenantry/tenantry/test/operator"
)

// unusable are rights that the operator needs and that nothing here can make it use.
var unusable = map[operator.Right]string{
	{Verb: "patch", Group: "events.k8s.io", Resource: "events"}:                    series,
	{Verb: "list", Resource: "configmaps"}:                                         streamed,
	{Verb: "list", Resource: "namespaces"}:                                         streamed,
	{Verb: "list", Resource: "secrets"}:                                            streamed,
	{Verb: "list", Resource: "services"}:                                           streamed,
	{Verb: "list", Group: "gateway.networking.k8s.io", Resource: "gatewayclasses"}: streamed,
	{Verb: "list", Group: "gateway.networking.k8s.io", Resource: "listenersets"}:   streamed,
	{Verb: "list", Group: "tenantry.dev", Resource: "migrationsets"}:               streamed,
	{Verb: "update", Group: "tenantry.dev", Resource: "tenants/finalizers"}:        ownerReferences,
	{Verb: "update", Group: "tenantry.dev", Resource: "tenantclasses/finalizers"}:  ownerReferences,
}

// series : the client makes one of an event that repeats itself within minutes, if it comes to that.
const series = "an event that repeats itself becomes a series"

// streamed : caches fill by watches here, and by lists where the API server cannot stream them.
const streamed = "an API server without WatchList is listed"

// ownerReferences : the plugin asks for it in a review of its own when an object gets an owner whose
// deletion it blocks; the API server does not switch it on by itself.
const ownerReferences = "the admission plugin OwnerReferencesPermissionEnforcement alone asks for it"

// rights : behind all passes of this package, and a start of the whole program's manager, the operator has
// used every right that the installation gives it. One that is not used is one too many, or lacks a test.
func rights() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return errors.Join(servers.Exercise(ctx), servers.CheckRights(ctx, unusable))
}
