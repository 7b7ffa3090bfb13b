package scaffold

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"unicode"

	"github.com/evolvego/evolve/cmd/vsa/internal/model"
	"github.com/evolvego/evolve/cmd/vsa/internal/rules"
)

// ErrName is matched by every error about a name that cannot be used.
var ErrName = errors.New("name refused")

func nameError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrName, fmt.Sprintf(format, args...))
}

// words splits a feature or context into its lower-case words: credit-account and
// CreditAccount give the same words.
func words(name string) ([]string, error) {
	var all []string
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '_' || r == ' ' }) {
		for _, w := range rules.Words(part) {
			all = append(all, strings.ToLower(w))
		}
	}
	for i, w := range all {
		for _, c := range w {
			if c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) {
				return nil, nameError("%q has %q in it: use letters, digits and dashes", name, c)
			}
		}
		if i == 0 && unicode.IsDigit(rune(w[0])) {
			return nil, nameError("%q begins with a digit", name)
		}
	}
	if len(all) == 0 {
		return nil, nameError("a name is empty")
	}
	return all, nil
}

// packageName returns the name of the package of a feature or context.
func packageName(words []string) (string, error) {
	name := strings.Join(words, "")
	if token.IsKeyword(name) || name == "main" || name == "internal" || name == "vendor" || name == "init" || len(name) < 2 {
		return "", nameError("a package cannot be called %q: add a word to it", name)
	}
	return name, nil
}

// fileName returns the name of the file of a slice. It drops underscores if go would
// give the last word a meaning and exclude the file from the build: x_windows.go,
// x_arm64.go, x_test.go.
func fileName(words []string) string {
	systems := []string{
		"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows", "zos",
		"386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le",
		"riscv", "riscv64", "s390", "s390x", "sparc", "sparc64", "wasm", "test", "unix",
	}
	if len(words) > 1 && slices.Contains(systems, words[len(words)-1]) {
		return strings.Join(words, "") + ".go"
	}
	return strings.Join(words, "_") + ".go"
}

// pascal joins words: credit account becomes CreditAccount, user id becomes UserID.
func pascal(words []string) string {
	var b strings.Builder
	for _, w := range words {
		if slices.Contains([]string{"api", "html", "http", "id", "ip", "json", "sql", "ui", "url", "uuid", "xml"}, w) {
			b.WriteString(strings.ToUpper(w))
			continue
		}
		b.WriteString(model.Pascal(w))
	}
	return b.String()
}

// without returns words without the words of the aggregate, in singular or plural.
func without(all []string, aggregate string) []string {
	var left []string
	for _, w := range all {
		if w != aggregate && w != plural(aggregate) {
			left = append(left, w)
		}
	}
	return left
}

func plural(word string) string {
	switch {
	case strings.HasSuffix(word, "y") && !strings.ContainsRune("aeiou", rune(word[max(len(word)-2, 0)])):
		return word[:len(word)-1] + "ies"
	case strings.HasSuffix(word, "s"), strings.HasSuffix(word, "x"), strings.HasSuffix(word, "ch"), strings.HasSuffix(word, "sh"):
		return word + "es"
	}
	return word + "s"
}

// a puts the indefinite article before a word.
func a(word string) string {
	if word != "" && strings.ContainsRune("aeiou", rune(strings.ToLower(word)[0])) {
		return "an " + word
	}
	return "a " + word
}

// messageNames returns the types of a command and of its event: credit becomes Credit
// and Credited, change owner becomes ChangeOwner and OwnerChanged.
func messageNames(left []string) (command, event string) {
	command = pascal(left)
	return command, pascal(left[1:]) + rules.Participle(pascal(left[:1]))
}

// reserved are names that the package of every aggregate has.
func reserved() []string {
	return []string{"State", "Command", "Event", "Decider", "Codec", "StreamType"}
}

// Field is a field of a command and its event, or of an answer.
type Field struct {
	Name     string // exported
	JSON     string
	Type     string
	Required bool
	Import   string // the package that the type needs, or ""
}

