# What daily work needs; `make help` lists it. Only Go, git, make and curl have to be there: every
# other program is pinned in a Go module below hack/tools and built into the user's cache.
SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -euc
.DEFAULT_GOAL := help

export GOWORK := off
# Nothing here needs a C compiler. Without cgo, what servers, operator and tests are made from is
# compiled once, and Go's own linker does without another one.
export CGO_ENABLED := 0
# Go and the cache of tools live below HOME; a service may have started us without one.
ifeq ($(HOME),)
export HOME := $(shell cd ~ && pwd)
endif

VERSION ?= v0.1.0
IMG ?= ghcr.io/tenantry/tenantry:$(VERSION)
CONTAINER_TOOL ?= docker
KUBECTL ?= kubectl

TOOL := hack/tools/dev/tool
# What the tests of `make test` run against.
TEST_TOOLS := etcd kube-apiserver kube-controller-manager kubectl registry postgres
# End-to-end tests, probes and benchmarks have targets of their own.
TEST_PACKAGES = $$(go list ./... | grep -v -e /test/e2e -e /test/probes)

##@ Try it

# GOGC is for the compiler, as in test/platform/gocommand.go.
.PHONY: demo
demo: ## Start a control plane, PostgreSQL, a data plane and the operator here, with sample tenants.
	GOGC=$${GOGC:-400} go run ./hack/demo

.PHONY: demo-down
demo-down: ## Stop what `make demo` started and leave nothing behind.
	go run ./hack/demo down

##@ Development

.PHONY: generate
generate: ## Generate the DeepCopy methods of the API types.
	$$($(TOOL) controller-gen) object paths=./api/...

.PHONY: manifests
manifests: ## Generate the CRDs from the API types and the manager's role from the controllers' markers.
	$$($(TOOL) controller-gen) crd paths=./api/... output:crd:artifacts:config=config/crd/bases
	$$($(TOOL) controller-gen) rbac:roleName=manager-role paths=./controllers/... output:rbac:artifacts:config=config/rbac
	go run ./hack/roles

.PHONY: docs
docs: ## Generate docs/reference/api.md from the API types.
	$$($(TOOL) crd-ref-docs) --source-path=api/v1alpha1 --config=docs/reference/crd-ref-docs.yaml \
		--renderer=markdown --templates-dir=docs/reference/templates --output-path=docs/reference/api.md --log-level=ERROR

.PHONY: fmt
fmt: ## Format the Go code.
	$$($(TOOL) golangci-lint) fmt

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint
lint: ## Run golangci-lint with kube-api-linter.
	$$($(TOOL) golangci-lint) run

.PHONY: lint-fix
lint-fix: ## Run golangci-lint and let it fix what it can.
	$$($(TOOL) golangci-lint) run --fix

# Tests that wait for servers leave room for a third package beside two that work. make verify vets.
TEST_JOBS ?= 3

.PHONY: test
test: ## Run all tests but the end-to-end ones, on real servers.
	go run ./hack/local tools $(TEST_TOOLS)
	go test -vet=off -p $(TEST_JOBS) -timeout 40m $(TEST_PACKAGES)

.PHONY: e2e
e2e: ## Run the end-to-end tests, data plane included.
	go run ./hack/local tools $(TEST_TOOLS) traefik
	go test -timeout 30m -count 1 ./test/e2e/...

# All texts at all places, and SQL on the oldest and the newest PostgreSQL. Without a package's name, go test
# shows what the tests print.
.PHONY: probes
probes: ## Attack tenants, operator and server on real servers; print what came of it.
	go run ./hack/local tools $(TEST_TOOLS)
	cd test/probes && TENANTRY_PROBES_IN_FULL=1 go test -timeout 60m -count 1
	cd test/scenarios && TENANTRY_PROBES_IN_FULL=1 go test -timeout 15m -count 1 -run TestConfusedDeputy

.PHONY: fleet
fleet: ## Roll a version out over 1,000 tenants with planted failures, and kill the operator 20 times meanwhile.
	go run ./hack/local tools $(TEST_TOOLS)
	cd test/faults && TENANTRY_FLEET_TENANTS=$${TENANTRY_FLEET_TENANTS:-1000} TENANTRY_FLEET_KILLS=$${TENANTRY_FLEET_KILLS:-20} \
		go test -timeout 60m -count 1 -v

.PHONY: bench
bench: ## Run the benchmarks on real servers; docs/performance.md explains the table.
	go run ./hack/local tools $(TEST_TOOLS) traefik
	go test -timeout 60m -run '^$$' -bench . -benchtime 1x ./test/bench
	go test -timeout 60m -run '^$$' -bench . -benchtime 1x ./test/e2e

.PHONY: verify
verify: ## Check what is generated, format, lint, manifests and sizes; fails on a dirty tree.
	hack/verify/verify

##@ Build

.PHONY: build
build: ## Build the operator into bin/manager.
	go build -trimpath -o bin/manager ./cmd/manager

.PHONY: kubectl-tenant
kubectl-tenant: ## Build the plugin `kubectl tenant` into bin/kubectl-tenant; put it into your PATH.
	go build -trimpath -ldflags="-s -w" -o bin/kubectl-tenant ./cmd/kubectl-tenant

.PHONY: run
run: ## Run the operator against the cluster of the current kubeconfig.
	go run ./cmd/manager --metrics-bind-address=0

.PHONY: docker-build
docker-build: ## Build the image IMG. Needs a container engine (CONTAINER_TOOL).
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: tools
tools: ## Build the tools of development into the user's cache.
	for tool in controller-gen kustomize crd-ref-docs golangci-lint kube-score; do $(TOOL) $$tool; done

.PHONY: build-installer
build-installer: ## Write dist/install.yaml: CRDs, roles and the operator, for `kubectl apply -f`.
	mkdir -p dist
	$(call render,config/default) > dist/install.yaml

##@ Deployment

# A cluster's objects are rendered by the pinned kustomize, with the image IMG.
render = hack/verify/render $(1) $(IMG)

.PHONY: install
install: ## Install the CRDs into the cluster of the current kubeconfig.
	$(call render,config/crd) | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every object of their kinds.
	$(call render,config/crd) | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: ## Install CRDs, roles and the operator (image IMG).
	$(call render,config/default) | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove the operator, its roles and the CRDs. Delete the Tenants first.
	$(call render,config/default) | $(KUBECTL) delete --ignore-not-found -f -

##@ Help

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*##/ {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
