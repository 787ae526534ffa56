package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/millrace/millrace/stream"
)

// How Hive, Athena and Spark read a table of Parquet files.
const (
	inputFormat  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
	outputFormat = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
	serde        = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
)

// glueTimeout bounds one call: Glue answers within seconds or not at all.
const glueTimeout = 30 * time.Second

// glueTable is one table of the Glue Data Catalog.
type glueTable struct {
	client   *glue.Client
	database string
	table    string
}

func openGlue(ctx context.Context, c stream.CatalogRef, load func(context.Context) (aws.Config, error)) (*glueTable, error) {
	if load == nil {
		load = func(ctx context.Context) (aws.Config, error) {
			return config.LoadDefaultConfig(ctx, config.WithHTTPClient(awshttp.NewBuildableClient()))
		}
	}
	cfg, err := load(ctx)
	if err != nil {
		err = fmt.Errorf("catalog: AWS configuration: %w: %w", stream.ErrDenied, err)
		return nil, stream.WithNext(err, "check AWS_PROFILE, ~/.aws/config and the AWS_* variables")
	}
	region := c.Region
	if region == "" {
		region = cfg.Region
	}
	if region == "" {
		err := fmt.Errorf("catalog: no AWS region is set: %w", stream.ErrPermanent)
		return nil, stream.WithNext(err, "set AWS_REGION, or store.s3.region")
	}
	client := glue.NewFromConfig(cfg, func(o *glue.Options) {
		o.Region = region
		if c.Endpoint != "" {
			o.BaseEndpoint = &c.Endpoint
		}
		// A repeated UpdateTable whose first reply was lost fails, though it is done. So nothing is repeated unseen.
		o.Retryer = aws.NopRetryer{}
	})
	return &glueTable{client, c.Database, c.Table}, nil
}

func (g *glueTable) Table(ctx context.Context) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	out, err := g.client.GetTable(ctx, &glue.GetTableInput{DatabaseName: &g.database, Name: &g.table})
	if err != nil {
		return nil, glueError(err)
	}
	t := out.Table
	e := &entry{Keys: fromGlue(t.PartitionKeys), Properties: t.Parameters, version: aws.ToString(t.VersionId), native: t}
	if t.StorageDescriptor != nil {
		e.Location, e.Columns = aws.ToString(t.StorageDescriptor.Location), fromGlue(t.StorageDescriptor.Columns)
		if b, err := json.Marshal(t.StorageDescriptor); err == nil { // not quite as it is sent, and not shorter
			e.weight = len(b)
		}
	}
	return e, nil
}

func (g *glueTable) Create(ctx context.Context, e *entry) error {
	err := g.createTable(ctx, e)
	if !errors.Is(err, errMissing) {
		return err
	}
	// The database is made only when it is missing, as the right to make one is seldom given.
	if err := g.createDatabase(ctx); err != nil && !errors.Is(err, errExists) {
		return fmt.Errorf("create database %s: %w", g.database, err)
	}
	return g.createTable(ctx, e)
}

func (g *glueTable) createDatabase(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	_, err := g.client.CreateDatabase(ctx, &glue.CreateDatabaseInput{DatabaseInput: &types.DatabaseInput{Name: &g.database}})
	return glueError(err)
}

func (g *glueTable) createTable(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	_, err := g.client.CreateTable(ctx, &glue.CreateTableInput{DatabaseName: &g.database, TableInput: &types.TableInput{
		Name:          &g.table,
		TableType:     aws.String("EXTERNAL_TABLE"),
		Parameters:    e.Properties,
		PartitionKeys: toGlue(e.Keys, nil),
		StorageDescriptor: &types.StorageDescriptor{
			Columns:         toGlue(e.Columns, nil),
			Location:        aws.String(glueLocation(e.Location)),
			InputFormat:     aws.String(inputFormat),
			OutputFormat:    aws.String(outputFormat),
			NumberOfBuckets: -1,
			SerdeInfo: &types.SerDeInfo{
				SerializationLibrary: aws.String(serde),
				Parameters:           map[string]string{"serialization.format": "1"},
			},
		},
	}})
	return glueError(err)
}

