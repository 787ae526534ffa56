// Package storetest is the conformance suite of store.Client, and Faulty, a client that fails on purpose.
//
// Run proves what the ledger and the sinks stand on: conditions hold under concurrency, uploads are invisible until they
// are completed, lists are in the order of their keys' bytes, and errors carry the words that callers decide by. Every
// backend runs the same suite.
package storetest
