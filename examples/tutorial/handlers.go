package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store/sqlite"
)

// service holds what the handlers need.
type service struct {
	orders *runner.Runner[order.Command, order.State, order.Event]
	open   *projection.Projection[*sqlite.Tx, change]
	db     *sql.DB // the same file, for queries
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /orders/{id}", handle(s, func(c order.Place) order.Command { return c }))
	mux.HandleFunc("POST /orders/{id}/payments", handle(s, func(c order.Pay) order.Command { return c }))
	mux.HandleFunc("DELETE /orders/{id}", handle(s, func(c order.Cancel) order.Command { return c }))
	mux.HandleFunc("GET /orders", s.list)
	return mux
}

// handle returns a handler that reads a command from the body and runs it.
func handle[B any](s *service, of func(body B) order.Command) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		opts, err := runnerhttp.Options(r)
		if err != nil {
			runnerhttp.WriteProblem(w, r, err)
			return
		}
		var body B
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil && !errors.Is(err, io.EOF) { // a body may be empty
			runnerhttp.WriteProblem(w, r, &runnerhttp.BodyError{Err: err})
			return
		}
		out, err := s.orders.Handle(r.Context(), r.PathValue("id"), of(body), opts...)
		if err != nil {
			runnerhttp.WriteProblem(w, r, err)
			return
		}
		runnerhttp.SetETag(w.Header(), out.Version)
		runnerhttp.SetPosition(w.Header(), out.Position)
		w.WriteHeader(http.StatusNoContent)
	}
}

// openOrder is an answer of list.
type openOrder struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Due      int64  `json:"due"`
}

// list answers with the open orders. A client that sends At-Least reads its own writes.
func (s *service) list(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	position, err := runnerhttp.AtLeast(r)
	if err == nil && position > 0 {
		err = s.open.WaitFor(ctx, position)
	}
	if err != nil {
		runnerhttp.WriteProblem(w, r, err)
		return
	}
	rows, err := s.db.QueryContext(ctx, `SELECT id, customer, due FROM open_order ORDER BY id`)
	if err != nil {
		runnerhttp.WriteProblem(w, r, err)
		return
	}
	defer rows.Close()
	all := []openOrder{}
	for rows.Next() {
		var o openOrder
		if err = rows.Scan(&o.ID, &o.Customer, &o.Due); err != nil {
			break
		}
		all = append(all, o)
	}
	if err == nil {
		err = rows.Err()
	}
	if err != nil {
		runnerhttp.WriteProblem(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}
