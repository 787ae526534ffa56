package protocol_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
)

// head is of epoch 7; epochs 4 and 6 committed, 5 did not; up to 2 has been cut; 1 to 8 are retired, 9 and 10 pending.
func head() stream.Head {
	return stream.Head{
		Format: 1, Incarnation: "i", Lane: "0", Owner: "me", Epoch: 7, N: 10, Retired: 8,
		Epochs: [][2]uint64{{3, 5}, {4, 8}, {6, 10}}, ManifestSHA256: "m",
	}
}

func TestGarbageRule(t *testing.T) {
	for _, c := range []struct {
		what            string
		n               protocol.Name
		upload, objects protocol.Verdict
	}{
		{"pending", protocol.Name{N: 9, Epoch: 6}, protocol.Keep, protocol.Keep},
		{"the head's own", protocol.Name{N: 10, Epoch: 6}, protocol.Keep, protocol.Keep},
		{"retired", protocol.Name{N: 7, Epoch: 4}, protocol.Garbage, protocol.Aged},
		{"the last one retired", protocol.Name{N: 8, Epoch: 4}, protocol.Garbage, protocol.Aged},
		{"left behind by the epoch before", protocol.Name{N: 9, Epoch: 4}, protocol.Garbage, protocol.Garbage},
		{"left behind by an epoch that committed nothing", protocol.Name{N: 9, Epoch: 5}, protocol.Garbage, protocol.Garbage},
		{"left behind beyond the head", protocol.Name{N: 11, Epoch: 6}, protocol.Garbage, protocol.Garbage},
		{"my own, being made", protocol.Name{N: 11, Epoch: 7}, protocol.Keep, protocol.Keep},
		{"my own, twice", protocol.Name{N: 8, Epoch: 7}, protocol.Garbage, protocol.Keep},
		{"of who comes after me", protocol.Name{N: 11, Epoch: 8}, protocol.Keep, protocol.Keep},
		{"of who comes after me, low", protocol.Name{N: 3, Epoch: 8}, protocol.Keep, protocol.Keep},
		{"in the first entry's range", protocol.Name{N: 2, Epoch: 3}, protocol.Garbage, protocol.Aged},
		{"below the cut", protocol.Name{N: 2, Epoch: 2}, protocol.Garbage, protocol.Aged},
		{"below the cut, beyond", protocol.Name{N: 12, Epoch: 2}, protocol.Garbage, protocol.Aged},
	} {
		h := head()
		if got := protocol.Uploads(&h, c.n); got != c.upload {
			t.Errorf("%s: upload %v: got %v, want %v", c.what, c.n, got, c.upload)
		}
		if got := protocol.Objects(&h, c.n); got != c.objects {
			t.Errorf("%s: object %v: got %v, want %v", c.what, c.n, got, c.objects)
		}
	}
}

