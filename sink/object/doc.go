// Package object stages the data files of a table in an object store and publishes them.
//
// A file is a multipart upload, however small it is: so its bytes are durable before the transaction commits, and no reader
// sees them until it has. Parts leave while the file grows: one is being filled, one is on its way, so a file holds at most
// two of them in memory. Parts have 5 MiB, doubling every 1,000 parts, which the 10,000 parts of S3 stretch to 4.9 TiB.
//
// Every byte is checked on its way: the file's CRC-64/NVME is computed as it is written, that of each part as it is sent;
// the store checks each part's and answers it, and the answers put together must give the file's.
//
// Seal makes a file durable, Publish makes it visible, any number of times and by anybody who has the reference. What must
// not happen twice is kept apart by the transaction id in the object's metadata: an object at our key that has another is
// somebody else's, and is never written over. Whether a missing upload is lost is for the ledger to say.
package object
