package stream

import (
	"context"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
)

// TableRef is all that is needed to publish to a table, kept in manifests. It holds no secret: credentials come from the
// process's environment.
type TableRef struct {
	Name       string            `json:"name"`     // of the sink
	Location   string            `json:"location"` // s3://bucket/prefix/ or an absolute folder
	Store      StoreRef          `json:"store"`
	Catalog    CatalogRef        `json:"catalog"`
	Partitions []PartitionColumn `json:"partitions,omitempty"`
}

// StoreRef says how an object store is reached.
type StoreRef struct {
	Endpoint  string `json:"endpoint,omitempty"` // empty: AWS
	Region    string `json:"region,omitempty"`
	PathStyle bool   `json:"path_style,omitempty"`
}

// CatalogRef says where a table is registered.
type CatalogRef struct {
	Kind           string `json:"kind,omitempty"` // glue | local; empty: nowhere
	Database       string `json:"database,omitempty"`
	Table          string `json:"table,omitempty"`
	Endpoint       string `json:"endpoint,omitempty"`
	Region         string `json:"region,omitempty"`
	Path           string `json:"path,omitempty"`             // local: absolute folder
	OnSchemaChange string `json:"on_schema_change,omitempty"` // fail | add_columns | evolve
}

// PartitionColumn is a column whose value is in the folder's name instead of the file.
type PartitionColumn struct {
	Name string `json:"name"`
	Type string `json:"type"` // as written in the configuration: date, string, int32, …
}

// PartitionValue is one folder level: order_date=2026-01-03. Value is unescaped.
type PartitionValue struct {
	Column string `json:"column"`
	Value  string `json:"value"`
	Null   bool   `json:"null,omitempty"`
}

// File is a data file of a transaction: uploaded, invisible until published.
type File struct {
	Table     string           `json:"table"` // key of Manifest.Tables
	Key       string           `json:"key"`   // below the table's location
	Partition []PartitionValue `json:"partition,omitempty"`
	Bytes     int64            `json:"bytes"`
	Rows      int64            `json:"rows"`
	Upload    StagedRef        `json:"upload"`
}

// StagedRef is what it takes to publish or discard an upload.
type StagedRef struct {
	Key       string     `json:"key"`
	UploadID  string     `json:"upload_id"`
	Parts     []PartRef  `json:"parts"`
	Bytes     int64      `json:"bytes"`
	CRC64NVME string     `json:"crc64nvme"` // of the whole object, base64 of the big-endian value
	Txn       string     `json:"txn"`
	Started   Micros     `json:"started"`
	Meta      UploadMeta `json:"-"`
}

// PartRef is one uploaded part.
type PartRef struct {
	N         int32  `json:"n"`
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
	CRC64NVME string `json:"crc64nvme,omitempty"` // some stores want it again when the upload is completed
}

// UploadMeta goes with an object: who made it.
type UploadMeta struct {
	Txn TxnID
}

// Staged is a file being uploaded. Write may send parts as they fill up; nothing is visible.
type Staged interface {
	io.Writer
	// Buffered is the number of bytes held in memory; counted in the memory limit.
	Buffered() int64
	// Seal uploads the rest and returns when everything is durable, though invisible (W2).
	Seal(ctx context.Context) (StagedRef, error)
	// Abort drops the upload. Never after a commit that names it was sent.
	Abort(ctx context.Context) error
}

// Uploads stages, verifies and publishes the files of one table. Implementations: sink/object, over the file and S3 stores.
type Uploads interface {
	// Stage begins a file. ctx covers its whole life up to Seal.
	Stage(ctx context.Context, key string, m UploadMeta) (Staged, error)
	// Verify checks sizes and checksums against what the store says (W3).
	Verify(ctx context.Context, r StagedRef) error
	// Publish makes it visible (W7), any number of times. ErrForeign: another's object is there. ErrNoUpload: neither the upload
	// nor the object exists; the head decides what that means.
	Publish(ctx context.Context, r StagedRef) error
	Discard(ctx context.Context, r StagedRef) error
	// Pending lists uploads that are not published, for garbage.
	Pending(ctx context.Context, prefix string) iter.Seq2[StagedRef, error]
}

// Encoder makes one file. It is used by one goroutine.
type Encoder interface {
	// Write appends the selected rows of b.
	Write(b *Batch) error
	// Flush encodes the rows held and gives back their memory, so that they leave for the file as a smaller part of it. It
	// is called when memory is short, and does nothing without rows.
	Flush() error
	// Buffered is the memory held, by our own count.
	Buffered() int64
	// Written is the number of bytes that have left for the file so far.
	Written() int64
	// Close ends the file. meta goes into its footer.
	Close(meta map[string]string) (rows int64, err error)
}

// Owner names the one ledger that writes a table.
type Owner struct {
	Pipeline    string `json:"pipeline"`
	Incarnation string `json:"incarnation"`
	Ledger      string `json:"ledger"` // its location, for people
}

// Table is a table's entry in its catalog, opened from a TableRef alone. Implementations: sink/catalog/hive.
type Table interface {
	// Claim writes the owner to <location>/_millrace.json and the catalog. Another owner there: ErrForeign.
	Claim(ctx context.Context, o Owner) error
	// Ensure creates the table, or evolves it by policy, and returns the schema that files are written with. Partition
	// columns are part of s and not of the files. A change that the policy forbids is ErrPermanent and names the column.
	Ensure(ctx context.Context, s *arrow.Schema) (*arrow.Schema, error)
	// Apply registers what the manifests brought (W8); any number of times.
	Apply(ctx context.Context, ms []Manifest) error
}

// Tables opens what a manifest names.
type Tables interface {
	Uploads(ctx context.Context, t TableRef) (Uploads, error)
	Table(ctx context.Context, t TableRef) (Table, error)
}

// Sink routes rows to the files of one table. It is shared by all lanes, whose files it bounds together.
// Implementation: sink.Sink.
type Sink interface {
	Ref() TableRef
	// Begin opens the writing of one transaction. Nothing is created before the first row.
	Begin(id TxnID) TableWriter
}

// TableWriter holds the open files of one transaction in one table. Write and Seal are called by one goroutine at a time.
type TableWriter interface {
	// Write routes the selected rows (W0). It blocks while memory is short. Rows that cannot be routed go to b.Reject.
	Write(ctx context.Context, b *Batch) error
	// Size is the number of bytes that the open and closed files will have, about: commit_size looks at it.
	Size() int64
	// Seal closes, uploads and verifies every file (W2, W3). footer goes into each file.
	Seal(ctx context.Context, footer map[string]string) ([]File, error)
	// Abort drops everything. Never after a commit of these files was sent.
	Abort(ctx context.Context) error
}
