package postgrestest_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// childEnv is set for the child process, which starts a server and waits.
const childEnv = "EVOLVE_POSTGRESTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		fmt.Println(postgrestest.Database(context.Background()))
		select {}
	}
	flag.Parse()
	_, drop, err := postgrestest.Database(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "EXAMPLES NOT RUN, NO POSTGRESQL:", err)
		_ = flag.Set("test.skip", "^Example")
	} else {
		drop()
	}
	os.Exit(m.Run())
}

func Example() {
	ctx := context.Background()
	url, drop, err := postgrestest.Database(ctx) // in a test: postgrestest.URL(t)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer drop()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close(ctx)
	var tables int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables)
	fmt.Println(tables, err)
	// Output: 0 <nil>
}

// TestEndsWithTheProcess checks that nothing is left of a server after its process was
// killed.
func TestEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv(postgrestest.Env) != "" {
		t.Skipf("NOT TESTED with %s: the end of a server that this process started", postgrestest.Env)
	}
	postgrestest.URL(t) // skips if there is no server
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	said, err := url.Parse(strings.Fields(line)[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := said.Query().Get("host")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the child has no server: it prints %s, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there a minute after its process was killed", dir)
		}
	}
}

// TestKillLeavesNoMemory checks that a server which was killed leaves no shared memory,
// of which a system has a limited number of segments.
func TestKillLeavesNoMemory(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ipcs"); err != nil {
		t.Skip("NOT TESTED, NO IPCS:", err)
	}
	server := postgrestest.Start(t)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(server.Socket()), "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Fields(strings.Split(string(text), "\n")[6])[1]
	segments := func() []string {
		out, err := exec.CommandContext(t.Context(), "ipcs", "-m").Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	if !slices.Contains(segments(), id) {
		t.Fatalf("the server's segment %s is not in %v", id, segments())
	}
	server.Kill(t)
	for deadline := time.Now().Add(time.Minute); slices.Contains(segments(), id); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the segment %s is still there a minute after its server was killed", id)
		}
	}
}

// TestCrash checks that committed data is there after a crash.
func TestCrash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := postgrestest.Start(t)
	url := server.URL(t)
	run := func(query string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, query)
		return err
	}
	if err := run("CREATE TABLE t (n int); INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	server.Crash(t)
	if err := run("SELECT 1"); err == nil {
		t.Error("the server answers after Crash")
	}
	server.Restart(t)
	if err := run("SELECT 1 / (SELECT count(*) FROM t)"); err != nil {
		t.Errorf("after Restart the row is not there: %v", err)
	}
}
