// Package streamtest holds one conformance suite for each contract of package stream. Every implementation calls the suite of
// its contract from a test, so that all of them keep the same promises.
package streamtest
