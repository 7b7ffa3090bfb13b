// Package console is an [http.Handler] that shows what is in a store: the log as it
// grows, the streams with every version of them, and why something happened.
//
// Any store that is a [store.Log] works. If your program passes its deciders to the
// console, as [Aggregate] does, the console also shows states: what changed at each
// version, what a command would do at any version, why it was rejected and what would
// have to be different, and what other rules would have decided on all recorded events.
// Decisions are pure, so they can be repeated. None of this writes anything.
//
//	console := console.New(console.Config{
//		Store: st,
//		Types: []console.Type{console.Aggregate(console.Model[account.Command, account.State, account.Event]{
//			Type: "Account", Decider: account.Decider(), Codec: account.Codec(), Commands: account.Commands(),
//		})},
//	})
//	mux.Handle("/console/", http.StripPrefix("/console", console))
//
// All links are relative, so it works under any prefix. Its pages work without
// JavaScript, which adds live updates. They load nothing from other servers.
//
// # Access
//
// Without [Config.Access], the console answers only clients on this machine that request
// localhost, and they may only read. An [Access] says which tenants a client may see,
// whether it may see payloads, and whether it may act. Untrusted text is shown as text,
// whatever it contains. [Config.Redact] changes events before anything else sees them.
//
// # JSON
//
// With "Accept: application/json", each page returns its content as JSON. The fields may
// change before v1.
package console
