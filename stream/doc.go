// Package stream holds the words and the contracts of millrace: everything else implements one of them, or joins them up.
// This page says how a record becomes a row of a table.
//
// # The way of a record
//
//	source → raw batch → decode → columns + selection → steps → route by partition values → Parquet → stage
//	                                                                                                    ↓
//	                        catalog  ←  publish  ←  ledger: one swap of the lane's head is the commit  ←┘
//
// A Source (source.go) finds the partitions of its input and agrees with the other workers on who reads what. The unit of that
// is the lane: a fixed number of virtual slots, set when the pipeline is created, each with the partitions that hash to it. For
// a lane that it is granted a worker opens a Reader, which hands out RawBatches: undecoded records of one partition, between two
// positions.
//
// A Decoder (decode.go) appends those records to a Batch (batch.go): up to 8,192 rows in columns of Arrow's memory layout (Vec,
// vec.go), a selection of the rows that are still in, and for each row the record that it came from. Steps (step.go) narrow the
// selection and add columns. A record that does not fit anywhere on the way becomes a BadRow and in the end a row of the
// dead-letter table, in the same transaction; it is never lost and never stops the others.
//
// A Sink (table.go) routes the rows to one open file per table partition. An Encoder turns them into Parquet, and Uploads take
// its bytes away while the file grows. All of that stays invisible to readers.
//
// At a barrier (delivery.commit_every, commit_size, a rebalance, the end) the lane's open transaction is cut: positions are
// fixed, files closed, uploaded and verified. Then the Ledger (ledger.go) writes a manifest of it and swaps the lane's head,
// lanes/<lane>.json, by one conditional PUT. That swap is the only commit point: with it files, positions and state change
// together, or not at all. Whatever comes after is idempotent and is rolled forward by whoever owns the lane: making the files
// visible (Uploads.Publish), registering them (Table.Apply), noting that this is done (Lane.Mark).
//
// Nothing flows back but back-pressure and acknowledgements. A lane is one goroutine (package stream/lane), so the columns of a
// batch stay in one core's cache from the decoder to the encoder.
//
// # The steps of a flush
//
//	W0   rows go to open files, whose parts leave while they grow      W5   the manifest is written
//	W1   the barrier: positions are fixed                              W6   the head is swapped: COMMITTED
//	W2   files are closed and uploaded, invisible                      W7   uploads are completed: visible
//	W3   sizes and checksums are verified                              W8   partitions are registered with the catalog
//	W4   operator state is written                                     W9   the transaction is noted as retired
//	                                                                   W10  the consumer group is told, for lag tools
//
// # Where things are
//
//	stream            words and contracts                          checkpoint            the ledger; protocol: its pure core
//	stream/lane       the loop that runs a lane                    sink                  routing, open files, memory bound
//	stream/kafka      the Kafka source                             sink/parquet          columns to Parquet bytes
//	stream/decode     json, raw: bytes to columns                  sink/object           stage, verify, publish
//	stream/transform  expressions and steps                        sink/catalog/hive     Glue and the local catalog
//	stream/store      folders and S3, conditional writes           cmd/internal/daemon   puts it all together
//
// # Guarantees
//
// Per partition the committed ranges tile: no gap, no overlap. A reader of the table never sees a row of a transaction that is
// not committed, and sees each row of one that is exactly once, when it is published. A worker that lost its lane cannot commit,
// however late it wakes. None of this depends on a clock, a lease or a coordinator.
package stream
