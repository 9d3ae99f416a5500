package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc: the kernel shows programs a hundredth of a second, whatever it counts.
const tick = 10 * time.Millisecond

// processorTime is what this process and all that it started have used, those included that have ended. On
// a machine that others use too it tells more than the clock does.
func processorTime() usage {
	children := map[int][]stat{}
	var self stat
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range files {
		s, ok := readStat(path)
		if !ok {
			continue
		}
		children[s.parent] = append(children[s.parent], s)
		if s.pid == os.Getpid() {
			self = s
		}
	}
	used := usage{}
	family := []stat{self}
	for len(family) > 0 {
		s := family[0]
		family = append(family[1:], children[s.pid]...)
		used[s.program()] += s.used
	}
	return used
}

// usage is processor time by program.
type usage map[string]time.Duration

func (u usage) total() (sum time.Duration) {
	for _, d := range u {
		sum += d
	}
	return sum
}

func (u usage) since(before usage) usage {
	used := usage{}
	for program, d := range u {
		used[program] = d - before[program]
	}
	return used
}

// stat is what /proc tells of a process.
type stat struct {
	pid, parent int
	name        string
	// used includes that of its children that have ended and were waited for.
	used time.Duration
}

// program says to which side of the work a process belongs.
func (s stat) program() string {
	switch {
	case s.pid == os.Getpid():
		return "client"
	case strings.HasPrefix(s.name, "postgres"):
		return "postgres"
	}
	return "api"
}

func readStat(path string) (s stat, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return s, false
	}
	// The name stands in parentheses and may hold anything.
	before, after, _ := strings.Cut(string(text), " (")
	end := max(strings.LastIndexByte(after, ')'), 0)
	fields := strings.Fields(after[end:])
	if len(fields) < 16 {
		return s, false
	}
	s.pid, _ = strconv.Atoi(before)
	s.parent, _ = strconv.Atoi(fields[2])
	s.name = after[:end]
	for _, field := range fields[12:16] {
		n, _ := strconv.ParseInt(field, 10, 64)
		s.used += time.Duration(n) * tick
	}
	return s, true
}

// load is what the kernel says of the machine's last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

// residentMemory is this process's, in MB.
func residentMemory() string {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return "unknown"
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return fmt.Sprintf("%d MB", pages*int64(os.Getpagesize())>>20)
}
