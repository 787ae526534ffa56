package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/checkpoint/protocol"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// probeKey is where the proof of an endpoint is kept.
func probeKey(endpoint string) string {
	return "probe/" + protocol.Sum([]byte(endpoint))[:16] + ".json"
}

// endpoint names a store for the proof: a bucket of the same name elsewhere is another one.
func endpoint(t stream.TableRef) string { return t.Store.Endpoint + " " + t.Location }

// probe has the promises of the ledger's and the tables' stores proven, once per ledger and endpoint. Its proof is an
// object of the ledger, so that a store that cannot be written is found out here.
func (l *Ledger) probe(ctx context.Context, tables []stream.TableRef) error {
	if l.o.Probe == nil {
		return nil
	}
	own := l.o.Store.Location()
	proven, err := l.Proof(ctx, own)
	if err != nil {
		return err
	}
	var ask []store.Client
	unproven := []string{own}
	for _, t := range tables {
		p, err := l.Proof(ctx, endpoint(t))
		if err != nil {
			return err
		}
		if p != nil {
			continue
		}
		if l.o.Stores == nil {
			return fmt.Errorf("ledger: no way to look into %s was given: %w", t.Location, stream.ErrPermanent)
		}
		c, err := l.o.Stores(ctx, t)
		if err != nil {
			return fmt.Errorf("ledger: open the store of table %s: %w", t.Name, err)
		}
		ask, unproven = append(ask, c), append(unproven, endpoint(t))
	}
	if proven != nil && len(ask) == 0 {
		return nil
	}
	l.o.Log.Info("asking the stores whether they keep their promises", "path", own, "tables", len(ask))
	r, err := l.o.Probe(ctx, l.o.Store, ask...)
	if err != nil {
		return err
	}
	for _, e := range unproven {
		key := probeKey(e)
		if err := l.again(ctx, "write_probe", key, false, func(ctx context.Context) error {
			_, err := l.o.Store.Put(ctx, key, protocol.Encode(r), store.Cond{})
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Proof is what was found of an endpoint, nil if it has not been asked: of the ledger's own
// location, or of a table by "<endpoint> <location>".
func (l *Ledger) Proof(ctx context.Context, endpoint string) (*store.ProbeResult, error) {
	key := probeKey(endpoint)
	b, _, found, err := l.get(ctx, "read_probe", key, false)
	if err != nil || !found {
		return nil, err
	}
	r := new(store.ProbeResult)
	if err := json.Unmarshal(b, r); err != nil || r.Format > stream.Format {
		l.o.Log.Warn("a proof that cannot be read; asking again", "path", key, "err", err)
		return nil, nil //nolint:nilnil // as if it had not been asked
	}
	return r, nil
}

// TableProof is what was found of a table's store, nil if it has not been asked.
func (l *Ledger) TableProof(ctx context.Context, t stream.TableRef) (*store.ProbeResult, error) {
	return l.Proof(ctx, endpoint(t))
}
