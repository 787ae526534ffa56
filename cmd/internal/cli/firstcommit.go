package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

// firstCommit tells, once, what the first published transaction looks like: its folders, some rows, and what to try next.
type firstCommit struct {
	r     *demoRun
	ready chan string
	once  sync.Once
}

func newFirstCommit(r *demoRun) *firstCommit {
	return &firstCommit{r: r, ready: make(chan string, 1)}
}

// sampleColumns are those that tell the story, in the order of telling it.
func sampleColumns() []string {
	return []string{"order_id", "country", "quantity", "amount", "gross_amount", "status", "created_at"}
}

const sampleCount = 5

// published is told of every transaction that readers can see, by many goroutines.
func (f *firstCommit) published(m stream.Manifest) {
	files := slices.DeleteFunc(slices.Clone(m.Files), func(f stream.File) bool { return f.Table == daemon.DeadLetters })
	if len(files) == 0 {
		return
	}
	f.once.Do(func() { f.ready <- f.text(m, files) })
}

// show waits for the first transaction.
func (f *firstCommit) show(ctx context.Context) {
	select {
	case <-ctx.Done():
	case text := <-f.ready:
		f.print(text)
	}
}

// showNow shows it if it is there and was not shown.
func (f *firstCommit) showNow() {
	select {
	case text := <-f.ready:
		f.print(text)
	default:
	}
}

func (f *firstCommit) print(text string) {
	if !f.r.g.quiet {
		f.r.g.screen.over(func() { _, _ = io.WriteString(f.r.g.env.Stdout, text) })
	}
}

func (f *firstCommit) text(m stream.Manifest, files []stream.File) string {
	var b strings.Builder
	var rows int64
	for _, x := range files {
		rows += x.Rows
	}
	out := f.r.g.env.Stdout
	fmt.Fprintf(&b, "%s after %.1f s: %s, %s\n", paint(f.r.g.colours(out), green, "first commit"),
		time.Since(f.r.begin).Seconds(), plural(int64(len(files)), "file"), plural(rows, "row"))
	writeFolders(&b, f.r.path("lake", demoTopic), files)
	b.WriteByte('\n')
	header, cells, err := sampleRows(filepath.Join(m.Tables[files[0].Table].Location, files[0].Key), sampleCount, sampleColumns())
	if err != nil {
		fmt.Fprintf(&b, "  (no rows to show: %v)\n", err)
	} else {
		writeRows(&b, header, cells, rows, outWidth(out))
	}
	b.WriteByte('\n')
	f.try(&b)
	b.WriteByte('\n')
	return b.String()
}

// writeFolders lists the folders of files with how much is in each.
func writeFolders(b *strings.Builder, root string, files []stream.File) {
	type folder struct{ files, bytes int64 }
	tree := map[string]folder{}
	for _, x := range files {
		at := tree[filepath.Dir(x.Key)]
		tree[filepath.Dir(x.Key)] = folder{at.files + 1, at.bytes + x.Bytes}
	}
	names := slices.Sorted(maps.Keys(tree))
	const most = 7
	more := 0
	if len(names) > most {
		names, more = names[:most-1], len(names)-most+1
	}
	var table [][]string
	for _, k := range names {
		table = append(table, []string{root + "/" + k + "/", plural(tree[k].files, "file"), size(tree[k].bytes)})
	}
	writeTable(b, table)
	if more > 0 {
		fmt.Fprintf(b, "  … and %s\n", plural(int64(more), "more folder"))
	}
}

// size is a number of bytes for people: 1.9 MiB.
func size(n int64) string {
	s := stream.Bytes(n).String()
	at := strings.IndexFunc(s, func(r rune) bool { return r >= 'A' })
	return s[:at] + " " + s[at:]
}

// writeRows prints the first rows of a file, as many columns as fit into width.
func writeRows(b *strings.Builder, header []string, cells [][]string, of int64, width int) {
	at := 0
	fits := len(header)
	for i, h := range header {
		w := across(h)
		for _, r := range cells {
			w = max(w, across(r[i]))
		}
		if at += w + gap; at > width && i > 0 {
			fits = i
			break
		}
	}
	table := [][]string{header[:fits]}
	for _, r := range cells {
		table = append(table, r[:fits])
	}
	writeTable(b, table)
	if left := of - int64(len(cells)); left > 0 {
		fmt.Fprintf(b, "  … and %s\n", plural(left, "more row"))
	}
}

// writeTable aligns the cells of a table below each other, those with numbers to the right.
func writeTable(b *strings.Builder, table [][]string) {
	width := widths(table)
	for _, r := range table {
		line := ""
		for i, c := range r {
			line += "  " + aligned(table, i, c, width[i])
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// outWidth is that of standard output, if it is a terminal; else what most are.
func outWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return columns(f)
	}
	return 120
}

// try names what can be done next, with commands that can be copied.
func (f *firstCommit) try(b *strings.Builder) {
	r, me := f.r, self()
	file := r.path(demoFile)
	for i, line := range []string{
		me + " commits -n 5 " + file,
		me + " bookmarks list " + file,
		"curl -s " + r.url + "/metrics | grep ^millrace_",
		fmt.Sprintf("kill -9 %d, then start it again: no row is lost, none comes twice", os.Getpid()),
		me + " run --addr 127.0.0.1:0 " + file,
		"  in another terminal: a second worker, which takes half of the lanes",
	} {
		head := "      "
		if i == 0 {
			head = "try   "
		}
		b.WriteString(head + line + "\n")
	}
}
