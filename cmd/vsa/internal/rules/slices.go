package rules

func sliceRules() []Rule {
	return []Rule{
		{
			ID: "VSA001", Name: "require-tests", Severity: Warning, check: requireTests,
			About: "No test names the command (with Any or When), the view or the process.",
			Wrong: "props.For(account.Decider()).Any(account.Open{}).Check(t) // Credit is missing",
			Right: "props.For(account.Decider()).Any(account.Open{}, account.Credit{}).Check(t)",
		},
		{
			ID: "VSA002", Name: "require-handler", Severity: Error, check: requireHandler,
			About: "Decide has no case for a command, so the command is always unhandled. If commands carry their own decide method, the compiler finds this.",
			Wrong: "switch c := cmd.(type) {\ncase Open:\n\treturn open(c, s)\n} // Credit is missing",
			Right: "switch c := cmd.(type) {\ncase Open:\n\treturn open(c, s)\ncase Credit:\n\treturn credit(c, s)\n}",
		},
		{
			ID: "VSA003", Name: "require-event", Severity: Warning, check: requireEvent,
			About: "Deciding the command leads to no event, so it can never change anything.",
			Wrong: "func (c Freeze) decide(State) ([]Event, error) { return nil, nil }",
			Right: "func (c Freeze) decide(State) ([]Event, error) { return []Event{Frozen(c)}, nil }",
		},
		{
			ID: "VSA004", Name: "naming", Severity: Warning, check: naming,
			About: "A command is named in the past tense or an event is not, the file of a slice is not named after its command, or a package is not named like its directory.",
			Wrong: "type Opening struct{} // an event",
			Right: "type Opened struct{}",
		},
		{
			ID: "VSA005", Name: "max-nesting", Severity: Warning, check: maxNesting,
			About: "A package lies deeper below the root than validation.max_nesting_depth says.",
			Wrong: "contexts/accounts/internal/account/open",
			Right: "contexts/accounts/internal/account",
		},
		{
			ID: "VSA006", Name: "shared-folder", Severity: Warning, check: sharedFolder,
			About: "Go files lie in a directory whose name begins with _ or ., which the go command does not build.",
			Wrong: "contexts/_shared/money.go",
			Right: "contexts/accounts/internal/account/money.go",
		},
		{
			ID: "VSA007", Name: "query-view", Severity: Error, check: queryView,
			About: "A package of a context answers a GET request without a view.",
			Wrong: "mux.HandleFunc(\"GET /accounts/{id}/balance\", query(a.log, a.store, getbalance.Load)) // getbalance has no View",
			Right: "func View() decider.View[Balance, account.Event] { … }",
		},
		{
			ID: "VSA008", Name: "unread-view", Severity: Error, check: unreadView,
			About: "Nothing outside of its package uses a view, so nobody can ask for the answer.",
			Wrong: "package getbalance // no other package imports it",
			Right: "mux.HandleFunc(\"GET /accounts/{id}/balance\", query(a.log, a.store, getbalance.Load))",
		},
		{
			ID: "VSA009", Name: "subscription", Severity: Warning, check: subscription,
			About: "A view or a process has no case for any event.",
			Wrong: "func evolve(b Balance, event account.Event) Balance { return b }",
			Right: "func evolve(b Balance, event account.Event) Balance {\n\tswitch e := event.(type) {\n\tcase account.Credited:\n\t\tb.Cents += e.Amount\n\t}\n\treturn b\n}",
		},
		{
			ID: "VSA010", Name: "cross-slice-import", Severity: Error, check: crossSliceImport,
			About: "A slice imports another slice. You cannot change one of them alone.",
			Wrong: "package getbalance\n\nimport \"…/internal/welcomebonus\"",
			Right: "package getbalance\n\nimport \"…/internal/account\" // both react to its events",
		},
		{
			ID: "VSA011", Name: "thin-adapter", Severity: Warning, check: thinAdapter,
			About: "A handler is longer than slices.command.max_lines or slices.query.max_lines says. Decisions belong in the aggregate.",
			Wrong: "func (a *Accounts) credit(w http.ResponseWriter, r *http.Request) { … 80 lines … }",
			Right: "mux.HandleFunc(\"POST /accounts/{id}/credit\", command(a.log, a.accounts, toCredit))",
		},
		{
			ID: "VSA015", Name: "slice-location", Severity: Error, check: sliceLocation,
			About: "A decider, a view or a process is in the root directory, which is not a context.",
			Wrong: "contexts/account.go",
			Right: "contexts/accounts/internal/account/account.go",
		},
		{
			ID: "VSA020", Name: "sealed-domain", Severity: Error, check: foreignMessages,
			About: "A command or an event that a decider handles is declared in another package, which can add others that nobody handles.",
			Wrong: "case billing.Paid: // in package account",
			Right: "type Paid struct{ … } // in package account",
		},
		{
			ID: "VSA021", Name: "sealed-interface", Severity: Warning, check: sealedInterface,
			About: "The interface of the commands or events has no unexported method, so no tool can list its members and say which case is missing.",
			Wrong: "type Event any",
			Right: "type Event interface{ evolve(s State) State }",
		},
		{
			ID: "VSA022", Name: "aggregate-location", Severity: Error, check: aggregateLocation,
			About: "A context with packages inside has a decider in its own package, where other contexts can reach it, or a package has two deciders.",
			Wrong: "contexts/accounts/account.go",
			Right: "contexts/accounts/internal/account/account.go",
		},
		{
			ID: "VSA027", Name: "domain-purity", Severity: Error, check: domainPurity,
			About: "An aggregate imports something that does input or output, or another module. decidervet, which vsa validate runs too, finds calls that are not pure.",
			Wrong: "package account\n\nimport \"net/http\"",
			Right: "package account\n\nimport \"errors\"",
		},
		{
			ID: "VSA028", Name: "events-isolation", Severity: Error, check: eventFields,
			About: "A field of an event is a function, a channel or an interface, is unexported and so never stored, or has a type of another module, which can change what was recorded.",
			Wrong: "type Opened struct{ owner string }",
			Right: "type Opened struct {\n\tOwner string `json:\"owner\"`\n}",
		},
		{
			ID: "VSA029", Name: "ports", Severity: Error, check: func(r *checker) { layer(r, "ports") },
			About: "A package in a directory called ports imports an adapter of its context.",
			Wrong: "accounts/internal/ports imports accounts/internal/adapters",
			Right: "accounts/internal/adapters imports accounts/internal/ports",
		},
		{
			ID: "VSA030", Name: "application", Severity: Error, check: func(r *checker) { layer(r, "application") },
			About: "A package in a directory called application imports an adapter of its context.",
			Wrong: "accounts/internal/application imports accounts/internal/adapters",
			Right: "accounts/internal/application imports accounts/internal/ports",
		},
		{
			ID: "VSA031", Name: "slice-isolation", Severity: Error, check: sliceIsolation,
			About: "The file of a slice uses what the file of another slice declares, other than its events. Slices share events, and code that belongs to no slice.",
			Wrong: "// freeze_account.go\nreturn nil, ErrNoOwner // declared in open_account.go",
			Right: "// account.go\nvar ErrNoOwner = errors.New(\"account: an owner is needed\")",
		},
		{
			ID: "VSA032", Name: "projection-purity", Severity: Error, check: projectionPurity,
			About: "The package of a view imports something other than the standard library, evolve, packages of this module, and what projection_allowed_prefixes allows.",
			Wrong: "package getbalance\n\nimport \"github.com/redis/go-redis/v9\"",
			Right: "package getbalance\n\nimport \"…/internal/account\"",
		},
		{
			ID: "VSA033", Name: "process-structure", Severity: Error, check: processStructure,
			About: "A process has no Key, Evolve or React, so it cannot run. It is a warning if a process sends commands and has no Pending, because nobody can send them again after its store was lost.",
			Wrong: "decider.Process[Event, State, Command]{Evolve: evolve, React: react}",
			Right: "decider.Process[Event, State, Command]{Key: key, Evolve: evolve, React: react, Pending: pending}",
		},
	}
}
