package stream

// Micros is an instant in microseconds since 1970-01-01T00:00:00 UTC.
type Micros int64

// NoTime is the Timestamp of a record that has none: one millisecond before 1970, which is how Kafka writes that there is none.
const NoTime Micros = -1000

// PartitionID names a source partition for ever: kafka/<topic>/<n>, kinesis/<stream>/<shard>, files/<location>/<k>.
type PartitionID string

// Position is the next record to read of a partition. Only the source that made it interprets it.
type Position string

// LaneID is the full name of a lane: "0", "1", … for a pipeline's own; w.<operator>, j.<job>.<l> and r.<run>.<l> for others.
// It stands in keys, ids and metrics, so that nothing of two chains can be taken for one another.
type LaneID string

// Header is one key and value that travels with a record.
type Header struct {
	Key   string
	Value []byte
}

// Record is one undecoded record. Its bytes belong to the RawBatch and die with it.
type Record struct {
	Key       []byte   // nil: none
	Value     []byte   // nil: a null value (tombstone); empty is not nil
	Headers   []Header // in the producer's order
	Offset    int64    // Kafka offset; row number in a file
	Timestamp Micros   // NoTime: none
}

// RawBatch is a run of records of one partition, as a Reader hands it out.
//
// [From, To) is everything between two positions, whether or not a record came out of it: control records, compacted
// holes and aborted transactions move To without adding to Records.
type RawBatch struct {
	Partition   PartitionID
	Topic       string // Kafka topic, Kinesis stream or file path: the words of metadata columns and dead letters
	Number      int32  // number of the partition within Topic
	From, To    Position
	LeaderEpoch int32 // of the last record; -1 unknown
	AtEnd       bool  // To was the end of what could be read when it was fetched
	Lag         int64 // records known to lie behind To; -1 unknown
	Records     []Record
	Bytes       int64  // memory the batch holds
	Free        func() // gives the memory back to the reader; nil: nothing to give back
}

// Release ends the use of the batch and of every byte of its records. It may be called once.
func (r *RawBatch) Release() {
	if r.Free != nil {
		free := r.Free
		r.Free = nil
		free()
	}
}
