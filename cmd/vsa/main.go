// Command vsa scaffolds, validates and draws services made of vertical slices on
// evolve.
//
//	vsa init --with-framework
//	vsa generate accounts open-account --field owner:string,required
//	vsa validate
//
// A slice is everything that belongs to one feature: a command, its decision, its event
// and what the event changes; or a view and its query; or a process. Vsa reads a
// project from its types, so it also understands aggregates that it has not written.
// vsa help lists the commands, and vsa explain the rules.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/tools/go/analysis/unitchecker"

	"github.com/evolvego/evolve/cmd/internal/check"
	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

// errFound means that there are findings, or that vsa refused. The exit status is 1.
var errFound = errors.New("findings")

// usageError is a mistake in the arguments. The exit status is 2.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func main() {
	if isVetTool(os.Args[1:]) { // go vet runs this program for each package
		unitchecker.Main(check.Impure, check.Mutate, check.Sealed, check.Exhaustive, check.Ignore)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// isVetTool reports whether the arguments are those of go vet calling its tool.
func isVetTool(args []string) bool {
	if len(args) == 0 {
		return false
	}
	last := args[len(args)-1]
	return strings.HasSuffix(last, ".cfg") || last == "-flags" || strings.HasPrefix(last, "-V=")
}

// run is main with the given arguments. It returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var usage *usageError
	var mistake *config.Error
	var broken *model.TypesError
	var missing *model.MissingError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return 1
	}
	fmt.Fprintln(stderr, "vsa:", err)
	switch {
	case errors.As(err, &usage), errors.As(err, &mistake), errors.Is(err, config.ErrNotFound), errors.As(err, &broken), errors.As(err, &missing), isCobraUsage(err):
		return 2
	}
	return 1
}

// isCobraUsage reports whether the error is cobra's about wrong arguments, for which
// cobra has no type.
func isCobraUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "accepts ") || strings.HasPrefix(err.Error(), "required flag")
}

// options holds the flags that every command has.
type options struct {
	config  string
	verbose bool
}

func newRoot() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:           "vsa",
		Short:         "vertical slices for Go: scaffold, validate, draw",
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("vsa {{.Version}}\n")
	root.PersistentFlags().StringVar(&o.config, "config", "", "read `FILE` (default: vsa.yaml here or in the nearest directory above)")
	root.PersistentFlags().BoolVarP(&o.verbose, "verbose", "v", false, "print progress")
	root.Flags().BoolP("version", "V", false, "print the version")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newInit(o), newGenerate(o), newValidate(o), newList(o), newManifest(o), newDiagram(o), newLock(o), newExplain())
	return root
}

// version returns the version of the binary.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// load reads the configuration and the project.
func (o *options) load() (*config.Config, *model.Project, error) {
	c, err := config.Find(".", o.config)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	p, err := model.Load(c.Dir, c.Root)
	if err == nil && o.verbose {
		fmt.Fprintf(os.Stderr, "vsa: %s: %d packages under %s in %v\n", c.File, len(p.Packages), c.Root, time.Since(began).Round(time.Millisecond))
	}
	return c, p, err
}
