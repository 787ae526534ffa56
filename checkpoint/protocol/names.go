package protocol

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/stream"
)

// PipelineKey is the key of the record that all workers share.
const PipelineKey = "pipeline.json"

// Folders of the ledger.
const (
	HeadPrefix = "lanes/"
	LivePrefix = "live/"
)

// digits is the width of numbers in names, so that a listing is in order of numbers.
const digits = 20

// Name is number and epoch of a transaction of a known lane: together they never name two things.
type Name struct{ N, Epoch uint64 }

// String is the name as it stands in keys.
func (n Name) String() string { return fmt.Sprintf("%0*d.%0*d", digits, n.N, digits, n.Epoch) }

// ValidLane tells whether lane can be told from every other one in keys and in names of files: "2", "w.clean", "r.7.0".
// A dash would do harm: lane a-1's files would read as lane a's, and be its garbage.
func ValidLane(lane stream.LaneID) bool {
	if lane == "" || lane[0] == '.' {
		return false
	}
	for _, c := range lane {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// HeadKey is where the head of a lane is.
func HeadKey(lane stream.LaneID) string { return HeadPrefix + string(lane) + ".json" }

// ManifestPrefix is the folder of a lane's manifests.
func ManifestPrefix(lane stream.LaneID) string { return "txn/" + string(lane) + "/" }

// ManifestKey is where a manifest is.
func ManifestKey(lane stream.LaneID, n Name) string {
	return ManifestPrefix(lane) + n.String() + ".json"
}

// BeyondManifest is a key that sorts behind every manifest of number n and before those of n+1.
func BeyondManifest(lane stream.LaneID, n uint64) string {
	return fmt.Sprintf("%s%0*d/", ManifestPrefix(lane), digits, n)
}

// StatePrefix is the folder of a lane's state.
func StatePrefix(lane stream.LaneID) string { return "state/" + string(lane) + "/" }

// StateKey is where an object of a transaction's state is.
func StateKey(lane stream.LaneID, n Name, name string) string {
	return StatePrefix(lane) + n.String() + "/" + name
}

// ParseManifest reads the name from a key of [ManifestKey].
func ParseManifest(lane stream.LaneID, key string) (Name, bool) {
	s, ok := strings.CutPrefix(key, ManifestPrefix(lane))
	if !ok {
		return Name{}, false
	}
	if s, ok = strings.CutSuffix(s, ".json"); !ok {
		return Name{}, false
	}
	return parseName(s)
}

// ParseState reads the name from a key of [StateKey].
func ParseState(lane stream.LaneID, key string) (Name, bool) {
	s, ok := strings.CutPrefix(key, StatePrefix(lane))
	if !ok {
		return Name{}, false
	}
	s, _, ok = strings.Cut(s, "/")
	if !ok {
		return Name{}, false
	}
	return parseName(s)
}

// ParseData reads the name from the key of a data file, <…>/<incarnation>-<lane>-<epoch>-<n>-<i>[-<slice>].parquet,
// if the file is of this incarnation and lane.
func ParseData(incarnation string, lane stream.LaneID, key string) (Name, bool) {
	s := key[strings.LastIndexByte(key, '/')+1:]
	if incarnation == "" {
		return Name{}, false
	}
	s, ok := strings.CutPrefix(s, incarnation+"-"+string(lane)+"-")
	if !ok {
		return Name{}, false
	}
	if s, ok = strings.CutSuffix(s, ".parquet"); !ok {
		return Name{}, false
	}
	f := strings.Split(s, "-")
	if len(f) != 3 && len(f) != 4 {
		return Name{}, false
	}
	e, ok1 := parseNumber(f[0])
	n, ok2 := parseNumber(f[1])
	_, ok3 := parseNumber(f[2])
	if !ok1 || !ok2 || !ok3 || n == 0 || e == 0 {
		return Name{}, false
	}
	return Name{N: n, Epoch: e}, true
}

// parseNumber reads a number as it is written in names of files, and in no other way.
func parseNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == s
}

func parseName(s string) (Name, bool) {
	a, b, ok := strings.Cut(s, ".")
	if !ok || len(a) != digits || len(b) != digits {
		return Name{}, false
	}
	n, err1 := strconv.ParseUint(a, 10, 64)
	e, err2 := strconv.ParseUint(b, 10, 64)
	return Name{N: n, Epoch: e}, err1 == nil && err2 == nil
}
