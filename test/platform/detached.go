package platform

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// endings says how each server is asked to end; "" is for those that are not named.
var endings = map[string][]ending{
	// A fast shutdown writes a checkpoint; an immediate one ends backends that hang.
	"postgres": {{syscall.SIGINT, 20 * time.Second}, {syscall.SIGQUIT, 5 * time.Second}},
	// It would wait for open watches for a minute; etcd has the data.
	"kube-apiserver": {{syscall.SIGTERM, 2 * time.Second}},
	"":               {{syscall.SIGTERM, 20 * time.Second}},
}

func endingOf(name string) []ending {
	if ending, ok := endings[name]; ok {
		return ending
	}
	return endings[""]
}

// detachedRecords are the names of records, in the order in which their servers are ended.
var detachedRecords = []string{"traefik", "controlplane", "postgres"}

// lastToEnd are the servers that others of the same record need while they end.
var lastToEnd = []string{"kube-apiserver", "etcd"}

// Server is one process of a detached platform.
type Server struct {
	Name string
	PID  int
	// Running is false for a server that died: one that was stopped leaves nothing behind.
	Running bool
	LogPath string
	proc    *process
}

// Detached returns the processes of the detached platform in dir: programs, data plane, control
// plane, database, in the order in which to end them. A folder with none is no error.
func Detached(dir string) ([]Server, error) {
	servers, err := serversIn(filepath.Join(dir, programsFolder))
	if err != nil {
		return nil, err
	}
	for _, name := range detachedRecords {
		folder, err := recordedFolder(dir, name)
		if err != nil {
			return nil, err
		}
		if folder == "" {
			continue
		}
		found, err := serversIn(folder)
		if err != nil {
			return nil, err
		}
		servers = append(servers, found...)
	}
	return servers, nil
}

// StopDetached ends all processes of the detached platform in dir and removes their data and
// records. It needs none of the programs, and does not touch other files of the folder.
func StopDetached(dir string) error {
	servers, err := Detached(dir)
	if err != nil {
		return err
	}
	for _, server := range servers {
		if err := server.proc.stop(); err != nil {
			return err
		}
	}
	for _, name := range detachedRecords {
		folder, err := recordedFolder(dir, name)
		if err != nil {
			return err
		}
		if folder == "" {
			continue
		}
		if err := errors.Join(os.RemoveAll(folder), removeRecord(dir, name)); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(dir, programsFolder))
}

// recordedFolder returns the data folder that a record names, empty without a record.
func recordedFolder(dir, name string) (string, error) {
	var record struct {
		Folder string `json:"folder"`
	}
	err := readRecord(dir, name, &record)
	return record.Folder, err
}

// serversIn returns the servers with a pid file in a folder.
func serversIn(folder string) ([]Server, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.pid"))
	if err != nil {
		return nil, err
	}
	var first, last []Server
	for _, file := range files {
		id, err := readIdentity(file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(file), ".pid")
		cmd := command{name: name, dir: folder, detached: true, ending: endingOf(name)}
		server := Server{Name: name, PID: id.PID, Running: id.alive(), LogPath: cmd.log(), proc: &process{command: cmd, identity: id}}
		if name == lastToEnd[0] || name == lastToEnd[1] {
			last = append([]Server{server}, last...)
			continue
		}
		first = append(first, server)
	}
	return append(first, last...), nil
}
