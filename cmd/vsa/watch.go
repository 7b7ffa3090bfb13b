package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/spf13/cobra"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/report"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// quiet is how long nothing must change before validate runs again.
const quiet = 150 * time.Millisecond

// watching validates after each burst of changes, until it is interrupted, and prints
// new findings and those that are gone.
func (v *validation) watching(cmd *cobra.Command, o *options, args []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := config.Find(".", o.config)
	if err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := watchDirs(w, c.Dir); err != nil {
		return err
	}
	var last []string
	var verdict error
	again := func() {
		result, _, _, err := v.check(ctx, o, args)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fmt.Fprintln(cmd.ErrOrStderr(), "vsa:", err)
			last, verdict = nil, err
			return
		}
		verdict = v.verdict(result)
		if v.format == "json" {
			_ = report.JSON(cmd.OutOrStdout(), result)
			return
		}
		last = printChanges(cmd, last, result)
	}
	again()
	bursts(ctx, w.Events, func(e fsnotify.Event) bool {
		if info, err := os.Stat(e.Name); err == nil && info.IsDir() {
			_ = watchDirs(w, e.Name)
			return true
		}
		return watched(e.Name)
	}, again)
	return verdict
}

// bursts calls again once something relevant has changed and then nothing for a while.
// It runs until ctx ends or events is closed.
func bursts(ctx context.Context, events <-chan fsnotify.Event, relevant func(fsnotify.Event) bool, again func()) {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if !ok {
				return
			}
			if relevant(e) {
				timer.Reset(quiet)
			}
		case <-timer.C:
			again()
		}
	}
}

// watched reports whether a change of a file can change a finding. Only the name
// counts, because editors save to a temporary file and rename it.
func watched(name string) bool {
	base := filepath.Base(name)
	return strings.HasSuffix(base, ".go") && !strings.HasPrefix(base, ".") ||
		slices.Contains([]string{config.FileName, "go.mod", "go.sum", rules.LockName}, base)
}

// watchDirs watches a directory and everything below it that the go command may read.
func watchDirs(w *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has been removed again
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case name != dir && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		}
		return w.Add(name)
	})
}

// printChanges prints the findings that are new and those that are gone since last, and
// returns the current ones.
func printChanges(cmd *cobra.Command, last []string, result *rules.Result) []string {
	var lines []string
	for _, f := range result.Findings {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s %s: %s", f.File, f.Line, f.Column, f.Severity, f.Rule, f.Message))
	}
	out := cmd.OutOrStdout()
	for _, line := range lines {
		if !slices.Contains(last, line) {
			fmt.Fprintln(out, line)
		}
	}
	for _, line := range last {
		if !slices.Contains(lines, line) {
			fmt.Fprintln(out, "gone:", line)
		}
	}
	fmt.Fprintln(out, report.Summary(result))
	return lines
}
