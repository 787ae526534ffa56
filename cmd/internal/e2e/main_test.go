//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/deploy/real"
)

func TestOrdersBecomeATableOnS3InGlue(t *testing.T) {
	p := onS3(t, "main_s3")
	o := newOrders(t, p, 4)
	conf := p.pipeline(t)
	o.produce(30_000)
	if code, d := run(t, time.Minute, nil, "run", "--once", conf); code != 0 {
		t.Fatalf("exit %d, want 0:\n%s", code, d.stderr())
	}
	o.verify(p)
	o.produce(10_000)
	if code, d := run(t, time.Minute, nil, "run", "--once", conf); code != 0 {
		t.Fatalf("second run: exit %d, want 0:\n%s", code, d.stderr())
	}
	o.verify(p)

	var glue struct {
		Columns, Keys [][2]string
		Partitions    []string
		Input         string
	}
	out := real.RunPython(t, `
import boto3, json, sys
g = boto3.client("glue", endpoint_url=sys.argv[1], region_name="us-east-1")
t = g.get_table(DatabaseName="shop", Name=sys.argv[2])["Table"]
p = g.get_partitions(DatabaseName="shop", TableName=sys.argv[2])["Partitions"]
print(json.dumps({"Columns": [[c["Name"], c["Type"]] for c in t["StorageDescriptor"]["Columns"]], "Keys": [[c["Name"], c["Type"]] for c in t["PartitionKeys"]],
  "Partitions": sorted(x["Values"][0] + " " + x["StorageDescriptor"]["Location"] for x in p), "Input": t["StorageDescriptor"]["InputFormat"]}))
`, p.glue, p.name)
	if err := json.Unmarshal([]byte(out), &glue); err != nil {
		t.Fatal(err)
	}
	var want []string
	for d := range 4 {
		day := fmt.Sprintf("2026-01-%02d", d+1)
		want = append(want, day+" "+p.table()+"order_date="+day+"/")
	}
	for i := range glue.Partitions {
		if !strings.HasSuffix(glue.Partitions[i], "/") {
			glue.Partitions[i] += "/"
		}
	}
	if !slices.Equal(glue.Partitions, want) {
		t.Errorf("glue has partitions\n%v, want\n%v", glue.Partitions, want)
	}
	if len(glue.Keys) != 1 || glue.Keys[0] != [2]string{"order_date", "date"} {
		t.Errorf("glue has partition keys %v, want order_date date", glue.Keys)
	}
	if !slices.Contains(glue.Columns, [2]string{"gross_amount", "decimal(29,2)"}) || !slices.Contains(glue.Columns, [2]string{"created_at", "timestamp"}) {
		t.Errorf("glue has columns %v", glue.Columns)
	}
	if !strings.Contains(glue.Input, "MapredParquetInputFormat") {
		t.Errorf("glue has input format %s", glue.Input)
	}
}

func TestOrdersBecomeATableOnDisk(t *testing.T) {
	p := onDisk(t, "main_disk")
	o := newOrders(t, p, 3)
	conf := p.pipeline(t)
	o.produce(20_000)
	d := start(t, nil, "run", conf)
	until(t, 30*time.Second, "ready", func() bool { code, _ := d.get("/-/ready"); return code == 200 })
	until(t, 30*time.Second, "everything read", func() bool { return d.taken() == 20_000 })
	if code, _ := d.get("/-/healthy"); code != 200 {
		t.Errorf("/-/healthy answers %d, want 200", code)
	}
	d.signal(syscall.SIGTERM)
	if code := d.wait(40 * time.Second); code != 143 {
		t.Errorf("exit %d after SIGTERM, want 143", code)
	}
	o.verify(p)

	code, list := run(t, 20*time.Second, nil, "bookmarks", "list", "-o", "json", conf)
	var marks []struct {
		Partition, Position string
		Pending             int
	}
	if err := json.Unmarshal([]byte(list.stdout()), &marks); code != 0 || err != nil {
		t.Fatalf("bookmarks list: exit %d, %v\n%s", code, err, list.stdout())
	}
	if len(marks) != 3 || marks[0].Position != "6667" || marks[0].Pending != 0 {
		t.Errorf("got bookmarks %v, want three, the first at 6667 and nothing pending", marks)
	}
	code, commits := run(t, 20*time.Second, nil, "commits", "-o", "jsonl", conf)
	var records int64
	for line := range strings.Lines(commits.stdout()) {
		var c struct{ Records int64 }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		records += c.Records
	}
	if code != 0 || records != 20_000 {
		t.Errorf("commits: exit %d and %d records, want 0 and 20000", code, records)
	}
	if code, show := run(t, 20*time.Second, nil, "bookmarks", "show", conf, "kafka/main_disk/0"); code != 0 || !strings.Contains(show.stdout(), `"6667"`) {
		t.Errorf("bookmarks show: exit %d\n%s", code, show.stdout())
	}
}

func TestConservationIsCounted(t *testing.T) {
	p := onDisk(t, "main_counts")
	o := newOrders(t, p, 2)
	o.produce(5_000)
	d := start(t, nil, "run", p.pipeline(t))
	totals := o.gen.Totals(0, 5000)
	until(t, 30*time.Second, "all committed", func() bool {
		return int64(d.metric("millrace_sink_records_total", `sink="parquet"`)) >= totals.Rows && int64(d.metric("millrace_dead_letter_records_total")) >= totals.Dead &&
			int64(d.metric("millrace_source_skipped_records_total")) >= totals.Skipped
	})
	for name, want := range map[string]int64{
		`millrace_source_records_total`:           5000,
		`millrace_source_skipped_records_total`:   totals.Skipped,
		`millrace_dead_letter_records_total`:      totals.Dead,
		`millrace_conservation_imbalance_records`: 0,
	} {
		if got := int64(d.metric(name)); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	if got := int64(d.metric("millrace_sink_records_total", `sink="parquet"`)); got != totals.Rows {
		t.Errorf("millrace_sink_records_total is %d, want %d", got, totals.Rows)
	}
}
