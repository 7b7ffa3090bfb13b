package postgres

import (
	"regexp"
	"strings"
)

// schema is the name of the schema of the tables.
type schema string

func (s schema) validate() error {
	const rule = "must consist of at most 40 ASCII letters, digits and underscores, and must not begin with a digit or pg_"
	if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,39}$`).MatchString(string(s)) || strings.HasPrefix(string(s), "pg_") {
		return invalid("schema", rule)
	}
	return nil
}

// quoted returns the name quoted for SQL.
func (s schema) quoted() string { return `"` + string(s) + `"` }

// channel returns the name of the channel for notifications.
func (s schema) channel() string { return string(s) + ".event" }

// qualify changes script, which is for the schema "evolve", to this schema. In string
// literals it uses the name of the channel.
func (s schema) qualify(script string) string {
	return regexp.MustCompile(`'?\bevolve\.`).ReplaceAllStringFunc(script, func(found string) string {
		if strings.HasPrefix(found, "'") {
			return "'" + string(s) + "."
		}
		return s.quoted() + "."
	})
}
