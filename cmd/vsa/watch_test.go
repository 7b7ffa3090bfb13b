package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// TestBursts checks that a burst of changes causes one run, a while after the last
// change, and that irrelevant changes cause none.
func TestBursts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, done := make(chan fsnotify.Event), make(chan struct{})
		began := time.Now()
		var looks []time.Duration
		go func() {
			defer close(done)
			bursts(ctx, events, func(e fsnotify.Event) bool { return watched(e.Name) }, func() { looks = append(looks, time.Since(began)) })
		}()
		change := func(name string, after time.Duration) {
			time.Sleep(after)
			events <- fsnotify.Event{Name: name, Op: fsnotify.Write}
		}
		change("a.go", 0)
		change("b.go", 100*time.Millisecond)
		change("c.go", 100*time.Millisecond) // 200 ms: one burst so far
		change("notes.txt", time.Second)
		change(".#a.go", time.Second) // a file of an editor
		change("vsa.yaml", time.Second)
		time.Sleep(time.Second)
		cancel()
		<-done
		if want := []time.Duration{350 * time.Millisecond, 3350 * time.Millisecond}; !slices.Equal(looks, want) {
			t.Errorf("ran after %v, want %v", looks, want)
		}
	})
}

// TestWatchDirs checks that new directories are watched, that directories of tools are
// not, and that a directory which is gone again is not an error.
func TestWatchDirs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"contexts/accounts/internal", ".git/objects", "node_modules/x"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := watchDirs(w, dir); err != nil {
		t.Fatal(err)
	}
	if err := watchDirs(w, filepath.Join(dir, "gone")); err != nil {
		t.Errorf("a removed directory: %v", err)
	}
	var got []string
	for _, name := range w.WatchList() {
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, filepath.ToSlash(rel))
	}
	slices.Sort(got)
	if want := []string{".", "contexts", "contexts/accounts", "contexts/accounts/internal"}; !slices.Equal(got, want) {
		t.Errorf("watches %q, want %q", got, want)
	}
}
