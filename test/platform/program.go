package platform

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// programsFolder holds the pid files and logs of detached programs.
const programsFolder = "programs"

// ProgramConfig says how to run a program beside the servers: the operator, a sample backend.
type ProgramConfig struct {
	// Name names its log and, if it is detached, finds it again.
	Name string
	// Path is the program, Args are its arguments.
	Path string
	Args []string
	// Env is added to a nearly empty environment (PATH, TZ, TMPDIR).
	Env []string
	// Dir is the folder for <Name>.log. Detached lets the program outlive this process; Dir is then
	// the folder of the detached platform, and StopDetached ends the program too.
	Dir      string
	Detached bool
	// Ready is asked until it gives no error, for at most Within (30 seconds if zero). Without it
	// the program only has to start.
	Ready  func(context.Context) error
	Within time.Duration
}

// Program is a program that runs.
type Program struct {
	// LogPath is its output.
	LogPath string
	proc    *process
}

// StartProgram starts a program, or finds a detached one of that name again, and waits until it is
// ready. A program that is not detached ends with this process.
func StartProgram(ctx context.Context, config ProgramConfig) (*Program, error) {
	if config.Ready == nil {
		config.Ready = func(context.Context) error { return nil }
	}
	if config.Within == 0 {
		config.Within = 30 * time.Second
	}
	dir := config.Dir
	if config.Detached {
		dir = filepath.Join(dir, programsFolder)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cmd := command{
		name: config.Name, path: config.Path, args: config.Args, env: append(cleanEnvironment(), config.Env...), dir: dir,
		detached: config.Detached, death: syscall.SIGKILL, ending: endings[""],
	}
	if !config.Detached {
		// A pid file of an earlier run is not this program.
		if err := os.Remove(cmd.pidFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	proc, err := cmd.ensure(ctx, config.Within, config.Ready)
	if err != nil {
		return nil, err
	}
	return &Program{LogPath: cmd.log(), proc: proc}, nil
}

// PID is the program's process id, which is that of its process group too.
func (p *Program) PID() int { return p.proc.PID }

// Running says whether it still runs.
func (p *Program) Running() bool { return p.proc.running() }

// Stop asks the program to end, kills it after 20 seconds, and waits for its end.
func (p *Program) Stop() error { return p.proc.stop() }

// Kill ends the program at once, as a crash does, and waits for its end.
func (p *Program) Kill() error {
	crash := *p.proc
	crash.ending = nil
	return crash.stop()
}
