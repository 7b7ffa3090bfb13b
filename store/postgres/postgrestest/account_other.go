//go:build !unix

package postgrestest

import (
	"errors"
	"os/exec"
)

// account stands for the user that a server runs as, where no server can be started.
type account struct{}

func unprivileged() (account, error) {
	return account{}, errors.New("postgrestest starts servers of its own on Unix systems only, with a Unix shell, sockets and signals")
}

func (account) own(string) error { return nil }

func (account) run(*exec.Cmd) {}
