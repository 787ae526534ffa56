package kafka

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/millrace/millrace/stream"
)

// topicPartition names a partition in Kafka's words.
type topicPartition struct {
	topic string
	n     int32
}

const idPrefix = "kafka/"

// id is the partition's name for ever: kafka/<topic>/<n>.
func (tp topicPartition) id() stream.PartitionID {
	return stream.PartitionID(idPrefix + tp.topic + "/" + strconv.FormatInt(int64(tp.n), 10))
}

// slot is FNV-1a (32 bits) of the topic's name plus the partition's number, modulo 2^32. It is stored in ledgers and
// never changes: neighbouring partitions of a topic fall into different lanes.
func (tp topicPartition) slot() uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tp.topic))
	return h.Sum32() + uint32(tp.n) //nolint:gosec // wraps, as documented
}

// lane is the lane that the partition belongs to.
func (tp topicPartition) lane(lanes int) stream.LaneID {
	return stream.LaneID(strconv.FormatUint(uint64(tp.slot()%uint32(max(lanes, 1))), 10)) //nolint:gosec // lanes is small and positive
}

func parseID(id stream.PartitionID) (topicPartition, error) {
	rest, ok := strings.CutPrefix(string(id), idPrefix)
	topic, num, ok2 := strings.Cut(rest, "/")
	n, err := strconv.ParseInt(num, 10, 32)
	if !ok || !ok2 || topic == "" || err != nil || n < 0 {
		return topicPartition{}, fmt.Errorf("kafka: %q is not the name of a Kafka partition: %w", id, stream.ErrPermanent)
	}
	return topicPartition{topic, int32(n)}, nil
}

func position(offset int64) stream.Position { return stream.Position(strconv.FormatInt(offset, 10)) }

func parsePosition(p stream.Position) (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("kafka: %q is not an offset: %w", p, errors.Join(stream.ErrPermanent, err))
	}
	return n, nil
}

// topicID is a topic id as it stands in bookmarks: hex; empty for zero, which means unknown.
func topicID(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// rawTopicID undoes topicID.
func rawTopicID(id string) (raw [16]byte) {
	if b, err := hex.DecodeString(id); err == nil {
		copy(raw[:], b)
	}
	return raw
}
