package platform

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
)

// loopback is the address that servers listen on.
const loopback = "127.0.0.1"

// portTries is how often a start is tried with new ports: between asking the kernel for a free one
// and listening on it, somebody else may take it.
const portTries = 5

// freePorts asks the kernel for n different free ports on loopback. All are held until the last
// one is known, or the kernel might give one of them twice.
func freePorts(n int) (ports []int, err error) {
	for range n {
		listener, lerr := net.Listen("tcp", loopback+":0")
		if lerr != nil {
			return nil, lerr
		}
		defer func() { err = errors.Join(err, listener.Close()) }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// DeadPort holds a port on loopback on which nobody listens until it is released: connections are refused, and nobody
// else is given the port.
func DeadPort() (port int, release func() error, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socket", err)
	}
	release = func() error { return os.NewSyscallError("close", syscall.Close(fd)) }
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, nil, errors.Join(os.NewSyscallError("bind", err), release())
	}
	address, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, nil, errors.Join(os.NewSyscallError("getsockname", err), release())
	}
	return address.(*syscall.SockaddrInet4).Port, release, nil
}

// portClash says whether a server's log tells that its port was taken.
func portClash(log string) bool {
	data, err := os.ReadFile(log)
	return err == nil && strings.Contains(strings.ToLower(string(data)), "address already in use")
}
