//go:build integration

package e2e

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// dataName takes the name of a data file apart: incarnation, lane, epoch, number.
var dataName = regexp.MustCompile(`^([0-9a-f]+)-([a-z0-9_.]+)-(\d+)-(\d+)-\d+\.parquet$`)

// lister looks at a place as its readers do, again and again, and notes every file that should not be visible.
type lister struct {
	l     *lake
	p     place
	quit  chan struct{}
	wg    sync.WaitGroup
	seen  map[string]bool
	wrong []string
	looks int
}

// watch begins to look. The answer ends it and reports.
func watch(t testing.TB, p place) (stop func()) {
	t.Helper()
	w := &lister{l: p.open(t), p: p, quit: make(chan struct{}), seen: map[string]bool{}}
	w.wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			w.look()
			select {
			case <-w.quit:
				return
			case <-tick.C:
			}
		}
	})
	var once sync.Once
	end := func() {
		once.Do(func() {
			close(w.quit)
			w.wg.Wait()
			w.look()
			for _, s := range w.wrong {
				t.Errorf("visible, but %s", s)
			}
			t.Logf("listed %d times: %d files seen, %d wrong", w.looks, len(w.seen), len(w.wrong))
		})
	}
	t.Cleanup(end)
	return end
}

func (w *lister) look() {
	w.looks++
	for _, table := range []string{w.p.name + "/", "dead/" + w.p.name + "/"} {
		keys, err := w.l.list(table)
		if err != nil {
			continue // the store is away
		}
		for _, k := range keys {
			if strings.HasSuffix(k, ".parquet") && !w.seen[k] {
				if why, err := w.fault(k); err == nil {
					w.seen[k] = true
					if why != "" {
						w.wrong = append(w.wrong, k+": "+why)
					}
				}
			}
		}
	}
}

// fault says what is wrong with a visible file. The head is read after the file was seen: had the file come before its commit,
// it would be caught unless the commit fell in between.
func (w *lister) fault(key string) (string, error) {
	m := dataName.FindStringSubmatch(path.Base(key))
	if m == nil {
		return "its name is not that of a transaction", nil
	}
	h, err := w.l.head(w.p, m[2])
	if err != nil {
		return "", err
	}
	e, _ := strconv.ParseUint(m[3], 10, 64)
	n, _ := strconv.ParseUint(m[4], 10, 64)
	if h.Incarnation != m[1] || !h.committed(e, n) {
		return fmt.Sprintf("transaction %d of epoch %d is not committed: the head has %d in epochs %v", n, e, h.N, h.Epochs), nil
	}
	b, err := w.l.get(key)
	if err != nil {
		return "", err
	}
	const magic = "PAR1"
	if len(b) < 12 || string(b[:4]) != magic || string(b[len(b)-4:]) != magic ||
		footerLength(b) > len(b)-12 {
		return fmt.Sprintf("its %d bytes are not a whole Parquet file", len(b)), nil
	}
	return "", nil
}

// footerLength is what a Parquet file says of its footer, in the four bytes before the last four.
func footerLength(b []byte) int {
	n := 0
	for i := range 4 {
		n |= int(b[len(b)-8+i]) << (8 * i)
	}
	return n
}
