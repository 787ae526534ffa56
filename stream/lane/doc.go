// Package lane runs pipelines: it takes lanes as they are assigned, moves their records from the reader to the sinks, and
// commits and publishes them.
//
// A Worker is one pipeline in this process (assign.go). Each lane that it is granted gets a goroutine (lane.go) that
// acquires the lane's head and then reads, decodes, transforms and writes (fill.go), batch by batch, so that the columns of
// a batch stay in one core's cache. At a barrier the open transaction is cut and flushed beside the reading of the next one
// (flush.go: W1–W6), and what has been committed is published beside both (publish.go: W7–W9).
//
//	granted → acquire → ┌ read → decode → steps → write ┐ → cut → seal, verify, commit ┐ → publish, register, retire
//	                    └──────────── W0 ───────────────┘         └──── W1–W6 ──────────┘   └────── W7–W9 ──────────┘
//
// At most one transaction is being flushed while the next one fills, and at most MaxPending are committed and not retired;
// beyond that the lane pauses its reader. That is all the queueing there is.
//
// Errors are retried in one place (retry.go). A fault that another try may heal abandons the open transaction, which costs
// the epoch, and begins again from the head. A fault that it will not heal halts the lane, with its reason and the next step in the
// status, and leaves everything as it is. A worker that has been fenced forgets what it was doing and cleans nothing: the owner
// of the head collects.
package lane
