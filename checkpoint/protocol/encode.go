package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/stream"
)

// Encode writes a record of the ledger: readable JSON, the same bytes for the same value.
func Encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("protocol: a record that cannot be written: %v", err)) // only types of package stream come here
	}
	return b.Bytes()
}

// Sum is the hash by which records name one another.
func Sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// DecodeHead reads a head. A newer format and broken JSON are refused, each by its own sentence.
func DecodeHead(key string, b []byte) (h stream.Head, err error) {
	if err := decode(key, b, &h); err != nil {
		return stream.Head{}, err
	}
	if h.Lane == "" || h.Incarnation == "" || h.Retired > h.N || !sound(&h) {
		return stream.Head{}, corrupt(key, errors.New("its numbers do not agree with each other"))
	}
	return h, nil
}

// sound tells whether the list of epochs is one that this package makes: garbage is decided by it.
func sound(h *stream.Head) bool {
	for i, e := range h.Epochs {
		if e[0] > h.Epoch || i > 0 && (e[0] <= h.Epochs[i-1][0] || e[1] <= h.Epochs[i-1][1]) {
			return false
		}
	}
	return len(h.Epochs) > 0 && h.Epochs[len(h.Epochs)-1][1] == h.N
}

// DecodePipeline reads pipeline.json.
func DecodePipeline(b []byte) (p stream.PipelineState, err error) {
	if err := decode(PipelineKey, b, &p); err != nil {
		return stream.PipelineState{}, err
	}
	if p.Incarnation == "" || p.Lanes < 1 || p.State != Creating && p.State != Ready {
		return stream.PipelineState{}, corrupt(PipelineKey, errors.New("incarnation, lanes or state are missing"))
	}
	return p, nil
}

// DecodeManifest reads a manifest. Its uploads get the id that publishing looks for.
func DecodeManifest(key string, b []byte) (m stream.Manifest, err error) {
	if err := decode(key, b, &m); err != nil {
		return stream.Manifest{}, err
	}
	name(&m)
	return m, nil
}

func name(m *stream.Manifest) {
	for i := range m.Files {
		m.Files[i].Upload.Meta.Txn = m.ID()
	}
}

// decode is strict: a field that this version does not know would be lost with the next swap.
func decode(key string, b []byte, into any) error {
	var f struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return corrupt(key, err)
	}
	if f.Format == nil || *f.Format < 1 {
		return corrupt(key, errors.New("it names no format"))
	}
	if *f.Format > stream.Format {
		return stream.WithNext(
			fmt.Errorf("ledger: %s has format %d, and this millrace knows up to %d: %w", key, *f.Format, stream.Format, stream.ErrPermanent),
			"a newer millrace has written it; run that version, as going back is not supported")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return corrupt(key, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return corrupt(key, errors.New("something follows the record"))
	}
	return nil
}

func corrupt(key string, cause error) error {
	return stream.WithNext(
		fmt.Errorf("ledger: %s is not a whole record: %w: %w", key, stream.ErrPermanent, cause),
		"nothing was changed; put back the object's last good version from the store's versions or a backup, and never an empty one")
}
