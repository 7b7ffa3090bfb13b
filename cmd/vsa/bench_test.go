//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/evolvego/evolve/cmd/vsa/internal/vsatest"
)

// BenchmarkLarge runs vsa on a module of 200 packages, with a warm cache of the go
// command. It reports the memory of the largest process and the CPU time of all
// processes.
func BenchmarkLarge(b *testing.B) {
	dir := large(b, 50)
	for _, command := range []string{
		"validate --vet=false",
		"manifest",
		"generate accounts07 debit-account --field amount:int64 --dry-run",
	} {
		name, _, _ := strings.Cut(command, " ")
		b.Run(name, func(b *testing.B) {
			var most, runs float64
			var cpu time.Duration // of vsa and of the go command
			run := func() {
				cmd := program(b, dir, strings.Fields(command)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("vsa %s: %v\n%s", command, err, out)
				}
				if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
					most = max(most, float64(u.Maxrss))
				}
				cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				runs++
			}
			run() // warms the cache of the go command
			cpu, runs = 0, 0
			for b.Loop() {
				run()
			}
			b.ReportMetric(most/1024, "MB")
			b.ReportMetric(float64(cpu.Milliseconds())/runs, "cpu-ms/op")
		})
	}
}

// large returns a module with that many contexts. Each is a copy of accounts in
// examples/slices, with four packages.
func large(tb testing.TB, contexts int) (dir string) {
	tb.Helper()
	dir = vsatest.Module(tb, "example.com/bank")
	must(tb, dir, "init")
	from := filepath.Join(vsatest.Root(tb), "examples", "slices", "contexts", "accounts")
	for n := range contexts {
		r := strings.NewReplacer(
			"github.com/evolvego/evolve/examples/slices", "example.com/bank",
			"contexts/accounts", fmt.Sprintf("contexts/accounts%02d", n),
			"package accounts", fmt.Sprintf("package accounts%02d", n),
			"accounts.", fmt.Sprintf("accounts%02d.", n),
			`"Account`, fmt.Sprintf(`"Account%02d`, n),
		)
		err := filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(name, "accounts_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(from, name)
			if err != nil {
				return err
			}
			file := filepath.Join(dir, "contexts", fmt.Sprintf("accounts%02d", n), rel)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return err
			}
			return os.WriteFile(file, []byte(r.Replace(string(text))), 0o600)
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}
