package hive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/stream/store"
)

// memStore is as much of a store as a claim needs. onPut sees every Put after it was done, or in its place.
type memStore struct {
	store.Client
	location string

	mu      sync.Mutex
	objects map[string][]byte
	onPut   func(key string, done func() error) error
	getErr  error
	lists   int
}

func newStore(location string) *memStore {
	return &memStore{location: location, objects: map[string][]byte{}}
}

func (s *memStore) Location() string { return s.location }

func (s *memStore) Get(_ context.Context, key string, _, _ int64) (io.ReadCloser, store.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.getErr != nil {
		return nil, store.Object{}, s.getErr
	}
	b, ok := s.objects[key]
	if !ok {
		return nil, store.Object{}, fmt.Errorf("%s: %w", key, store.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(b)), store.Object{Key: key}, nil
}

func (s *memStore) Put(_ context.Context, key string, body []byte, c store.Cond) (string, error) {
	done := func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, ok := s.objects[key]; ok && c.IfNone {
			return fmt.Errorf("%s: %w", key, store.ErrPrecondition)
		}
		s.objects[key] = body
		return nil
	}
	if s.onPut != nil {
		return "e", s.onPut(key, done)
	}
	return "e", done()
}

func (s *memStore) List(_ context.Context, prefix, after string) iter.Seq2[store.Object, error] {
	s.mu.Lock()
	s.lists++
	keys := slices.Sorted(maps.Keys(s.objects))
	s.mu.Unlock()
	return func(yield func(store.Object, error) bool) {
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) && k > after && !yield(store.Object{Key: k}, nil) {
				return
			}
		}
	}
}

// stores keeps one memStore a location, as if all of them were one server.
type stores struct {
	mu  sync.Mutex
	all map[string]*memStore
}

func (s *stores) at(location string) *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*memStore{}
	}
	if s.all[location] == nil {
		s.all[location] = newStore(location)
	}
	return s.all[location]
}
