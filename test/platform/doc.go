// Package platform runs a real Kubernetes control plane, a real PostgreSQL and a real data plane as
// plain processes on loopback, for tests, benchmarks and the demo. It needs Go, a Linux machine and
// at first use the module proxy: no container engine, no cloud, no root.
//
// Its contract: everything listens on loopback only, on ports the kernel gave; nothing that was
// there before is used or changed; programs are built or fetched once per user into a cache outside
// the repository; a server that does not become ready gives an error with the last lines of its
// log. By default a server belongs to this process: Stop ends it and removes its folder, and the
// kernel ends it when this process dies without a Stop. A detached server instead outlives the
// process: starting it again in the same folder finds it, mends it if it died, or does nothing.
//
// PostgreSQL refuses to run as root. When this process is root, the server runs as the user
// postgres or nobody, so its programs and its data lie where that user may enter.
package platform
