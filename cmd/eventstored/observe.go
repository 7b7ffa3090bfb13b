package main

import (
	"context"
	"embed"
	"fmt"
)

// observed holds the dashboards and the alerts.
//
//go:embed observe
var observed embed.FS

// dashboard prints a dashboard for Grafana: of the server, or of a program with the metrics
// of decider/otelevolve.
func dashboard(_ context.Context, args []string, e env) error {
	operands, err := parseFlags(e, flags("dashboard"), args, 0, 1)
	if err != nil {
		return err
	}
	name := "server"
	if len(operands) > 0 {
		name = operands[0]
	}
	if name != "server" && name != "program" {
		return fmt.Errorf("%w: there is no dashboard %s: use server or program", errUsage, shown(name))
	}
	return printObserved(e, name+".json")
}

// rules prints the alerts for Prometheus.
func rules(_ context.Context, args []string, e env) error {
	if _, err := parseFlags(e, flags("rules"), args, 0, 0); err != nil {
		return err
	}
	return printObserved(e, "rules.yml")
}

func printObserved(e env, name string) error {
	text, err := observed.ReadFile("observe/" + name)
	if err == nil {
		_, err = e.stdout.Write(text)
	}
	return err
}
