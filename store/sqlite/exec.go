package sqlite

// The ways in which most of this package uses a connection.

// exec executes query, one statement, with args.
func (c *conn) exec(query string, args ...value) error {
	s, err := c.kept(query)
	if err != nil {
		return err
	}
	return s.run(args, func() (bool, error) { return true, nil })
}

// one calls get with the first row of query, and reports whether there is one.
func (c *conn) one(query string, get func(s *stmt), args ...value) (found bool, err error) {
	s, err := c.kept(query)
	if err != nil {
		return false, err
	}
	err = s.run(args, func() (bool, error) {
		found = true
		get(s)
		return false, nil
	})
	return found && err == nil, err
}

// each calls add for the rows of query until add returns false or an error.
func (c *conn) each(query string, add func(s *stmt) (bool, error), args ...value) error {
	s, err := c.kept(query)
	if err != nil {
		return err
	}
	return s.run(args, func() (bool, error) { return add(s) })
}

// number returns the first number of the first row of query.
func (c *conn) number(query string, args ...value) (n int64, err error) {
	_, err = c.one(query, func(s *stmt) { n = s.int(0) }, args...)
	return n, err
}

// run executes the statement and calls row for each row until row returns false or an
// error.
func (s *stmt) run(args []value, row func() (bool, error)) error {
	if err := s.bind(args); err != nil {
		return err
	}
	defer s.reset()
	for {
		found, err := s.step()
		if err != nil || !found {
			return err
		}
		if more, err := row(); err != nil || !more {
			return err
		}
	}
}

// script executes all statements of query, which must not have parameters.
func (c *conn) script(query string) error {
	for query != "" {
		s, rest, err := c.prepare(query)
		if err != nil {
			return err
		}
		if s != nil {
			err = s.run(nil, func() (bool, error) { return true, nil })
			s.finalize()
		}
		if err != nil {
			return err
		}
		query = rest
	}
	return nil
}