func (g *glueTable) Update(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	t, ok := e.native.(*types.Table)
	if !ok || t.StorageDescriptor == nil {
		return fmt.Errorf("the table has no storage descriptor: %w", stream.ErrPermanent)
	}
	sd := *t.StorageDescriptor
	sd.Columns = toGlue(e.Columns, sd.Columns)
	in := &glue.UpdateTableInput{
		DatabaseName: &g.database,
		SkipArchive:  aws.Bool(true), // a table may have 100,000 versions, for ever
		TableInput: &types.TableInput{
			Name: &g.table, Description: t.Description, LastAccessTime: t.LastAccessTime, LastAnalyzedTime: t.LastAnalyzedTime,
			Owner: t.Owner, Parameters: e.Properties, PartitionKeys: t.PartitionKeys, Retention: t.Retention, StorageDescriptor: &sd,
			TableType: t.TableType, TargetTable: t.TargetTable, ViewExpandedText: t.ViewExpandedText, ViewOriginalText: t.ViewOriginalText,
		},
	}
	if e.version != "" {
		in.VersionId = &e.version
	}
	_, err := g.client.UpdateTable(ctx, in)
	return glueError(err)
}

func (g *glueTable) Add(ctx context.Context, e *entry, ps []partition) ([]partition, error) {
	ctx, cancel := context.WithTimeout(ctx, glueTimeout)
	defer cancel()
	t, ok := e.native.(*types.Table)
	if !ok || t.StorageDescriptor == nil {
		return nil, fmt.Errorf("the table has no storage descriptor: %w", stream.ErrPermanent)
	}
	in := &glue.BatchCreatePartitionInput{DatabaseName: &g.database, TableName: &g.table}
	byKey := map[string]partition{}
	for _, p := range ps {
		sd := *t.StorageDescriptor // the table's columns, or readers find a schema mismatch
		sd.Location = aws.String(glueLocation(p.Location))
		in.PartitionInputList = append(in.PartitionInputList, types.PartitionInput{Values: p.Values, StorageDescriptor: &sd})
		byKey[p.key()] = p
	}
	out, err := g.client.BatchCreatePartition(ctx, in)
	if err != nil {
		return nil, glueError(err)
	}
	var existing []partition
	var failed []error
	for _, pe := range out.Errors {
		err := glueCode(detail(pe.ErrorDetail))
		if errors.Is(err, errExists) {
			if p, ok := byKey[partition{Values: pe.PartitionValues}.key()]; ok {
				existing = append(existing, p)
				continue
			}
		}
		failed = append(failed, fmt.Errorf("partition %q: %w", pe.PartitionValues, err))
	}
	return existing, errors.Join(failed...)
}

func (g *glueTable) Locations(ctx context.Context, ps []partition) (map[string]string, error) {
	at := map[string]string{}
	in := &glue.BatchGetPartitionInput{DatabaseName: &g.database, TableName: &g.table}
	for _, p := range ps {
		in.PartitionsToGet = append(in.PartitionsToGet, types.PartitionValueList{Values: p.Values})
	}
	for len(in.PartitionsToGet) > 0 {
		call, cancel := context.WithTimeout(ctx, glueTimeout)
		out, err := g.client.BatchGetPartition(call, in)
		cancel()
		if err != nil {
			return nil, glueError(err)
		}
		for _, p := range out.Partitions {
			if p.StorageDescriptor != nil {
				at[partition{Values: p.Values}.key()] = aws.ToString(p.StorageDescriptor.Location)
			}
		}
		if len(out.UnprocessedKeys) >= len(in.PartitionsToGet) {
			return nil, fmt.Errorf("no partition was processed: %w", stream.ErrUnavailable)
		}
		in.PartitionsToGet = out.UnprocessedKeys
	}
	return at, nil
}

// glueLocation writes a local folder as the address that Hive and Spark expect.
func glueLocation(s string) string {
	if strings.HasPrefix(s, "/") {
		return "file://" + s
	}
	return s
}

func fromGlue(cs []types.Column) []column {
	var out []column
	for _, c := range cs {
		out = append(out, column{aws.ToString(c.Name), aws.ToString(c.Type)})
	}
	return out
}

// toGlue writes columns, with the comments and properties that they have in the catalog already.
func toGlue(cs []column, have []types.Column) []types.Column {
	out := []types.Column{} // not nil: Athena wants partition keys to be there, if only as an empty list
	for i, c := range cs {
		g := types.Column{}
		if i < len(have) {
			g = have[i]
			g.Parameters = maps.Clone(g.Parameters)
		}
		g.Name, g.Type = &c.Name, &c.Type
		out = append(out, g)
	}
	return out
}
