// Package kafka reads Apache Kafka topics: it implements stream.Source on franz-go's protocol client.
//
// Membership. Workers of a pipeline meet in a consumer group whose balancer, "millrace-lanes", hands out whole lanes,
// sticky and cooperatively. The group decides only who reads what: it is never read from and its committed offsets are never
// used. Positions come from bookmarks alone; offsets are committed as a hint for lag tools.
//
// Partitions and lanes. Partition n of a topic has the slot fnv1a32(topic) + n and belongs to lane slot mod lanes. Both are
// stored in ledgers and must never change.
//
// Reading. Each open lane has one connection to each broker that leads one of its partitions, and one goroutine a broker that
// sends Fetch requests, takes the answers apart and queues a raw batch a partition. The requests are written by hand,
// not left to the client's consumer, because positions must be exact: an answer without records still tells how far the log was
// read (control records, aborted transactions and compacted holes), and nothing may reset a position by itself.
// One more goroutine a lane, the keeper, finds leaders and checks each partition before it is read and after every fault: same
// cluster, same topic id, the position inside the log, the leader epoch of the last record still known. A check that
// fails for good halts that partition with a *stream.PartitionError; a broker that is away is waited for.
//
// Guarantees. The batches of a partition tile. With read_committed nothing above the last stable offset and nothing of an
// aborted transaction is delivered. A batch that cannot be decoded, or that would grow above 64 MiB when decompressed,
// halts its partition at its offset. Memory is bounded: a lane fetches on only while little is queued.
package kafka
