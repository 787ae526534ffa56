package hive

// Stores lets tests of other packages' point of view open stores by location.
type Stores = stores

// At is the store at a location.
func (s *stores) At(location string) *memStore { return s.at(location) }