// ParseField reads NAME:TYPE or NAME:TYPE,required.
func ParseField(text string) (Field, error) {
	name, typ, ok := strings.Cut(text, ":")
	if !ok {
		return Field{}, nameError("the field %q has no type: write NAME:TYPE, such as amount:int64", text)
	}
	var f Field
	typ, f.Required = strings.CutSuffix(strings.TrimSpace(typ), ",required")
	all, err := words(strings.TrimSpace(name))
	if err != nil {
		return Field{}, err
	}
	f.Name, f.JSON = pascal(all), all[0]+pascal(all[1:])
	switch base, list := strings.CutSuffix(typ, "[]"); {
	case base == "number":
		return Field{}, nameError("the field %s is a number: use int64 or float64", f.JSON)
	case base == "boolean":
		typ = "bool"
	case base == "Date":
		typ = "time.Time"
	case list:
		typ = base
	}
	if strings.HasSuffix(strings.TrimSuffix(text, ",required"), "[]") {
		typ = "[]" + typ
	}
	f.Type = typ
	expr, err := parser.ParseExpr(typ)
	if err != nil {
		return Field{}, nameError("the field %s has the type %q, which is not Go: %v", f.JSON, typ, err)
	}
	if f.Import, err = importOf(expr); err != nil {
		return Field{}, err
	}
	if f.Required && f.zero("c") == "" {
		return Field{}, nameError("the field %s cannot be required: nothing tells an empty %s from any other", f.JSON, typ)
	}
	return f, nil
}

// importOf returns the package of the standard library that a type needs.
func importOf(expr ast.Expr) (string, error) {
	known := map[string]string{"time": "time", "big": "math/big", "netip": "net/netip", "json": "encoding/json", "url": "net/url"}
	found := ""
	var err error
	ast.Inspect(expr, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		switch {
		case !ok:
			err = nameError("the type %v is not one that vsa can import", expr)
		case known[id.Name] == "":
			err = nameError("vsa does not know the package %s: give the field a type of Go, and change it in the file", id.Name)
		case found != "" && found != known[id.Name]:
			err = nameError("vsa cannot import types of two packages: change the type in the file")
		default:
			found = known[id.Name]
		}
		return false
	})
	return found, err
}

// zero returns the condition that the field of v is empty, or "" if there is none.
func (f Field) zero(v string) string {
	at := v + "." + f.Name
	switch {
	case f.Type == "string":
		return at + ` == ""`
	case strings.HasPrefix(f.Type, "[]"), strings.HasPrefix(f.Type, "map["):
		return "len(" + at + ") == 0"
	case f.Type == "time.Time":
		return at + ".IsZero()"
	case strings.HasPrefix(f.Type, "*"):
		return at + " == nil"
	case f.number():
		return at + " == 0"
	}
	return ""
}

func (f Field) number() bool {
	return slices.Contains([]string{"int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "byte", "rune", "time.Duration"}, f.Type)
}

// Sample returns an example of the field in Go, or "" if there is no simple one.
func (f Field) Sample() string {
	switch {
	case f.Type == "string":
		return fmt.Sprintf("%q", strings.ToLower(f.JSON))
	case f.Type == "bool":
		return "true"
	case f.number():
		return "1"
	case f.Type == "[]string":
		return fmt.Sprintf("[]string{%q}", strings.ToLower(f.JSON))
	case f.Type == "time.Time":
		return "time.Unix(1, 0).UTC()"
	}
	return ""
}

// JSONSample returns the same value in JSON, or "".
func (f Field) JSONSample() string {
	switch s := f.Sample(); {
	case s == "" || f.Type == "bool" || f.number():
		return s
	case f.Type == "[]string":
		return "[" + s[len("[]string{"):len(s)-1] + "]"
	case f.Type == "time.Time":
		return `"1970-01-01T00:00:01Z"`
	default:
		return s
	}
}
