package value_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

type (
	inner struct {
		Name string
		Deep *inner
	}
	everything struct {
		List    []string
		Map     map[string]int
		Pointer *int
		Nested  inner
		Any     any
	}
)

// TestClone checks that a copy shares nothing with the original.
func TestClone(t *testing.T) {
	t.Parallel()
	original := everything{List: []string{"a"}, Map: map[string]int{"a": 1}, Pointer: new(int), Nested: inner{Deep: &inner{Name: "a"}}, Any: []int{1}}
	want := show.Text(original)
	c := value.Clone(original)
	if got := show.Text(c); got != want {
		t.Errorf("the copy is %s, want %s", got, want)
	}
	c.List[0], c.Map["a"], *c.Pointer, c.Nested.Deep.Name = "b", 2, 2, "b"
	if list, ok := c.Any.([]int); ok {
		list[0] = 2
	}
	if got := show.Text(original); got != want {
		t.Errorf("the original is now %s, want %s", got, want)
	}
	if err := value.Clone[error](nil); err != nil || value.Clone(errors.ErrUnsupported) == nil {
		t.Error("interfaces are not copied")
	}
	middle := [3]*int{1: new(int)}
	if *value.Clone(middle)[1] = 2; *middle[1] != 0 {
		t.Error("the copy of an array shares what only its middle holds")
	}
}

func ExampleClone() {
	original := everything{List: []string{"a"}}
	c := value.Clone(original)
	c.List[0] = "b"
	fmt.Println(original.List, c.List)
	// Output: [a] [b]
}
