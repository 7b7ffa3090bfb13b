package show

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// Changes returns what differs between two values, such as
// "Balance 0 → 5, Open false → true", and "" if they are the same.
func Changes[T any](before, after T) string {
	return strings.Join(Differences(before, after), ", ")
}

// Differences returns the differences between two values, one string for each.
func Differences[T any](before, after T) []string {
	return diff(nil, "", reflect.ValueOf(&before).Elem(), reflect.ValueOf(&after).Elem(), 0)
}

// diff appends the differences between a and b, which are at path, to out. It descends
// into structs and into the entries of maps.
func diff(out []string, path string, a, b reflect.Value, depth int) []string {
	from, to := Value(a), Value(b)
	if from == to {
		return out
	}
	if depth <= maxDepth {
		switch a.Kind() { //nolint:exhaustive // other kinds have no parts to name
		case reflect.Interface, reflect.Pointer:
			if !a.IsNil() && !b.IsNil() && a.Elem().Type() == b.Elem().Type() {
				return diff(out, path, a.Elem(), b.Elem(), depth+1)
			}
		case reflect.Struct:
			if s := shapeOf(a.Type()); !s.time {
				return diffFields(out, path, a, b, depth)
			}
		case reflect.Map:
			return diffEntries(out, path, a, b, depth)
		}
	}
	return append(out, strings.TrimPrefix(path+" ", " ")+from+" → "+to)
}

func diffFields(out []string, path string, a, b reflect.Value, depth int) []string {
	for i, name := range shapeOf(a.Type()).fields {
		if name == "" {
			continue
		}
		if path != "" {
			name = path + "." + name
		}
		out = diff(out, name, a.Field(i), b.Field(i), depth+1)
	}
	return out
}

func diffEntries(out []string, path string, a, b reflect.Value, depth int) []string {
	p := &printer{}
	before, after := p.entries(a, depth), p.entries(b, depth)
	for len(before)+len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].text < after[0].text:
			out = append(out, path+"["+before[0].text+"] "+Value(before[0].Value)+" → gone")
			before = before[1:]
		case len(before) == 0 || after[0].text < before[0].text:
			out = append(out, path+"["+after[0].text+"] new → "+Value(after[0].Value))
			after = after[1:]
		default:
			out = diff(out, path+"["+before[0].text+"]", before[0].Value, after[0].Value, depth+1)
			before, after = before[1:], after[1:]
		}
	}
	return out
}

// Cut shortens s to at most n characters.
func Cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Pad fills s with blanks up to n characters.
func Pad(s string, n int) string {
	if missing := n - utf8.RuneCountInString(s); missing > 0 {
		return s + strings.Repeat(" ", missing)
	}
	return s
}

// Indent puts prefix before each line of s.
func Indent(s, prefix string) string {
	return prefix + strings.ReplaceAll(s, "\n", "\n"+prefix)
}
