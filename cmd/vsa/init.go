package main

import (
	"errors"
	"fmt"
	"path"

	"github.com/spf13/cobra"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/scaffold"
)

func newInit(_ *options) *cobra.Command {
	var language, root string
	var framework, dryRun, force bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "write vsa.yaml and the package that lists the contexts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if language != "go" {
				return usagef("--language is %q, but this vsa supports only go", language)
			}
			plan, err := scaffold.Init(".", root, framework, force)
			if err != nil {
				return err
			}
			if err := apply(cmd, plan, nil, dryRun, "text"); err != nil || dryRun {
				return err
			}
			return existing(cmd, plan.Dir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&language, "language", "go", "the `LANGUAGE` of the slices; only go is supported")
	f.StringVarP(&root, "root", "r", "contexts", "the `DIR` of the bounded contexts")
	f.BoolVar(&framework, "with-framework", false, "also write a main.go that serves the contexts over HTTP")
	f.BoolVar(&dryRun, "dry-run", false, "print the changes as a diff, and write nothing")
	f.BoolVar(&force, "force", false, "replace existing files")
	return cmd
}

// existing names the deciders that the module already has outside of the contexts.
func existing(cmd *cobra.Command, dir string) error {
	p, err := model.Load(dir, ".")
	_, broken := errors.AsType[*model.TypesError](err)
	_, missing := errors.AsType[*model.MissingError](err)
	if broken || missing {
		return nil // go mod tidy comes first
	}
	if err != nil {
		return err
	}
	for _, a := range p.Aggregates {
		fmt.Fprintf(cmd.OutOrStdout(), "found  %s: the decider of %s; move its package below a context to have it validated\n", p.At(a.Pos), path.Base(a.Pkg.PkgPath))
	}
	return nil
}
