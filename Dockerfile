# The operator as a static program in an image with nothing else: no shell, no package manager.
#
#   make docker-build IMG=registry.example/tenantry:v0.1.0
ARG GO_VERSION=1.26.8
FROM --platform=$BUILDPLATFORM docker.io/library/golang:${GO_VERSION} AS builder
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src

# Modules first: they change seldom, and their layer is kept.
COPY go.mod go.sum ./
RUN go mod download

COPY api/ api/
COPY cmd/ cmd/
COPY controllers/ controllers/
COPY internal/ internal/
# The policies that the operator knows word for word.
COPY config/policy/ config/policy/
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /manager ./cmd/manager

FROM gcr.io/distroless/static:nonroot
COPY --from=builder /manager /manager
# By number, so that a kubelet can tell that it is not root (runAsNonRoot).
USER 65532:65532
ENTRYPOINT ["/manager"]
