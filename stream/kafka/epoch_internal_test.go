package kafka

import (
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func emptyBatch(first int64, delta, epoch int32) []byte {
	b := kmsg.RecordBatch{FirstOffset: first, LastOffsetDelta: delta, PartitionLeaderEpoch: epoch, Magic: 2}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	return raw
}

// TestEpochOfBatchesWithoutRecords: a compacted batch of a later epoch moves the position, so its epoch has to come along.
func TestEpochOfBatchesWithoutRecords(t *testing.T) {
	t.Parallel()
	log := append(append(emptyBatch(0, 99, 3), emptyBatch(100, 9, 4)...), emptyBatch(110, 9, 5)...)
	for _, c := range []struct {
		next int64
		cut  int
		want int32
	}{{0, 0, -1}, {99, 0, -1}, {100, 0, 3}, {109, 0, 3}, {110, 0, 4}, {120, 0, 5}, {120, 1, 4}, {120, 50, 4}, {120, len(log), -1}} {
		if got := lastEpoch(log[:len(log)-c.cut], c.next); got != c.want {
			t.Errorf("before %d, %d bytes missing: got epoch %d, want %d", c.next, c.cut, got, c.want)
		}
	}
}

func FuzzLastEpoch(f *testing.F) {
	f.Add(emptyBatch(0, 9, 1), int64(10))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(_ *testing.T, b []byte, next int64) { lastEpoch(b, next) })
}

func FuzzMemberMetadata(f *testing.F) {
	b := &balancer{ours: ours(4), log: quietLog()}
	f.Add(b.JoinGroupMetadata([]string{"t"}, map[string][]int32{"t": {1}}, 3), b.JoinGroupMetadata([]string{"t"}, nil, -1))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		round(t, b, map[string][]byte{"a": one, "b": two}, map[string]int32{"t": 5})
	})
}
