package props

import (
	"fmt"
	"math/rand/v2"
	"reflect"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// blank is a sample command whose empty fields are to be filled.
type blank[C any] struct {
	sample C
	fill   value.Fill
}

// blankOf returns the blank of sample. It panics if sample is not a struct or a
// pointer to one.
func blankOf[C any](sample C) blank[C] {
	v := value.Struct(reflect.ValueOf(&sample).Elem())
	if v.Kind() != reflect.Struct {
		panic(fmt.Sprintf("props: Any(%s): a sample must be a struct or a pointer to one, not %s", show.Text(sample), kindName(v)))
	}
	return blank[C]{sample, value.FillStruct(v.Type(), v)}
}

func kindName(v reflect.Value) string {
	if !v.IsValid() || v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		return "nil"
	}
	return v.Type().String()
}

// draw returns a random command.
func (b blank[C]) draw(r *rand.Rand) C {
	return value.Edit(b.sample, func(v reflect.Value) { b.fill(r, v) })
}
