//go:build integration

package hive_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/millrace/millrace/deploy/real"
	"github.com/millrace/millrace/sink/catalog/hive"
	"github.com/millrace/millrace/sink/sinktest"
	"github.com/millrace/millrace/stream"
	"github.com/millrace/millrace/stream/store"
)

func TestMain(m *testing.M) { real.Main(m) }

// databases numbers them: all tests share one server.
var databases atomic.Int64

// glueCatalog is the server seen by a client of its own.
type glueCatalog struct {
	endpoint string
	client   *glue.Client
	stores   hive.Stores
}

func newGlue(t testing.TB) *glueCatalog {
	t.Helper()
	endpoint := real.Glue(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &glueCatalog{endpoint: endpoint, client: glue.NewFromConfig(cfg, func(o *glue.Options) { o.BaseEndpoint = &endpoint })}
}

func (c *glueCatalog) Ref(testing.TB) stream.TableRef {
	n := databases.Add(1)
	return stream.TableRef{
		Name: "silver", Location: fmt.Sprintf("s3://lake/orders%d/", n),
		Catalog: stream.CatalogRef{Kind: "glue", Endpoint: c.endpoint, Database: fmt.Sprintf("silver_%d", n), Table: "orders"},
	}
}

func (c *glueCatalog) Open(t testing.TB, ref stream.TableRef) stream.Table {
	t.Helper()
	tab, err := hive.Open(t.Context(), ref, hive.Deps{Store: c.stores.At(ref.Location)})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return tab
}

func columnsOf(cs []types.Column) []sinktest.Column {
	var out []sinktest.Column
	for _, col := range cs {
		out = append(out, sinktest.Column{Name: aws.ToString(col.Name), Type: aws.ToString(col.Type)})
	}
	return out
}

func (c *glueCatalog) Read(t testing.TB, ref stream.TableRef) *sinktest.Entry {
	t.Helper()
	r := ref.Catalog
	out, err := c.client.GetTable(t.Context(), &glue.GetTableInput{DatabaseName: &r.Database, Name: &r.Table})
	if missing := (*types.EntityNotFoundException)(nil); errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	sd := out.Table.StorageDescriptor
	e := &sinktest.Entry{
		Columns: columnsOf(sd.Columns), Keys: columnsOf(out.Table.PartitionKeys), Location: aws.ToString(sd.Location), Properties: out.Table.Parameters,
	}
	pages := glue.NewGetPartitionsPaginator(c.client, &glue.GetPartitionsInput{DatabaseName: &r.Database, TableName: &r.Table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Partitions {
			e.Partitions = append(e.Partitions, sinktest.Partition{
				Values: p.Values, Location: aws.ToString(p.StorageDescriptor.Location), Columns: columnsOf(p.StorageDescriptor.Columns),
			})
		}
	}
	return e
}

func (c *glueCatalog) Write(t testing.TB, ref stream.TableRef, e sinktest.Entry) {
	t.Helper()
	c.Drop(t, ref)
	r := ref.Catalog
	columns := func(cs []sinktest.Column) []types.Column {
		out := []types.Column{}
		for _, col := range cs {
			out = append(out, types.Column{Name: &col.Name, Type: &col.Type})
		}
		return out
	}
	_, err := c.client.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: &types.DatabaseInput{Name: &r.Database}})
	if exists := (*types.AlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		t.Fatal(err)
	}
	sd := types.StorageDescriptor{Columns: columns(e.Columns), Location: &e.Location}
	if _, err := c.client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: &r.Database, TableInput: &types.TableInput{
		Name: &r.Table, Parameters: e.Properties, PartitionKeys: columns(e.Keys), StorageDescriptor: &sd,
	}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range e.Partitions {
		at := sd
		at.Location = &p.Location
		if _, err := c.client.CreatePartition(t.Context(), &glue.CreatePartitionInput{
			DatabaseName: &r.Database, TableName: &r.Table, PartitionInput: &types.PartitionInput{Values: p.Values, StorageDescriptor: &at},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *glueCatalog) Drop(t testing.TB, ref stream.TableRef) {
	t.Helper()
	_, err := c.client.DeleteTable(t.Context(), &glue.DeleteTableInput{DatabaseName: &ref.Catalog.Database, Name: &ref.Catalog.Table})
	if missing := (*types.EntityNotFoundException)(nil); err != nil && !errors.As(err, &missing) {
		t.Fatal(err)
	}
}

func TestGlue(t *testing.T) {
	sinktest.Table(t, func(t testing.TB) sinktest.Catalog { return newGlue(t) })
}

// TestGlueKeepsOneVersion: versions are a quota that never comes back.
func TestGlueKeepsOneVersion(t *testing.T) {
	c := newGlue(t)
	ref := c.Ref(t)
	tab := c.Open(t, ref)
	if err := tab.Claim(t.Context(), sinktest.Owner()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := tab.Ensure(t.Context(), sinktest.Columns("a", fmt.Sprintf("c%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.client.GetTableVersions(t.Context(), &glue.GetTableVersionsInput{DatabaseName: &ref.Catalog.Database, TableName: &ref.Catalog.Table})
	if err != nil || len(out.TableVersions) != 1 {
		t.Errorf("got %d versions, %v; want 1", len(out.TableVersions), err)
	}
	table := out.TableVersions[0].Table
	if sd := table.StorageDescriptor; aws.ToString(sd.SerdeInfo.SerializationLibrary) != "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe" ||
		!strings.HasSuffix(aws.ToString(sd.InputFormat), "MapredParquetInputFormat") || aws.ToString(table.TableType) != "EXTERNAL_TABLE" {
		t.Errorf("after updates the table reads as %s, %+v", aws.ToString(table.TableType), sd)
	}
}

// TestGlueLosesReplies: every change lands, and its reply is lost. Trying again finds it done; nothing is doubled.
func TestGlueLosesReplies(t *testing.T) {
	c := newGlue(t)
	target, err := url.Parse(c.endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	lost := map[string]int{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			_, op, _ := strings.Cut(r.Request.Header.Get("X-Amz-Target"), ".")
			mu.Lock()
			defer mu.Unlock()
			if lost[op]++; lost[op] == 1 && !strings.HasPrefix(op, "Get") && !strings.HasPrefix(op, "BatchGet") {
				return errors.New("cut")
			}
			return nil
		},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	ref := c.Ref(t)
	ref.Catalog.Endpoint = srv.URL
	ref.Partitions = []stream.PartitionColumn{{Name: "v", Type: "string"}}
	again := func(what string, f func() error) {
		t.Helper()
		for range 3 {
			if err = f(); err == nil {
				return
			}
			if !errors.Is(err, stream.ErrUnavailable) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		t.Fatalf("%s: %v", what, err)
	}
	tab := c.Open(t, ref)
	again("claim", func() error { return tab.Claim(t.Context(), sinktest.Owner()) })
	for _, s := range []string{"b", "c"} {
		again("ensure", func() error { _, err := tab.Ensure(t.Context(), sinktest.Columns("a", s, "v")); return err })
	}
	m := sinktest.Manifest(ref, 1, sinktest.Values(ref, "x"), sinktest.Values(ref, "y"))
	again("apply", func() error { return tab.Apply(t.Context(), []stream.Manifest{m}) })
	e := c.Read(t, ref)
	if len(e.Columns) != 3 || len(e.Partitions) != 2 {
		t.Errorf("got columns %v and partitions %v, want 3 and 2", e.Columns, e.Partitions)
	}
	for _, op := range []string{"CreateDatabase", "CreateTable", "UpdateTable", "BatchCreatePartition"} {
		if lost[op] == 0 {
			t.Errorf("%s was never called: %v", op, lost)
		}
	}
}

// orderSchema has a column of the file each for two types, and the partition columns.
func orderSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: "order_id", Type: arrow.BinaryTypes.String}, {Name: "quantity", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "country", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
	}, nil)
}

// readBack reads the table the way a stranger does: through the catalog, by boto3 and PyArrow.
const readBack = `
import sys, json, urllib.parse, boto3
import pyarrow as pa, pyarrow.parquet as pq, pyarrow.fs as fs
endpoint, s3endpoint, database, table = sys.argv[1:5]
s3 = fs.S3FileSystem(endpoint_override=s3endpoint, scheme='http', region='us-east-1')
glue = boto3.client('glue', endpoint_url=endpoint, region_name='us-east-1')
t = glue.get_table(DatabaseName=database, Name=table)['Table']
columns = t['StorageDescriptor']['Columns']
keys = [k['Name'] for k in t['PartitionKeys']]
rows = []
for page in glue.get_paginator('get_partitions').paginate(DatabaseName=database, TableName=table):
    for p in page['Partitions']:
        where = p['StorageDescriptor']['Location'].removeprefix('s3://')
        for f in s3.get_file_info(fs.FileSelector(where.rstrip('/'))):
            for row in pq.ParquetFile(s3.open_input_file(f.path)).read([c['Name'] for c in columns]).to_pylist():
                rows.append({**row, **dict(zip(keys, p['Values']))})
rows.sort(key=lambda r: r['order_id'])
print(json.dumps({'columns': [[c['Name'], c['Type']] for c in columns], 'rows': rows}, ensure_ascii=False))
`

// writeFiles puts a Parquet file of one row at each key.
const writeFiles = `
import sys, pyarrow as pa, pyarrow.parquet as pq, pyarrow.fs as fs
s3 = fs.S3FileSystem(endpoint_override=sys.argv[1], scheme='http', region='us-east-1')
for i, key in enumerate(sys.argv[2:]):
    with s3.open_output_stream(key) as out:
        pq.write_table(pa.table({'order_id': ['o-%d' % i], 'quantity': pa.array([i], pa.int32())}), out)
`

func TestGlueReadBack(t *testing.T) {
	c, bucket := newGlue(t), real.S3(t)
	ref := c.Ref(t)
	ref.Location = "s3://" + bucket.Name + "/silver/orders/"
	ref.Partitions = []stream.PartitionColumn{{Name: "country", Type: "string"}, {Name: "day", Type: "date"}}
	open := func() stream.Table {
		s3, err := store.Open(t.Context(), ref.Location, store.Options{Endpoint: bucket.Endpoint, PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := hive.Open(t.Context(), ref, hive.Deps{Store: s3})
		if err != nil {
			t.Fatal(err)
		}
		return tab
	}
	tab := open()
	if err := tab.Claim(t.Context(), sinktest.Owner()); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Ensure(t.Context(), orderSchema()); err != nil {
		t.Fatal(err)
	}
	m := sinktest.Manifest(ref, 1, sinktest.Values(ref, "DE", "2026-01-03"), sinktest.Values(ref, "a/b=c 🦀", "2026-01-04"),
		[]stream.PartitionValue{{Column: "country", Null: true}, {Column: "day", Value: "2026-01-04"}})
	args := []string{bucket.Endpoint}
	for _, f := range m.Files {
		args = append(args, path.Join(bucket.Name, "silver/orders", f.Key))
	}
	real.RunPython(t, writeFiles, args...)
	if err := tab.Apply(t.Context(), []stream.Manifest{m}); err != nil {
		t.Fatal(err)
	}
	got := strings.TrimSpace(real.RunPython(t, readBack, c.endpoint, bucket.Endpoint, ref.Catalog.Database, ref.Catalog.Table))
	want := `{"columns": [["order_id", "string"], ["quantity", "int"]], "rows": [` +
		`{"order_id": "o-0", "quantity": 0, "country": "DE", "day": "2026-01-03"}, ` +
		`{"order_id": "o-1", "quantity": 1, "country": "a/b=c 🦀", "day": "2026-01-04"}, ` +
		`{"order_id": "o-2", "quantity": 2, "country": "__HIVE_DEFAULT_PARTITION__", "day": "2026-01-04"}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	// A table without its claim, but with a stranger's files in the folder, is refused by the files alone.
	c.Drop(t, ref)
	if err := open().Claim(t.Context(), sinktest.Owner()); err != nil {
		t.Errorf("our own claim: %v", err)
	}
	other := sinktest.Owner()
	other.Incarnation = "beef"
	if err := open().Claim(t.Context(), other); !errors.Is(err, stream.ErrForeign) {
		t.Errorf("another ledger: got %v, want foreign", err)
	}
	if err := os.Remove(path.Join(bucket.Dir, "s3", "data", bucket.Name, "silver/orders/_millrace.json")); err != nil {
		t.Fatal(err)
	}
	if err := open().Claim(t.Context(), other); !errors.Is(err, stream.ErrForeign) || !strings.Contains(err.Error(), ".parquet") {
		t.Errorf("another ledger, the claim removed: got %v, want foreign, for the files", err)
	}
	if err := open().Claim(t.Context(), sinktest.Owner()); err != nil {
		t.Errorf("our own files, the claim removed: %v", err)
	}
}
