//go:build integration

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/millrace/millrace/deploy/real"
)

// lake is what another program sees of a place: objects by their keys below place.lake.
type lake struct {
	t      testing.TB
	dir    string // local disk
	client *s3.Client
	bucket string
}

func (p place) open(t testing.TB) *lake {
	t.Helper()
	if p.s3 == "" {
		return &lake{t: t, dir: p.lake}
	}
	return &lake{t: t, bucket: strings.TrimPrefix(p.lake, "s3://"), client: s3.New(s3.Options{
		BaseEndpoint: aws.String(p.s3), UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(real.User, real.Password, ""),
	})}
}

// list returns the keys below prefix, which ends with a slash.
func (l *lake) list(prefix string) ([]string, error) {
	var keys []string
	if l.client == nil {
		err := filepath.WalkDir(filepath.Join(l.dir, prefix), func(file string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone meanwhile, or not there yet
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(l.dir, file)
			keys = append(keys, filepath.ToSlash(rel))
			return err
		})
		return keys, err
	}
	pages := s3.NewListObjectsV2Paginator(l.client, &s3.ListObjectsV2Input{Bucket: &l.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

func (l *lake) get(key string) ([]byte, error) {
	if l.client == nil {
		return os.ReadFile(filepath.Join(l.dir, key))
	}
	o, err := l.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &l.bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Body.Close() }()
	return io.ReadAll(o.Body)
}

// put writes an object as a stranger would.
func (l *lake) put(key string, b []byte) {
	l.t.Helper()
	var err error
	if l.client == nil {
		file := filepath.Join(l.dir, key)
		if err = os.MkdirAll(filepath.Dir(file), 0o750); err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
	} else {
		_, err = l.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &l.bucket, Key: &key, Body: bytes.NewReader(b)})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *lake) remove(key string) {
	l.t.Helper()
	var err error
	if l.client == nil {
		err = os.Remove(filepath.Join(l.dir, key))
	} else {
		_, err = l.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &l.bucket, Key: &key})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// read is get, for what must be there.
func (l *lake) read(key string) []byte {
	l.t.Helper()
	b, err := l.get(key)
	if err != nil {
		l.t.Fatalf("%s: %v", key, err)
	}
	return b
}

// all is every object below prefix.
func (l *lake) all(prefix string) map[string]string {
	l.t.Helper()
	keys, err := l.list(prefix)
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]string{}
	for _, k := range keys {
		out[k] = string(l.read(k))
	}
	return out
}

// openUploads are the multipart uploads that are neither completed nor aborted.
func (l *lake) openUploads() []string {
	l.t.Helper()
	// In a folder an upload is what has a log. Bytes without one are what a kill left between two files: no upload yet, and swept
	// after a day.
	if l.client == nil {
		var staged []string
		_ = filepath.WalkDir(l.dir, func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.Contains(filepath.ToSlash(file), "/_millrace/staging/") && strings.HasSuffix(file, ".log") {
				staged = append(staged, file)
			}
			return nil
		})
		return staged
	}
	out, err := l.client.ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{Bucket: &l.bucket})
	if err != nil {
		l.t.Fatal(err)
	}
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, *u.Key)
	}
	return keys
}

// head is what the tests look at in a lane's head.
type head struct {
	Incarnation, Lane, Owner string
	Epoch, N, Retired        uint64
	Epochs                   [][2]uint64
	Partitions               map[string]struct{ Position string }
}

// committed tells whether number n was committed in epoch e.
func (h head) committed(e, n uint64) bool {
	if n > h.N {
		return false
	}
	for _, x := range h.Epochs {
		if n <= x[1] {
			return x[0] == e
		}
	}
	return false
}

func (p place) ledger() string { return "ledger/" + p.name + "/" }

func (l *lake) head(p place, lane string) (head, error) {
	var h head
	b, err := l.get(p.ledger() + "lanes/" + lane + ".json")
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	return h, err
}

