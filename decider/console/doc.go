// Package console is a page, or rather an [http.Handler], that shows what is in a store:
// the log as it grows, the streams and every version of them, and why something happened.
//
// Any store that is a [store.Log] will do. A program that lends the console its deciders, as
// [Aggregate] does, also sees states: what changed at each version, what a command would do
// at any version, why it was rejected and what would have to be different, and what other
// rules would have decided on all that is recorded. Decisions are pure, so they can be asked
// again. Nothing of that is written.
//
//	console := console.New(console.Config{
//		Store: st,
//		Types: []console.Type{console.Aggregate(console.Model[account.Command, account.State, account.Event]{
//			Type: "Account", Decider: account.Decider(), Codec: account.Codec(), Commands: account.Commands(),
//		})},
//	})
//	mux.Handle("/console/", http.StripPrefix("/console", console))
//
// All links are relative, so it works under any prefix. Its pages work without JavaScript,
// which adds what is live. They load nothing from elsewhere.
//
// # Who may see it
//
// Without [Config.Access], only clients on this machine that ask for localhost, and they may
// only read. Whoever may see a tenant, its payloads, or act, is what an [Access] says.
// Texts of strangers are shown as text, whatever they contain. [Config.Redact] changes events
// before anything else sees them.
//
// # JSON
//
// With "Accept: application/json", each page answers with what it shows as JSON. The fields
// may change before v1.
package console
