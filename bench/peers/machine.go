package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// head says what was measured, when, and on which machine.
func (s settings) head(ctx context.Context, began time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, at commit %s, in %s: %d rounds of %s for each job.\n\n", began.UTC().Format("2006-01-02 15:04 UTC"),
		commit(ctx), time.Since(began).Round(time.Second), s.rounds, s.each)
	fmt.Fprintf(&b, "The machine: %s, %d processors, %s/%s, %s, load %s at the beginning.\n\n",
		processorName(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), s.load)
	if busy, err := strconv.ParseFloat(s.load, 64); err == nil && busy > 1 {
		b.WriteString("The machine did other work too: the times on a processor say more than those by the clock.\n\n")
	}
	b.WriteString("The libraries:\n\n")
	for _, m := range modules() {
		b.WriteString("- " + m + "\n")
	}
	return b.String()
}

// commit names the commit of the tree, with a plus if files have changed since.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// processorName returns the name of the processor, as Linux reports it.
func processorName() string {
	return field("/proc/cpuinfo", "model name", "an unnamed processor")
}

// field returns the text after the colon in a line of a file, or instead.
func field(file, name, instead string) string {
	text, err := os.ReadFile(file) //nolint:gosec // a file of the system
	if err != nil {
		return instead
	}
	for line := range strings.Lines(string(text)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return instead
}

// load returns the load average of the last minute.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// modules returns the versions of the libraries.
func modules() []string {
	compared := []string{
		"github.com/DeluxeOwl/chronicle", "github.com/aneshas/eventstore", "github.com/hallgren/eventsourcing",
		"github.com/looplab/eventhorizon", "github.com/modernice/goes", "github.com/terraskye/eventsourcing",
		"github.com/mattn/go-sqlite3", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "github.com/lib/pq",
	}
	var all []string
	info, _ := debug.ReadBuildInfo()
	for _, path := range compared {
		for _, m := range info.Deps {
			if m.Path == path {
				all = append(all, path+" "+m.Version)
			}
		}
	}
	return all
}
