package check

import (
	"go/types"
	"slices"
	"strings"
)

// touches lists the functions and variables of the standard library that have an effect
// on the world. It has the names of each package, or all names but some if the list
// begins with "-". A method is listed by its type. Errors and constants are always
// pure.
var touches = map[string]string{
	"time":         "Now Since Until Sleep After AfterFunc Tick NewTimer NewTicker Local LoadLocation Timer Ticker",
	"math/rand":    "- New NewSource NewZipf Rand Zipf Source Source64",
	"math/rand/v2": "- New NewPCG NewChaCha8 NewZipf Rand Zipf PCG ChaCha8 Source",
	"context":      "WithTimeout WithTimeoutCause WithDeadline WithDeadlineCause AfterFunc",
	"crypto/rand":  "-",
	"crypto/tls":   "-",
	"database/sql": "- Named NamedArg Null NullBool NullByte NullFloat64 NullInt16 NullInt32 NullInt64 NullString NullTime Out RawBytes IsolationLevel",
	"expvar":       "-",
	"flag":         "-",
	"fmt":          "Print Printf Println Scan Scanf Scanln",
	"io/ioutil":    "- Discard NopCloser ReadAll",
	"log":          "-",
	"log/slog": "Debug DebugContext Info InfoContext Warn WarnContext Error ErrorContext Log LogAttrs Default SetDefault " +
		"SetLogLoggerLevel Logger Handler",
	"net": "- AddrError CIDRMask DNSError Error Flags HardwareAddr IP IPMask IPNet IPv4 IPv4Mask InvalidAddrError JoinHostPort OpError " +
		"ParseCIDR ParseError ParseIP ParseMAC SplitHostPort TCPAddr UDPAddr",
	"net/http": "- CanonicalHeaderKey ConnState Cookie DetectContentType Header NewRequest ParseHTTPVersion ParseTime SameSite StatusText",
	"net/smtp": "-",
	"os": "- Expand FileMode Getpagesize IsExist IsNotExist IsPathSeparator IsPermission IsTimeout LinkError PathError SyscallError " +
		"Signal NewSyscallError",
	"os/exec":       "-",
	"os/signal":     "-",
	"os/user":       "-",
	"path/filepath": "Abs EvalSymlinks Glob Walk WalkDir",
	"plugin":        "-",
	"runtime":       "- Error TypeAssertionError KeepAlive",
	"runtime/debug": "-",
	"sync":          "-",
	"sync/atomic":   "-",
	"syscall":       "- Errno Signal",
}

// shared are the packages of touches whose effect is only on shared state of the
// program. A library may use them for a cache, and still be pure.
var shared = []string{"sync", "sync/atomic", "runtime", "runtime/debug", "context", "log", "log/slog", "fmt"}

// world returns the effect of obj, which belongs to the standard library, on the world.
// It is the zero effect if there is none.
func world(obj types.Object) effect {
	if obj.Pkg() == nil {
		return effect{}
	}
	names, ok := touches[obj.Pkg().Path()]
	if !ok || !touching(names, owner(obj)) {
		return effect{}
	}
	verb := "uses "
	if _, ok := obj.(*types.Func); ok {
		verb = "calls "
	}
	return effect{what: verb + qualified(obj), local: slices.Contains(shared, obj.Pkg().Path())}
}

// touching reports whether names, a list of touches, has name.
func touching(names, name string) bool {
	listed := slices.Contains(strings.Fields(names), name)
	if strings.HasPrefix(names, "-") {
		return !listed
	}
	return listed
}

// owner is the name of obj, or of the type that it is a method of.
func owner(obj types.Object) string {
	if fn, ok := obj.(*types.Func); ok {
		if recv := fn.Signature().Recv(); recv != nil {
			typ := recv.Type()
			if p, ok := typ.(*types.Pointer); ok {
				typ = p.Elem()
			}
			if named, ok := types.Unalias(typ).(*types.Named); ok {
				return named.Obj().Name()
			}
		}
	}
	return obj.Name()
}

// qualified is the name of obj as code in another package writes it.
func qualified(obj types.Object) string {
	name := obj.Name()
	if o := owner(obj); o != name {
		name = o + "." + name
	}
	return obj.Pkg().Name() + "." + name
}
