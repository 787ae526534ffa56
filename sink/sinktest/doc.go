// Package sinktest is the conformance suite of stream.Table: what every catalog must do, seen through the contract and
// through the eyes of somebody else who reads and writes the same catalog.
package sinktest
