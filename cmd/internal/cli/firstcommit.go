package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

// firstCommit tells, once, what the first published transactions look like: the folder as a tree, and some rows.
type firstCommit struct {
	dir   string
	begin time.Time
	ready chan string
	once  sync.Once
}

func newFirstCommit(dir string) *firstCommit {
	return &firstCommit{dir: dir, begin: time.Now(), ready: make(chan string, 1)}
}

// sampleColumns are those that tell the story in the width of a terminal.
func sampleColumns() []string {
	return []string{"order_id", "country", "amount", "quantity", "gross_amount", "status", "created_at"}
}

func (f *firstCommit) published(m stream.Manifest) {
	files := slices.DeleteFunc(slices.Clone(m.Files), func(f stream.File) bool { return f.Table == daemon.DeadLetters })
	if len(files) == 0 {
		return
	}
	f.once.Do(func() { f.ready <- f.text(m, files) })
}

func (f *firstCommit) text(m stream.Manifest, files []stream.File) string {
	var b strings.Builder
	var rows int64
	type folder struct{ files, bytes int64 }
	tree := map[string]folder{}
	for _, x := range files {
		rows += x.Rows
		key := filepath.Dir(x.Key)
		at := tree[key]
		tree[key] = folder{at.files + 1, at.bytes + x.Bytes}
	}
	location := m.Tables[files[0].Table].Location
	shown := location
	if abs, err := filepath.Abs(f.dir); err == nil {
		if rel, err := filepath.Rel(abs, location); err == nil {
			shown = filepath.Join(f.dir, rel)
		}
	}
	fmt.Fprintf(&b, "first commit after %.1f s: %s files, %s rows\n", time.Since(f.begin).Seconds(), count(int64(len(files))), count(rows))
	names := slices.Sorted(maps.Keys(tree))
	const most = 6
	for i, k := range names {
		if i == most {
			fmt.Fprintf(&b, "  … %d folders more\n", len(names)-most)
			break
		}
		fmt.Fprintf(&b, "  %s/%s/  %s  %s\n", shown, k, plural(tree[k].files, "file"), stream.Bytes(tree[k].bytes))
	}
	b.WriteByte('\n')
	header, cells, err := sampleRows(filepath.Join(location, files[0].Key), 5, sampleColumns())
	if err != nil {
		fmt.Fprintf(&b, "  (no rows to show: %v)\n", err)
	} else {
		writeRows(&b, header, cells)
	}
	b.WriteByte('\n')
	return b.String()
}

// writeRows prints rows below each other, as many columns as fit into a usual terminal.
func writeRows(b *strings.Builder, header []string, cells [][]string) {
	const width = 118
	at := 2
	var shown []int
	var widths []int
	for i, h := range header {
		w := utf8.RuneCountInString(h)
		for _, r := range cells {
			w = max(w, utf8.RuneCountInString(r[i]))
		}
		if at+w > width {
			break
		}
		at += w + 2
		shown, widths = append(shown, i), append(widths, w)
	}
	line := func(row []string) {
		b.WriteByte(' ')
		for k, i := range shown {
			pad := strings.Repeat(" ", widths[k]-utf8.RuneCountInString(row[i]))
			if numeric(row[i]) {
				b.WriteString(" " + pad + row[i] + " ")
			} else {
				b.WriteString(" " + row[i] + pad + " ")
			}
		}
		b.WriteByte('\n')
	}
	line(header)
	for _, r := range cells {
		line(r)
	}
}

func plural(n int64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return count(n) + " " + word + "s"
}
