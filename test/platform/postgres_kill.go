package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// killWithin bounds the death of all processes of a server.
const killWithin = 10 * time.Second

// Kill ends every process of the server by SIGKILL, the postmaster first, as the death of its container
// does: nobody cleans up, and what clients sent is cut off between any two instructions. What the server
// gave to the kernel the kernel keeps; a machine that loses power keeps only what was synced. Resume
// recovers from the log.
func (p *Postgres) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), killWithin)
	defer cancel()
	// Frozen, it begins no more backends, which would outlive it unseen.
	if err := freeze(ctx, p.proc.PID); err != nil {
		return err
	}
	backends, err := childrenOf(p.proc.PID)
	if err != nil {
		return err
	}
	p.proc.ending = nil
	err = p.proc.stop()
	for _, backend := range backends {
		err = errors.Join(err, backend.kill(ctx))
	}
	if err == nil {
		p.proc = nil
	}
	return err
}

// kill ends the process at once and waits for its end.
func (i identity) kill(ctx context.Context) error {
	for i.alive() {
		if err := syscall.Kill(i.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if err := sleep(ctx, pollEvery/10); err != nil {
			return fmt.Errorf("process %d does not end: %w", i.PID, err)
		}
	}
	return nil
}

// freeze stops a process in its tracks and returns when it stands still, or is no more.
func freeze(ctx context.Context, pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		if fields := stat(pid); len(fields) == 0 || fields[0] == "T" {
			return nil
		}
		if err := sleep(ctx, pollEvery/10); err != nil {
			return err
		}
	}
}

// childrenOf returns the processes that a process began and that still run.
func childrenOf(pid int) (children []identity, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		if fields := stat(child); len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if id, err := identify(child); err == nil { // else it has just ended
			children = append(children, id)
		}
	}
	return children, nil
}

// stat returns the fields of /proc/<pid>/stat behind the program's name, which stands in parentheses and
// may itself hold spaces and parentheses: the state, the parent and so on. It is empty for no process.
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(data)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}
