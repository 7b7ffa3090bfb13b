package show

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

const (
	// maxNodes is the largest number of parts in a tree.
	maxNodes = 4000
	// maxTreeDepth is the depth at which the tree of JSON is cut off.
	maxTreeDepth = 64
)

// Node is a value as a tree, for pages. The value is a Go value or JSON.
type Node struct {
	Name string `json:"name,omitempty"` // a field, key or index; empty at the root
	Text string `json:"text,omitempty"` // for a value without parts
	Kind string `json:"kind,omitempty"` // "text", "number", "bool", "nil", "more", or the name of a type
	Kids []Node `json:"kids,omitempty"`
	List bool   `json:"list,omitempty"` // the parts are elements of a list
}

// Change is a difference between two trees at a path, such as "Balance".
type Change struct {
	Path string `json:"path"`
	From string `json:"from"` // empty if the part is new
	To   string `json:"to"`   // empty if the part is gone
}

// Tree returns v as a tree. It includes all fields of structs, even empty ones.
func Tree[T any](v T) Node {
	t := &grower{left: maxNodes}
	return t.node("", reflect.ValueOf(&v).Elem(), 0)
}

// grower builds a tree with at most left more nodes.
type grower struct{ left int }

// more is the node that stands for parts for which there is no room.
func more(n int) Node { return Node{Name: "…", Text: strconv.Itoa(n) + " more", Kind: "more"} }

func (t *grower) node(name string, v reflect.Value, depth int) Node {
	t.left--
	for (v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer) && !v.IsNil() && depth < maxDepth {
		v, depth = v.Elem(), depth+1
	}
	n := Node{Name: name}
	if depth >= maxDepth || t.left <= 0 {
		n.Text, n.Kind = "…", "more"
		return n
	}
	switch v.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.Struct:
		if s := shapeOf(v.Type()); !s.time && !t.told(&n, v, s.text) {
			n.Kind = s.name
			for i, field := range s.fields {
				if field != "" {
					n.Kids = append(n.Kids, t.node(field, v.Field(i), depth+1))
				}
			}
			return n
		}
	case reflect.Map:
		n.Kind = "map"
		n.Kids = t.entries(v, depth)
		return n
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			n.Kind, n.List = "list", true
			n.Kids = t.elements(v, depth)
			return n
		}
	}
	if n.Text == "" {
		n.Text, n.Kind = Value(v), kindOf(v)
	}
	return n
}

// told sets n to the text of v if v has MarshalText, and reports whether it did.
func (t *grower) told(n *Node, v reflect.Value, tells bool) bool {
	if !tells {
		return false
	}
	text, ok := marshaled(v)
	if ok {
		n.Text, n.Kind = text, "text"
	}
	return ok
}

func kindOf(v reflect.Value) string {
	switch v.Kind() { //nolint:exhaustive // default handles the rest
	case reflect.String, reflect.Struct, reflect.Slice, reflect.Array:
		return "text"
	case reflect.Bool:
		return "bool"
	case reflect.Interface, reflect.Pointer, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return "nil"
	}
	return "number"
}

func (t *grower) entries(v reflect.Value, depth int) (kids []Node) {
	all := Entries(v)
	for i, e := range all {
		if t.left <= 1 {
			return append(kids, more(len(all)-i))
		}
		name := e.text
		if plain, err := strconv.Unquote(name); err == nil {
			name = plain
		}
		kids = append(kids, t.node(name, e.Value, depth+1))
	}
	return kids
}

func (t *grower) elements(v reflect.Value, depth int) (kids []Node) {
	for i := range v.Len() {
		if t.left <= 1 {
			return append(kids, more(v.Len()-i))
		}
		kids = append(kids, t.node(strconv.Itoa(i), v.Index(i), depth+1))
	}
	return kids
}

// JSON returns data, which is JSON, as a tree, in the order of data. It returns an
// error if data is not JSON or is nested deeper than 64 levels.
func JSON(data []byte) (Node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	t := &grower{left: maxNodes}
	n, err := t.json(d, "", 0)
	if err != nil {
		return Node{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Node{}, errors.New("show: more than one JSON value")
	}
	return n, nil
}

func (t *grower) json(d *json.Decoder, name string, depth int) (Node, error) {
	t.left--
	n := Node{Name: name}
	if depth > maxTreeDepth {
		return n, errors.New("show: JSON is too deep")
	}
	token, err := d.Token()
	if err != nil {
		return n, err
	}
	switch token := token.(type) {
	case json.Delim:
		n.List, n.Kind = token == '[', "map"
		if n.List {
			n.Kind = "list"
		}
		n.Kids, err = t.parts(d, n.List, depth)
	case string:
		n.Text, n.Kind = strconv.Quote(token), "text"
	case json.Number:
		n.Text, n.Kind = token.String(), "number"
	case bool:
		n.Text, n.Kind = strconv.FormatBool(token), "bool"
	default:
		n.Text, n.Kind = "null", "nil"
	}
	return n, err
}

// parts reads the parts of an object or a list, up to its end.
func (t *grower) parts(d *json.Decoder, list bool, depth int) (kids []Node, err error) {
	left := 0
	for i := 0; d.More(); i++ {
		name := strconv.Itoa(i)
		if !list {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = fmt.Sprint(token)
		}
		kid, err := t.json(d, name, depth+1)
		if err != nil {
			return nil, err
		}
		if t.left > 0 {
			kids = append(kids, kid)
		} else {
			left++
		}
	}
	if left > 0 {
		kids = append(kids, more(left))
	}
	_, err = d.Token()
	return kids, err
}

// Line returns n as one line.
func (n Node) Line() string {
	if n.Kids == nil {
		switch n.Kind {
		case "list":
			return "[]"
		case "map":
			return "{}"
		case "text", "number", "bool", "nil", "more":
			return n.Text
		}
		return n.Kind + "{}"
	}
	parts := make([]string, len(n.Kids))
	for i, kid := range n.Kids {
		if parts[i] = kid.Line(); !n.List {
			parts[i] = kid.Name + ": " + parts[i]
		}
	}
	if n.List {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// TreeChanges returns the differences between two trees, in the order of the second
// one.
func TreeChanges(before, after Node) []Change { return treeChanges(nil, "", before, after) }

func treeChanges(out []Change, path string, a, b Node) []Change {
	if len(a.Kids) == 0 || len(b.Kids) == 0 || a.List != b.List {
		if from, to := a.Line(), b.Line(); from != to {
			out = append(out, Change{path, from, to})
		}
		return out
	}
	was := make(map[string]Node, len(a.Kids))
	for _, kid := range a.Kids {
		was[kid.Name] = kid
	}
	for _, kid := range b.Kids {
		old, ok := was[kid.Name]
		delete(was, kid.Name)
		at := join(path, kid.Name, b.List)
		if !ok {
			out = append(out, Change{Path: at, To: kid.Line()})
			continue
		}
		out = treeChanges(out, at, old, kid)
	}
	for _, kid := range a.Kids {
		if _, gone := was[kid.Name]; gone {
			out = append(out, Change{Path: join(path, kid.Name, b.List), From: kid.Line()})
		}
	}
	return out
}

func join(path, name string, list bool) string {
	switch {
	case list:
		return path + "[" + name + "]"
	case path == "":
		return name
	}
	return path + "." + name
}
