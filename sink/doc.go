// Package sink routes rows to the files of a partitioned table, keeps their memory bounded, and hands over files that are
// uploaded, verified and invisible. What makes them visible is the ledger's swap and what follows it.
//
// # The way of a row
//
// A Sink is one table, shared by all lanes of a pipeline. A lane begins a transaction and gets a TableWriter, which holds
// one open file per table partition. Write groups the selected rows of a batch by the values of the partition columns
// and appends each group to its file, once. The partition columns themselves stay out of the file: they are the folder,
//
//	order_date=2026-01-03/country=DE/<incarnation>-<lane>-<epoch>-<n>-<i>.parquet
//
// below the table's location, escaped as Hive and Spark escape them. The name holds the transaction, so no two
// transactions can ever write the same key, and i counts the transaction's files.
//
// # The way of a file
//
//	open       rows are appended; full row groups leave for the store while the file grows
//	closing    by its size (roll), by the memory limit, by max_open, or by Seal; a worker encodes what is left
//	uploaded   durable but invisible: a multipart upload that is not completed, a file in a staging folder
//	verified   sizes and checksums agree with what the store says (W3); the file is in Seal's answer
//
// The lane then writes these files into its manifest and swaps its head. Only after that swap are they published, by
// whoever owns the lane, with Uploads.Publish. A transaction that does not get there is dropped with Abort, and what a
// crash leaves behind is found by garbage collection, which knows from the file's name whose it was. A file that was closed
// early is no different from the others: it waits, uncommitted, for its transaction.
//
// A transaction without rows makes no file, no folder and no request.
//
// # Memory
//
// One Pool per process knows the open files of all sinks and lanes. When the process's Budget is exceeded, whoever is
// writing has row groups ended early, those of the files that hold most rows, its own or another lane's, and waits until there
// is room: encoded, rows take a fifth, leave in parts, and the file stays open. Where that does not suffice, as with many
// small partitions, or when parts not yet full fill the memory, the coldest files are closed. Files count as equally cold if
// they were last written within the same eighth of the limit's worth of rows; among these the largest go first, so that
// the fewest files are cut short. A lane that writes to a file that has been closed so opens the next one.
//
// Nothing here waits for anything but uploads under way, and these need no further memory: so it cannot deadlock. When it
// is not files that fill the budget, closing them would help nobody, and writers go on.
package sink
