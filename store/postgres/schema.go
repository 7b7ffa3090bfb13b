package postgres

import (
	"regexp"
	"strings"
)

// schema is the name of the schema of the tables.
type schema string

func (s schema) validate() error {
	const rule = "must be letters, digits and underscores of ASCII, at most 40, and not begin with a digit or pg_"
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,39}$`).MatchString(string(s)) || strings.HasPrefix(string(s), "pg_") {
		return invalid("schema", rule)
	}
	return nil
}

// quoted returns the name as SQL has it.
func (s schema) quoted() string { return `"` + string(s) + `"` }

// channel returns the name of the channel of the news.
func (s schema) channel() string { return string(s) + ".event" }

// qualify returns script, which is for the schema "evolve", for this one. In a literal the
// name is that of the channel.
func (s schema) qualify(script string) string {
	return regexp.MustCompile(`'?\bevolve\.`).ReplaceAllStringFunc(script, func(found string) string {
		if strings.HasPrefix(found, "'") {
			return "'" + string(s) + "."
		}
		return s.quoted() + "."
	})
}