// heads are those of every lane; empty: the ledger is not there yet, or its store is away.
func (l *lake) heads(p place) map[string]head {
	keys, _ := l.list(p.ledger() + "lanes/")
	out := map[string]head{}
	for _, k := range keys {
		name, json := strings.CutSuffix(path.Base(k), ".json")
		if h, err := l.head(p, name); json && err == nil {
			out[name] = h
		}
	}
	return out
}

// caughtUp tells whether the ledger's positions are behind the last record of every partition, and nothing is pending.
func (l *lake) caughtUp(p place, o *orders) bool {
	at := map[string]int64{}
	for _, h := range l.heads(p) {
		if h.Retired < h.N {
			return false
		}
		for id, b := range h.Partitions {
			at[id], _ = strconv.ParseInt(b.Position, 10, 64)
		}
	}
	for part, end := range o.ends() {
		if at[fmt.Sprintf("kafka/%s/%d", o.topic, part)] < end {
			return false
		}
	}
	return true
}

// lanes is how many lanes the daemon holds.
func (d *daemon) lanes() int { return int(d.metric("millrace_pipeline_lanes")) }

// taken is how many records the lanes have taken from the source: a drain commits these.
func (d *daemon) taken() (n int64) {
	_, body := d.get("/api/v1/pipelines")
	var ps []struct{ Records int64 }
	_ = json.Unmarshal([]byte(body), &ps) // nothing yet: asked again
	for _, p := range ps {
		n += p.Records
	}
	return n
}

// with returns the configuration with one text in place of another that must be in it.
func with(t testing.TB, conf, old, now string) string {
	t.Helper()
	b, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s does not hold %q:\n%s", conf, old, b)
	}
	return write(t, filepath.Base(conf), strings.Replace(string(b), old, now, 1))
}

// bookmark is a line of `millrace bookmarks list`.
type bookmark struct {
	Partition, Position, Lane string
	Pending                   int
}

func bookmarks(t testing.TB, conf string) []bookmark {
	t.Helper()
	var marks []bookmark
	code, list := run(t, time.Minute, nil, "bookmarks", "list", "-o", "json", conf)
	if err := json.Unmarshal([]byte(list.stdout()), &marks); code != 0 || err != nil {
		t.Fatalf("bookmarks list: exit %d, %v\n%s%s", code, err, list.stdout(), list.stderr())
	}
	return marks
}

// settled checks what must hold after a clean end: nothing pending, every partition read to its end.
func (o *orders) settled(conf string) {
	o.t.Helper()
	ends := o.ends()
	marks := bookmarks(o.t, conf)
	if len(marks) != len(ends) {
		o.t.Errorf("%d bookmarks, want %d: %v", len(marks), len(ends), marks)
	}
	for _, m := range marks {
		part, _ := strconv.Atoi(m.Partition[strings.LastIndexByte(m.Partition, '/')+1:])
		if want := strconv.FormatInt(ends[int32(part)], 10); m.Position != want || m.Pending != 0 {
			o.t.Errorf("bookmark of %s: %s with %d pending, want %s with none", m.Partition, m.Position, m.Pending, want)
		}
	}
}

// ends are the offsets behind the last record produced, by partition.
func (o *orders) ends() map[int32]int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	ends := map[int32]int64{}
	for part := range o.parts {
		ends[part] = 0
	}
	for _, r := range o.placed {
		ends[r.partition] = max(ends[r.partition], r.offset+1)
	}
	return ends
}

// sameObjects fails if an object changed, came or went.
func sameObjects(t testing.TB, what string, before, after map[string]string) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if now, ok := after[k]; !ok || now != before[k] {
			t.Errorf("%s: %s has changed (still there: %t)", what, k, ok)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[k]; !ok {
			t.Errorf("%s: %s was added", what, k)
		}
	}
}

// peak is the most memory that the process has held, in bytes.
func (d *daemon) peak() int64 {
	d.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return kb << 10
		}
	}
	d.t.Fatal("the system does not say how much memory the process has held")
	return 0
}