func TestPending(t *testing.T) {
	h := head()
	want := []protocol.Name{{N: 9, Epoch: 6}, {N: 10, Epoch: 6}}
	if got := protocol.Pending(&h); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// TestCut: entries go with the next swap, and only those that nothing pending may lie in.
func TestCut(t *testing.T) {
	for _, c := range []struct {
		to   uint64
		want [][2]uint64
	}{
		{0, [][2]uint64{{3, 5}, {4, 8}, {6, 10}}},
		{3, [][2]uint64{{3, 5}, {4, 8}, {6, 10}}},
		{4, [][2]uint64{{4, 8}, {6, 10}}},
		{99, [][2]uint64{{6, 10}}}, // 9 and 10 are pending
	} {
		s := protocol.State{Lane: "0", Incarnation: "i", Owner: "me", Phase: protocol.Held, Head: head(), ETag: "e"}
		s, _ = protocol.Step(s, protocol.Collected{Cut: c.to})
		_, eff := protocol.Step(s, protocol.Mark{Nonce: "x", Mark: stream.Mark{Retired: 8}})
		if got := eff.(protocol.PutHead).Head.Epochs; !reflect.DeepEqual(got, c.want) {
			t.Errorf("cut %d: got %v, want %v", c.to, got, c.want)
		}
		if h := head(); !reflect.DeepEqual(s.Head, h) {
			t.Errorf("cut %d changed the head in place", c.to)
		}
	}
}

// TestOldSession: a try of this very session that was given up lands late; taking the lane goes on from there.
func TestOldSession(t *testing.T) {
	s := protocol.State{Lane: "0", Incarnation: "i", Owner: "me", Plan: 1}
	s, _ = protocol.Step(s, protocol.Acquire{})
	h := head()
	s, _ = protocol.Step(s, protocol.Read{Found: true, Head: h, ETag: "e0", Nonce: "n1"})
	s, _ = protocol.Step(s, protocol.Put{})
	h.Epoch, h.Nonce = 8, "given up"
	_, eff := protocol.Step(s, protocol.Read{Found: true, Head: h, ETag: "e1", Nonce: "n2"})
	if p, ok := eff.(protocol.PutHead); !ok || p.Head.Epoch != 9 || p.Head.Nonce != "n2" || p.IfMatch != "e1" {
		t.Fatalf("got %#v", eff)
	}
}

// TestBeyond: what lies beyond the head decides by a head read once more.
func TestBeyond(t *testing.T) {
	looking := func() protocol.State {
		s := protocol.State{Lane: "0", Incarnation: "i", Owner: "me", Plan: 1, Phase: protocol.Listing, Kind: protocol.Acquiring, Head: head(), ETag: "e"}
		s.Head.Nonce = "n"
		s, eff := protocol.Step(s, protocol.Listed{Names: []protocol.Name{{N: 10, Epoch: 6}, {N: 11, Epoch: 6}}})
		if l, ok := eff.(protocol.LookFor); !ok || len(l.Names) != 1 {
			t.Fatalf("got %#v", eff)
		}
		return s
	}
	held, eff := protocol.Step(looking(), protocol.Looked{})
	if d, ok := eff.(protocol.Done); !ok || d.Err != nil || held.Phase != protocol.Held {
		t.Fatalf("nothing visible: %#v", eff)
	}
	for _, c := range []struct {
		what string
		f    func(*stream.Head)
		want error
	}{
		{"still mine", func(*stream.Head) {}, stream.ErrLost},
		{"another's", func(h *stream.Head) { h.Epoch, h.N, h.Owner, h.Nonce = 8, 11, "you", "x" }, stream.ErrFenced},
		{"an intruder's", func(h *stream.Head) { h.Nonce = "x" }, stream.ErrForeign},
	} {
		s, eff := protocol.Step(looking(), protocol.Looked{Visible: "f"})
		if _, ok := eff.(protocol.ReadHead); !ok {
			t.Fatalf("%s: got %#v", c.what, eff)
		}
		h := s.Head
		c.f(&h)
		s, eff = protocol.Step(s, protocol.Read{Found: true, Head: h, ETag: "e2"})
		if d, ok := eff.(protocol.Done); !ok || !errors.Is(d.Err, c.want) || s.Phase != protocol.Over {
			t.Fatalf("%s: got %#v, want %v", c.what, eff, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	n := protocol.Name{N: 41, Epoch: 17}
	if got := protocol.ManifestKey("w.by_hour", n); got != "txn/w.by_hour/00000000000000000041.00000000000000000017.json" {
		t.Errorf("ManifestKey: %s", got)
	}
	if got, ok := protocol.ParseManifest("0", protocol.ManifestKey("0", n)); !ok || got != n {
		t.Errorf("ParseManifest: %v %v", got, ok)
	}
	if got, ok := protocol.ParseState("0", protocol.StateKey("0", n, "dedupe/0")); !ok || got != n {
		t.Errorf("ParseState: %v %v", got, ok)
	}
	a, b := protocol.ManifestKey("0", protocol.Name{N: 41, Epoch: 99}), protocol.ManifestKey("0", protocol.Name{N: 42, Epoch: 1})
	if c := protocol.BeyondManifest("0", 41); a >= c || c >= b {
		t.Errorf("%s is not between %s and %s", c, a, b)
	}
	for key, want := range map[string]bool{
		"day=1/7f-r.3.2-17-41-0.parquet":     true,
		"7f-r.3.2-17-41-0-abcd.parquet":      true,
		"day=1/7f-r.3.2-17-41.parquet":       false,
		"day=1/7f-r.3.20-17-41-0.parquet":    false,
		"day=1/7e-r.3.2-17-41-0.parquet":     false,
		"day=1/7f-r.3.2-x-41-0.parquet":      false,
		"day=7f-r.3.2-17-41-0/other.parquet": false,
		"7f-r.3.2-17-41-0":                   false, // something of another kind
		"7f-r.3.2-17-41-0.parquet.crc":       false,
		"7f-r.3.2-17-041-0.parquet":          false,
		"7f-r.3.2-17-41-x.parquet":           false,
		"7f-r.3.2-17-41-0-a-b.parquet":       false,
	} {
		if got, ok := protocol.ParseData("7f", "r.3.2", key); ok != want || ok && got != n {
			t.Errorf("ParseData(%q): %v %v, want %v", key, got, ok, want)
		}
	}
}

// TestLaneNames: no lane's name is such that its files could be taken for another's.
func TestLaneNames(t *testing.T) {
	for id, want := range map[stream.LaneID]bool{
		"0": true, "12": true, "w.by_hour": true, "r.7.0": true, "j.backfill_1.3": true,
		"": false, "a-1": false, "a/b": false, "..": false, ".": false, "A": false, "w.ä": false, "a b": false,
	} {
		if got := protocol.ValidLane(id); got != want {
			t.Errorf("ValidLane(%q): got %v, want %v", id, got, want)
		}
	}
}

// FuzzDecode: no bytes make reading a head fail in any other way than by an error, and what is read writes back.
func FuzzDecode(f *testing.F) {
	h := head()
	f.Add(protocol.Encode(h))
	f.Add([]byte(`{"format":1}`))
	f.Add([]byte(`{"format":1,"epochs":[[0]]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := protocol.DecodeHead("lanes/0.json", b)
		if err != nil {
			return
		}
		once := protocol.Encode(h)
		again, err := protocol.DecodeHead("lanes/0.json", once)
		if twice := protocol.Encode(again); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%v: %s became %s", err, once, twice)
		}
	})
}

// TestNoETag: a store that gives no ETag never gets a write on condition of nothing.
func TestNoETag(t *testing.T) {
	s := protocol.State{Lane: "0", Incarnation: "i", Owner: "me", Plan: 1}
	s, _ = protocol.Step(s, protocol.Acquire{})
	if _, eff := protocol.Step(s, protocol.Read{Found: true, Head: head(), Nonce: "n"}); !halted(eff) {
		t.Errorf("a head that was read without an ETag: %+v", eff)
	}
	s, _ = protocol.Step(s, protocol.Read{Found: true, Head: head(), ETag: "e", Nonce: "n"})
	_, eff := protocol.Step(s, protocol.Put{OK: true})
	if _, ok := eff.(protocol.ReadHead); !ok {
		t.Errorf("a head whose writing was answered without an ETag: %+v", eff)
	}

	r := protocol.Record{Change: func(p *stream.PipelineState) error { p.Lanes++; return nil }}
	r, _ = protocol.StepPipeline(r, protocol.Begin{})
	read := protocol.Swap{PipelineRead: protocol.PipelineRead{Found: true}, Nonce: "n"}
	if _, eff := protocol.StepPipeline(r, read); !halted(eff) {
		t.Errorf("pipeline.json that was read without an ETag: %+v", eff)
	}
	read.ETag = "e"
	r, _ = protocol.StepPipeline(r, read)
	_, eff = protocol.StepPipeline(r, protocol.Put{OK: true})
	if _, ok := eff.(protocol.ReadPipeline); !ok {
		t.Errorf("pipeline.json whose writing was answered without an ETag: %+v", eff)
	}
}

func halted(e protocol.Effect) bool {
	d, ok := e.(protocol.Done)
	return ok && errors.Is(d.Err, stream.ErrPermanent)
}
