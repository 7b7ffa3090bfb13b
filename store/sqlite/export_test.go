package sqlite

import "context"

// script is SQL as a write, for tests.
type script string

func (script) count() int { return 1 }

func (s script) do(w *writer) error { return w.queryRow(string(s)).Scan(new(int)) }

// Write runs a pragma that answers with a number on the connection of the writer.
func Write(st *Store, pragma string) {
	if err := st.backend.writer.submit(context.Background(), script(pragma)); err != nil {
		panic(err)
	}
}
