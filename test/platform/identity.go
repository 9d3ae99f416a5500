package platform

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// identity tells one process from every other one that has or will have its number: a pid alone is
// given again to a stranger, who must never be killed in its stead.
type identity struct {
	PID int `json:"pid"`
	// Started is the process's start in clock ticks after boot, field 22 of /proc/<pid>/stat.
	Started uint64 `json:"started"`
	// Boot is the kernel's random id of this boot: ticks repeat after the next one.
	Boot string `json:"boot"`
}

// identify reads the identity of a running process. A zombie no longer runs, unless other threads of
// it still end: until they have, its ports and files are taken.
func identify(pid int) (identity, error) {
	fields := stat(pid)
	if len(fields) == 0 {
		return identity{}, os.ErrProcessDone
	}
	if len(fields) < 20 {
		return identity{}, fmt.Errorf("/proc/%d/stat has too few fields", pid)
	}
	if state, threads := fields[0], fields[17]; state == "X" || state == "Z" && threads == "1" {
		return identity{}, os.ErrProcessDone
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, err
	}
	return identity{PID: pid, Started: started, Boot: strings.TrimSpace(string(boot))}, nil
}

// alive says whether exactly this process still runs.
func (i identity) alive() bool {
	now, err := identify(i.PID)
	return i.PID > 0 && err == nil && now == i
}

// write records the identity in a file, readable by its owner alone.
func (i identity) write(path string) error {
	return os.WriteFile(path, fmt.Appendf(nil, "%d %d %s\n", i.PID, i.Started, i.Boot), 0o600)
}

// readIdentity reads what write wrote. A missing file is no identity and no error.
func readIdentity(path string) (identity, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return identity{}, nil
	}
	if err != nil {
		return identity{}, err
	}
	var i identity
	if _, err := fmt.Sscan(string(data), &i.PID, &i.Started, &i.Boot); err != nil {
		return identity{}, fmt.Errorf("%s is no process record: %w", path, err)
	}
	return i, nil
}
