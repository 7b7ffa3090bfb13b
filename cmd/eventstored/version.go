package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// buildVersion returns the version of the module that the program was built from, and
// the commit if it is not a release.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// version prints the version.
func version(_ context.Context, args []string, e env) error {
	f := flags("version")
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(e.stdout, "eventstored %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
