package platform

import (
	"errors"
	"net"
	"os"
	"strings"
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

// portClash says whether a server's log tells that its port was taken.
func portClash(log string) bool {
	data, err := os.ReadFile(log)
	return err == nil && strings.Contains(strings.ToLower(string(data)), "address already in use")
}
