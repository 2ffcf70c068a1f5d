package dbtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Process is what a process has used so far.
type Process struct {
	CPU      time.Duration // of all its threads, in user and system mode
	Resident int64         // octets in memory
	Peak     int64         // the most there were
}

// PID is the number of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// tick is the kernel's unit of CPU time in /proc: 1/100 s on every Linux.
const tick = 10 * time.Millisecond

// ReadProcess tells what a process has used, for benchmarks; Linux only.
func ReadProcess(t testing.TB, pid int) (p Process) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	// The name in brackets may have any characters; utime and stime are the 12th and 13th field behind it.
	_, behind, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(behind)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.CPU += time.Duration(n) * tick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			p.Peak = kib << 10
		}
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			p.Resident = kib << 10
		}
	}
	return p
}

// AtLeast prints a bar that a figure has to reach, and whether it does.
func AtLeast(figure, bar float64, unit string) string {
	return verdict(figure >= bar, "at least", bar, unit)
}

// AtMost prints a bar that a figure must not pass, and whether it keeps to it.
func AtMost(figure, bar float64, unit string) string {
	return verdict(figure <= bar, "at most", bar, unit)
}

func verdict(reached bool, what string, bar float64, unit string) string {
	text := fmt.Sprintf("bar: %s %g%s: ", what, bar, unit)
	if reached {
		return text + "reached"
	}
	return text + "NOT REACHED"
}

// BenchNumber is a number from the environment, for the size of a benchmark.
func BenchNumber(b *testing.B, name string, otherwise int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return n
}
