package props

import (
	"fmt"
	"reflect"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// blank is a sample command whose empty fields are to be filled.
type blank[C any] struct {
	sample C
	fill   value.Fill
}

// blankOf returns the blank for sample, which checkSample has accepted.
func blankOf[C any](sample C, f *value.Filler) blank[C] {
	v := value.Struct(reflect.ValueOf(&sample).Elem())
	return blank[C]{sample, f.Struct(v.Type(), v)}
}

// checkSample panics if sample is not a struct or a pointer to one. Method is the method
// that sample was passed to.
func checkSample[C any](method string, sample C) {
	if v := value.Struct(reflect.ValueOf(&sample).Elem()); v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("props: %s(%s): a sample must be a struct or a pointer to one, not %s", method, show.Text(sample), kindName(v)))
	}
}

func kindName(v reflect.Value) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		return "nil"
	}
	return v.Type().String()
}

// draw returns a random command.
func (b blank[C]) draw(s *value.Source) C {
	return value.Edit(b.sample, func(v reflect.Value) { b.fill(s, v) })
}
