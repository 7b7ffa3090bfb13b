package capability_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/capability"
	"github.com/evolvego/evolve/store/memory"
)

// everything is a store that has every capability. A test sets only those that it
// calls.
type everything struct {
	store.Store
	store.Log
	store.Tenants
	store.Snapshots
	store.Checkpoints
	store.Claims
	store.Leases
	store.Documents
	store.Finder
	io.Closer
}

// TestComposeKeepsTheSet checks every set of capabilities: Compose returns a store with
// exactly those, and Of finds the same set in it.
func TestComposeKeepsTheSet(t *testing.T) {
	t.Parallel()
	all := reflect.ValueOf(capability.Of(everything{}))
	for i := range all.NumField() {
		if all.Field(i).IsNil() {
			t.Fatalf("everything has no %s: this test needs a store with every capability", all.Type().Field(i).Name)
		}
	}
	for has := range 1 << (all.NumField() - 1) {
		var set capability.Set
		value := reflect.ValueOf(&set).Elem()
		value.Field(0).Set(all.Field(0))
		for i := 1; i < all.NumField(); i++ {
			if has&(1<<(i-1)) != 0 {
				value.Field(i).Set(all.Field(i))
			}
		}
		got := reflect.ValueOf(capability.Of(set.Compose()))
		for i := range got.NumField() {
			if got.Field(i).IsNil() != value.Field(i).IsNil() {
				t.Errorf("set %#x: the composed store has %s: %t, want %t",
					has, got.Type().Field(i).Name, !got.Field(i).IsNil(), !value.Field(i).IsNil())
			}
		}
	}
}

// TestComposeUsesTheParts checks that each call reaches the part it belongs to.
func TestComposeUsesTheParts(t *testing.T) {
	t.Parallel()
	other := memory.New()
	set := capability.Of(memory.New())
	set.Log = other
	st := set.Compose()
	if _, err := other.Append(t.Context(), store.Stream{Type: "Account", ID: "1"}, store.Any, []store.Event{{ID: "1", Type: "Opened"}}); err != nil {
		t.Fatal(err)
	}
	if head, err := capability.Of(st).Log.Head(t.Context()); head != 1 || err != nil {
		t.Errorf("Head of a set with the Log of another store = %d, %v; want 1, the head of that store", head, err)
	}
	page, err := st.Read(t.Context(), store.Stream{Type: "Account", ID: "1"}, store.ReadOptions{})
	if page.Head != 0 || err != nil {
		t.Errorf("Read of a set with the Log of another store = head %d, %v; want 0, from its own Store", page.Head, err)
	}
}

// TestSetHasEveryCapability checks that Set has a field for every interface of package
// store, because every wrapper would hide an interface that Set lacks. Interfaces whose
// names end in Tx belong to transactions. ValueReader is hidden on purpose: it only makes
// Read faster, and reads through it would bypass the wrapper.
func TestSetHasEveryCapability(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files of package store: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if _, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.IsExported() && !strings.HasSuffix(spec.Name.Name, "Tx") && spec.Name.Name != "ValueReader" {
				if _, ok := reflect.TypeFor[capability.Set]().FieldByName(spec.Name.Name); !ok {
					t.Errorf("Set has no field for store.%s, of %s", spec.Name.Name, name)
				}
			}
			return true
		})
	}
}

// counting counts the appends of a store.
type counting struct {
	store.Store
	appends *int
}

func (c counting) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	*c.appends++
	return c.Store.Append(ctx, s, e, events)
}

// A wrapper made with a Set keeps every capability that it does not know.
func ExampleSet_Compose() {
	appends := 0
	set := capability.Of(memory.New())
	set.Store = counting{set.Store, &appends}
	st := set.Compose()

	stream := store.Stream{Type: "Account", ID: "acc-1"}
	_, err := st.Append(context.Background(), stream, store.NoStream, []store.Event{{ID: "1", Type: "Opened"}})
	_, isLog := st.(store.Log)
	fmt.Println(appends, isLog, err)
	// Output: 1 true <nil>
}
