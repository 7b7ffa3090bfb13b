//go:build unix

package postgrestest

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user that a server runs as. The zero value is the user of the process.
type account struct{ credential *syscall.Credential }

// unprivileged returns the user of the process, or another user if that is root, because
// PostgreSQL refuses to run as root.
func unprivileged() (account, error) {
	if os.Getuid() != 0 {
		return account{}, nil
	}
	var errs []error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return account{}, err
		}
		return account{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return account{}, errors.Join(errs...)
}

// own makes a the owner of a file.
func (a account) own(file string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(file, int(a.credential.Uid), int(a.credential.Gid))
}

// run makes cmd run as a, out of reach of the signals that a terminal sends to the tests.
func (a account) run(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential, Setpgid: true}
}
