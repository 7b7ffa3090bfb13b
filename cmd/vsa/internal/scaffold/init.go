package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/mod/modfile"

	"github.com/evolvego/evolve/cmd/vsa/internal/config"
	"github.com/evolvego/evolve/cmd/vsa/internal/model"
)

// ErrNoModule means that there is no go.mod.
var ErrNoModule = errors.New("there is no go.mod here: run go mod init first")

// Init plans vsa.yaml, the package that lists the contexts and, with framework, a main
// package that serves them.
func Init(dir, root string, framework, force bool) (*Plan, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if !filepath.IsLocal(filepath.FromSlash(root)) {
		return nil, nameError("the root is %q: name a directory below this one", root)
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoModule
	}
	if err != nil {
		return nil, err
	}
	mod, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return nil, err
	}
	if mod.Module == nil {
		return nil, fmt.Errorf("go.mod names no module: %w", ErrNoModule)
	}
	module := mod.Module.Mod.Path
	c := config.Default()
	c.Dir = dir
	d := data{Root: path.Clean(root), RootPackage: path.Base(path.Clean(root)), RootPath: path.Join(module, root), Program: path.Base(module)}
	if d.RootPackage == "." {
		d.RootPackage = d.Program
	}
	if _, err := packageName([]string{d.RootPackage}); err != nil {
		return nil, err
	}
	plan := &Plan{Dir: dir}
	files := map[string]string{config.FileName: "vsa.yaml.tmpl", path.Join(d.Root, d.RootPackage+".go"): "contexts.go.tmpl"}
	if framework {
		files["main.go"] = "main.go.tmpl"
	}
	for _, name := range []string{config.FileName, path.Join(d.Root, d.RootPackage+".go"), "main.go"} {
		tmpl, ok := files[name]
		if !ok {
			continue
		}
		text, err := render(c, tmpl, d)
		if err != nil {
			return nil, err
		}
		there, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case err == nil && bytes.Equal(there, text):
			continue
		case err == nil && !force:
			return nil, fmt.Errorf("%s already exists with other content: nothing was written; --force replaces it", name)
		}
		plan.Files = append(plan.Files, File{name, text})
	}
	required := mod.Module.Mod.Path == model.EvolvePath
	for _, r := range mod.Require {
		required = required || r.Mod.Path == model.EvolvePath
	}
	if !required {
		plan.Notes = append(plan.Notes, "go.mod does not require evolve yet: go get "+model.EvolvePath+"@latest")
	}
	return plan, nil
}
