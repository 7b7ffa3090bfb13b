package check

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
	"golang.org/x/tools/go/types/typeutil"
)

// Sealed finds events that other packages can add to, and codecs that do not know all
// events.
var Sealed = &analysis.Analyzer{
	Name:     "sealed",
	Doc:      "find events that are not sealed, or that their codec does not have\n\nIf any package can add an event, no switch over the events can be complete. An event\nthat codec.JSON or codec.Proto does not have is an error only when it is recorded.",
	Run:      runSealed,
	Requires: []*analysis.Analyzer{Functions, Ignore, inspect.Analyzer},
}

func runSealed(pass *analysis.Pass) (any, error) {
	s := sealed{newReporter(pass)}
	for _, d := range pass.ResultOf[Functions].(*functions).deciders { //nolint:errcheck // by ResultType
		s.decider(d)
	}
	timers := s.timers()
	in := pass.ResultOf[inspect.Analyzer].(*inspector.Inspector) //nolint:errcheck // by ResultType
	in.Preorder([]ast.Node{(*ast.CallExpr)(nil)}, func(n ast.Node) {
		call := n.(*ast.CallExpr) //nolint:errcheck // asked for
		fn := typeutil.StaticCallee(pass.TypesInfo, call)
		if fn != nil && fn.Pkg() != nil && fn.Pkg().Path() == codecPath && (fn.Name() == "JSON" || fn.Name() == "Proto") {
			s.codec(call, fn, within(timers, call.Pos()))
		}
	})
	return nil, nil //nolint:nilnil // there is no result
}

type sealed struct{ reporter }

// decider reports that the events of d are not sealed.
func (s sealed) decider(d decider) {
	i, ok := d.event.Underlying().(*types.Interface)
	if !ok || isParameter(d.event) || isSealed(d.event) {
		return
	}
	for m := range i.Methods() {
		if m.Name() == "ProtoReflect" {
			return // messages are generated, so their methods are not ours
		}
	}
	message := types.TypeString(d.event, types.RelativeTo(s.Pkg)) +
		" is an interface of events that is not sealed: give it a method that only its package can implement, such as isEvent()"
	if named, ok := types.Unalias(d.event).(*types.Named); ok && named.Obj().Pkg() == s.Pkg {
		at := named.Obj().Pos()
		s.report(analysisRange{at, at + token.Pos(len(named.Obj().Name()))}, message)
		return
	}
	s.report(d.expr, message)
}

// analysisRange is a part of a file.
type analysisRange struct{ pos, end token.Pos }

func (r analysisRange) Pos() token.Pos { return r.pos }
func (r analysisRange) End() token.Pos { return r.end }

// codec examines a call of fn, codec.JSON or codec.Proto, with a literal map. The codec
// may lack events if it is only for timers.
func (s sealed) codec(call *ast.CallExpr, fn *types.Func, timers bool) {
	lit, ok := ast.Unparen(call.Args[0]).(*ast.CompositeLit)
	if !ok {
		return
	}
	events, ok := s.TypesInfo.TypeOf(lit).Underlying().(*types.Map)
	if !ok {
		return
	}
	panics := ": " + qualified(fn) + " panics"
	byType := typeutil.Map{} // to its name
	keys, known, complete := map[string]bool{}, []types.Type{}, true
	for _, elt := range lit.Elts {
		kv := elt.(*ast.KeyValueExpr) //nolint:errcheck // by the grammar
		key := "?"
		if v := s.TypesInfo.Types[kv.Key].Value; v != nil && v.Kind() == constant.String {
			key = constant.StringVal(v)
		}
		keys[key] = true
		typ := s.TypesInfo.TypeOf(kv.Value)
		other := byType.At(typ)
		switch {
		case key == "":
			s.report(kv.Key, "an event needs a name"+panics)
		case s.TypesInfo.Types[kv.Value].IsNil():
			s.report(kv.Value, "nil is no event"+panics)
		case types.IsInterface(typ):
			complete = false // its name is not known
		case other != nil:
			s.report(kv.Value, fmt.Sprintf("%s has two names, %q and %q%s", types.TypeString(typ, types.RelativeTo(s.Pkg)), other, key, panics))
		default:
			byType.Set(typ, key)
			known = append(known, typ)
		}
	}
	if complete && !timers && isSealed(events.Elem()) {
		s.missing(lit, events.Elem(), known, keys)
	}
}

// missing reports the events in the sum that are not known.
func (s sealed) missing(lit *ast.CompositeLit, sum types.Type, known []types.Type, keys map[string]bool) {
	missed := missing(s.members(sum), known)
	if len(missed) == 0 {
		return
	}
	message := fmt.Sprintf("the codec does not have all of %s: %s", types.TypeString(sum, types.RelativeTo(s.Pkg)), names(missed))
	var entries []string
	for _, m := range missed {
		name, ok := s.written(lit.Pos(), m, "&")
		sample := zero(m, name)
		if !ok || sample == "" || keys[m.Name()] {
			s.report(lit, message)
			return
		}
		entries = append(entries, fmt.Sprintf("%q: %s", m.Name(), sample))
	}
	at, text := lit.Rbrace, strings.Join(entries, ", ")
	switch n := len(lit.Elts); {
	case n > 0 && s.Fset.Position(lit.Elts[n-1].End()).Line < s.Fset.Position(at).Line:
		text = "\t" + strings.Join(entries, ",\n\t") + ",\n"
	case n > 0:
		at, text = lit.Elts[n-1].End(), ", "+text
	}
	s.report(lit, message, analysis.SuggestedFix{
		Message:   "Name the missing events after their types",
		TextEdits: []analysis.TextEdit{{Pos: at, End: at, NewText: []byte(text)}},
	})
}

// zero is a sample of m, written as name, or "" if there is none.
func zero(m member, name string) string {
	switch u := m.Type().Underlying().(type) {
	case *types.Struct, *types.Map, *types.Slice, *types.Array:
		return name + "{}"
	case *types.Basic:
		switch info := u.Info(); {
		case m.pointer:
		case info&types.IsString != 0:
			return name + `("")`
		case info&types.IsNumeric != 0:
			return name + "(0)"
		case info&types.IsBoolean != 0:
			return name + "(false)"
		}
	}
	return ""
}
