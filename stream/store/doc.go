// Package store is the one way to object storage: a folder on disk or a prefix of an S3 bucket, behind one contract.
//
// Keys are relative to the location that a Client was opened at and use "/" on every backend. Reads are strong: a read
// that begins after a write ended sees it. Writes may be conditional, and that is what the ledger stands on; Probe proves
// it before anything is trusted to a store. Uploads are invisible until completed, and stay that way when a process dies.
//
// Every method asks once: the SDK's retries are off, as only the caller knows what an unknown outcome means. Errors carry
// what the caller decides by: one of the words of this package (not found, precondition, no upload) or a class of package
// stream (unavailable, denied, full, permanent), and advice where a person can help.
//
// A folder is shared by any number of processes of one host. Folders are locked by flock, for the moment in which a
// condition is checked and a name changes; new content is synced before it gets its name, and the name before anybody may
// rely on it. Versions of a file are told apart by time and size, and a new one always gets a later time. Uploads are kept
// in _millrace/staging/ below the location; what the store knows of a completed one is an attribute of its file.
//
// It is left to others to repeat requests, to say what an object means, and to delete what is garbage.
package store
