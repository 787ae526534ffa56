package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/sink/object"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

// tables opens whatever a manifest or a configuration names, each once. It is safe for concurrent use.
type tables struct {
	log     *slog.Logger
	metrics *store.Metrics
	catalog *hive.Metrics
	uploads object.Options
	proof   func(context.Context, stream.TableRef) (*store.ProbeResult, error) // what the ledger knows of a store; nil: nothing yet

	mu     sync.Mutex
	opened map[string]*openTable
}

// openTable is what belongs to one reference.
type openTable struct {
	client  store.Client
	uploads stream.Uploads
	table   stream.Table
}

var _ stream.Tables = (*tables)(nil)

func (t *tables) get(ctx context.Context, ref stream.TableRef) (*openTable, error) {
	key, err := json.Marshal(ref)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", ref.Name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if o := t.opened[string(key)]; o != nil {
		return o, nil
	}
	client, err := t.client(ctx, ref.Location, ref.Store)
	if err != nil {
		return nil, err
	}
	table, err := hive.Open(ctx, ref, hive.Deps{Store: client, AWS: loadAWS, Log: t.log, Metrics: t.catalog})
	if err != nil {
		return nil, err
	}
	o := &openTable{client: client, table: table}
	t.opened[string(key)] = o
	return o, nil
}

func (t *tables) client(ctx context.Context, location string, ref stream.StoreRef) (store.Client, error) {
	return store.Open(ctx, location, store.Options{
		Endpoint: ref.Endpoint, Region: ref.Region, PathStyle: ref.PathStyle, Metrics: t.metrics, Log: t.log,
	})
}

// Uploads of a table.
func (t *tables) Uploads(ctx context.Context, ref stream.TableRef) (stream.Uploads, error) {
	o, err := t.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.uploads == nil {
		options := t.uploads
		if options.AbortAge, err = t.abortAge(ctx, ref); err != nil {
			return nil, err
		}
		o.uploads = object.New(o.client, options)
	}
	return o.uploads, nil
}

// abortAge is how old an upload may become in the table's store, as far as that has been proven; 0: not known.
func (t *tables) abortAge(ctx context.Context, ref stream.TableRef) (time.Duration, error) {
	if t.proof == nil {
		return 0, nil
	}
	proof, err := t.proof(ctx, ref)
	if err != nil || proof == nil {
		return 0, err
	}
	return proof.AbortAge, nil
}

// Table in its catalog.
func (t *tables) Table(ctx context.Context, ref stream.TableRef) (stream.Table, error) {
	o, err := t.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return o.table, nil
}

// Store at a table's location.
func (t *tables) Store(ctx context.Context, ref stream.TableRef) (store.Client, error) {
	o, err := t.get(ctx, ref)
	if err != nil {
		return nil, err
	}
	return o.client, nil
}

func loadAWS(ctx context.Context) (aws.Config, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return c, stream.WithNext(fmt.Errorf("aws: %w: %w", stream.ErrDenied, err), "check AWS_PROFILE, AWS_REGION and the credentials that AWS tools use")
	}
	return c, nil
}
