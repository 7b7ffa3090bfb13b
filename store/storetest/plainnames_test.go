package storetest_test

import (
	"strings"
	"unicode"
)

// lettering returns the ways in which a bug mistakes nearly equal names for the same.
func lettering() map[string]func(name string) string {
	return map[string]func(name string) string{
		"folded":  strings.ToLower,
		"trimmed": strings.TrimSpace,
		"cut":     func(name string) string { return name[:min(len(name), 255)] },
		"normalized": strings.NewReplacer(
			"\u00e9", "e\u0301", "\u00c9", "E\u0301", "\u00c5", "A\u030a", "\u212b", "A\u030a", "\u212a", "K").Replace,
		"unmarked": func(name string) string {
			return strings.Map(func(r rune) rune {
				if unicode.Is(unicode.Mn, r) {
					return -1
				}
				return r
			}, name)
		},
		"quoted": strings.NewReplacer(`\\`, `\`, `''`, `'`, `%20`, " ").Replace,
	}
}

// letters returns the bugs that mistake nearly equal names of these kinds for the same.
func letters(kinds ...string) (bugs []string) {
	for _, kind := range kinds {
		for how := range lettering() {
			bugs = append(bugs, kind+" "+how)
		}
	}
	return bugs
}

// letter returns a name of some kind as a bug sees it.
func (b *backend) letter(kind, name string) string {
	if how, ok := strings.CutPrefix(b.bug, kind+" "); ok {
		if change := lettering()[how]; change != nil {
			return change(name)
		}
	}
	return name
}
