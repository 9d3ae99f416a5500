package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// pollEvery is how often a starting or ending server is asked again; logLines is how much of its
// log an error quotes.
const (
	pollEvery = 50 * time.Millisecond
	logLines  = 25
)

// command says how to run one server.
type command struct {
	name string // names the log and the pid file
	path string
	args []string
	env  []string
	dir  string // working directory; holds <name>.log and <name>.pid
	// account is the user to run as; nil keeps this process's.
	account *account
	// detached servers outlive this process; the others are sent death by the kernel with it.
	detached bool
	death    syscall.Signal
	// ending is the order of signals that ask the server to end, each with its grace period.
	// After the last one the process group is killed.
	ending []ending
}

type ending struct {
	signal syscall.Signal
	grace  time.Duration
}

func (c command) log() string { return filepath.Join(c.dir, c.name+".log") }

func (c command) pidFile() string { return filepath.Join(c.dir, c.name+".pid") }

// process is a running server, started by this process or found again by its pid file.
type process struct {
	command
	identity
	// exited is closed when a process of ours was waited for; nil for one found again.
	exited chan struct{}
}

// adopt returns the detached server that a former process started, or nil if it no longer runs.
func (c command) adopt() (*process, error) {
	id, err := readIdentity(c.pidFile())
	if err != nil || !id.alive() {
		return nil, err
	}
	return &process{command: c, identity: id}, nil
}

// ensure finds the detached server again, or starts it, and waits until it is ready. What was
// started here and is not ready in time is ended.
func (c command) ensure(ctx context.Context, limit time.Duration, probe func(context.Context) error) (*process, error) {
	p, err := c.adopt()
	if err != nil {
		return nil, err
	}
	if p != nil {
		if err := p.waitReady(ctx, limit, probe); err == nil || p.running() {
			return p, err
		}
		// It was about to end when it was found.
	}
	if p, err = c.start(); err != nil {
		return nil, err
	}
	if err := p.waitReady(ctx, limit, probe); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// start runs the server, its output going to its log.
func (c command) start() (*process, error) {
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(c.path, c.args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.env, log, log
	cmd.SysProcAttr = c.attributes()
	p := &process{command: c, exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the death signal when the thread that started the child ends, not the
		// process: so this goroutine keeps its thread as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	p.identity, err = identify(cmd.Process.Pid)
	if err != nil {
		// It ended already; waitReady will say so, with its log.
		p.identity = identity{PID: cmd.Process.Pid}
		return p, nil
	}
	if err := p.identity.write(c.pidFile()); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// cleanEnvironment is what servers see of this process's environment. Everything else a user may
// have set (proxies, cloud credentials, KUBECONFIG, PGHOST) must not reach them.
func cleanEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "TMPDIR=" + os.TempDir()}
}

// attributes gives the child a process group of its own, so that a Ctrl-C at the terminal reaches
// this process alone, which then ends its servers in order.
func (c command) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: c.detached, Setpgid: !c.detached}
	if !c.detached {
		attr.Pdeathsig = c.death
	}
	if c.account != nil {
		attr.Credential = &syscall.Credential{Uid: c.account.uid, Gid: c.account.gid}
	}
	return attr
}

// running says whether the server still runs.
func (p *process) running() bool {
	if p.exited != nil {
		select {
		case <-p.exited:
			return false
		default:
			return true
		}
	}
	return p.alive()
}

// waitReady asks probe until it succeeds. It gives up when the server ends or the time is over,
// and then quotes the probe's last error and the server's last words.
func (p *process) waitReady(ctx context.Context, limit time.Duration, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		last := probe(ctx)
		if last == nil {
			return nil
		}
		if !p.running() {
			return fmt.Errorf("%s ended while starting (%w); its log ends:\n%s", p.name, last, readTail(p.log(), logLines))
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return fmt.Errorf("%s was not ready in time (%w: %w); its log ends:\n%s", p.name, err, last, readTail(p.log(), logLines))
		}
	}
}

// stop ends the server by its pid: asks as its command says, and kills what does not listen. To
// stop what has ended already is no error.
func (p *process) stop() error {
	for _, step := range append(p.ending, ending{signal: syscall.SIGKILL, grace: 10 * time.Second}) {
		if !p.running() {
			break
		}
		target := p.PID
		if step.signal == syscall.SIGKILL {
			target = -p.PID
		}
		if err := syscall.Kill(target, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end %s: %w", p.name, err)
		}
		p.waitExit(step.grace)
	}
	if p.running() {
		return fmt.Errorf("%s (pid %d) does not end", p.name, p.PID)
	}
	if err := os.Remove(p.pidFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// waitExit waits until the server has ended, at most for the grace period.
func (p *process) waitExit(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	for p.running() && sleep(ctx, pollEvery/5) == nil {
		continue
	}
}
