// Package checkpoint is the ledger on an object store: it decides what is in a table.
//
// A lane has one small record, its head, that names the last transaction and where reading goes on. A commit writes a
// manifest (W5) and then swaps the head by one conditional PUT (W6), the only commit point. Whatever comes after it can be
// repeated by whoever owns the lane. What to send, and what an answer means, is decided by package protocol; this package
// carries it out: it reads, writes, lists, waits, repeats and bounds every call by a time.
//
//	pipeline.json                 what all lanes share: incarnation, plan, starts, schema versions; changes rarely
//	lanes/<lane>.json             the heads
//	txn/<lane>/<n>.<e>.json       manifests, immutable, chained by their hashes
//	state/<lane>/<n>.<e>/<name>   state of operators, immutable, named by the head
//	live/<session>.json           a sign of life, a hint only
//	probe/<endpoint>.json         that a store was found fit
//
// # What it guarantees
//
// Of all workers that ever try, one commits number n of a lane; the ranges of a lane's commits tile; a worker that was
// fenced commits nothing; what a head may name is never deleted. All of it holds without clocks, leases and a coordinator.
//
// # What it leaves to others
//
// Uploading and publishing files and catalogs are the lane's business, on stream.Uploads and stream.Table. Claims of tables
// are stream.Table's. A call whose outcome is not known is repeated here until the caller's context ends, never above.
package checkpoint
