package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/cmd/internal/config"
	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/deploy/quickstart"
	"github.com/millrace/millrace/stream"
)

const (
	demoTopic      = "orders"
	demoPartitions = 4
	// demoRetention bounds the broker's folder: 4 partitions of 256 MiB.
	demoRetention = "268435456"
)

// demoDir makes the demo's folder and keeps other demos out of it until the file that it returns is closed.
func demoDir(dir string) (*os.File, error) {
	wrong := func(err error) error {
		if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EROFS) {
			err = fmt.Errorf("%w: %w", stream.ErrDenied, err)
		}
		return stream.WithNext(fmt.Errorf("demo: cannot keep anything in %s: %w", dir, err), "give a folder that you may write to, with --dir")
	}
	for _, sub := range []string{"broker", "lake"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o750); err != nil {
			return nil, wrong(err)
		}
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the folder is the user's to choose
	if err != nil {
		return nil, wrong(err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil { //nolint:gosec // descriptors are small
		_ = lock.Close()
		return nil, stream.WithNext(fmt.Errorf("demo: another demo runs in %s", dir),
			"end it, or give this one a --dir of its own, with --port 0 and --addr 127.0.0.1:0")
	}
	return lock, nil
}

func startBroker(dir string, port int) (*kfake.Cluster, string, error) {
	c, err := kfake.NewCluster(
		kfake.NumBrokers(1), kfake.Ports(port), kfake.ClusterID("millrace-demo"), kfake.DataDir(filepath.Join(dir, "broker")),
		kfake.DefaultNumPartitions(demoPartitions),
	)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, "", stream.WithNext(fmt.Errorf("demo: 127.0.0.1:%d, the port of the embedded broker, is taken: %w", port, err),
			"if another demo runs, end it; or give this one --port 0, --addr 127.0.0.1:0 and a --dir of its own")
	case err != nil:
		return nil, "", stream.WithNext(fmt.Errorf("demo: embedded broker: %w", err), "--port 0 takes any port that is free; --dir gives another folder")
	}
	if c.TopicInfo(demoTopic) == nil {
		retention := demoRetention
		if err := c.CreateTopic(demoTopic, demoPartitions, map[string]string{"retention.bytes": retention, "retention.ms": "-1"}); err != nil {
			c.Close()
			return nil, "", fmt.Errorf("demo: topic %s: %w", demoTopic, err)
		}
	}
	return c, c.ListenAddrs()[0], nil
}

// retain applies the topic's retention, which the broker does only when it is asked.
func retain(ctx context.Context, broker *kfake.Cluster) {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			broker.ApplyRetention()
		}
	}
}

// demoFile is the quickstart's pipeline with the demo's places for its variables. It is kept in the demo's folder, so that other
// verbs can be tried on it.
const demoFile = "orders.yaml"

func demoText(dir, addr string) []byte {
	places := map[string]string{
		"KAFKA_BROKERS": addr, "LAKE": filepath.Join(dir, "lake"), "CATALOG": filepath.Join(dir, "catalog"), "STATE": filepath.Join(dir, "ledger"),
	}
	text := regexp.MustCompile(`\$\{([A-Z_]+):-[^}]*\}`).ReplaceAllStringFunc(string(quickstart.Orders), func(v string) string {
		name := v[2:strings.Index(v, ":-")]
		if place, ok := places[name]; ok {
			return "${" + name + ":-" + place + "}"
		}
		return v
	})
	// A demo should show something soon.
	return []byte(strings.Replace(text, "commit_every: 10s", "commit_every: 1s ", 1))
}

func (g *global) demoPipeline(dir, shown, addr string) (*config.Pipeline, error) {
	path := filepath.Join(dir, demoFile)
	text := demoText(dir, addr)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	// Of the environment nothing counts here: a LAKE that is set for something else must not get the demo's orders.
	c, faults := config.LoadText(filepath.Join(shown, demoFile), text, daemon.Components(), config.Options{Dir: dir})
	if c == nil {
		g.printFaults(g.screen, faults)
		return nil, &exit{code: exitConfig}
	}
	return c, nil
}

// demoLedger is how far the demo's ledger has come.
type demoLedger struct {
	committed int64 // records before the bookmarks, of all partitions together
	pending   int64 // transactions that are committed and not yet published
}

// readLedger reads the heads; false: there is no ledger yet.
func readLedger(ctx context.Context, c *config.Pipeline) (at demoLedger, ok bool) {
	l, err := daemon.OpenLedger(ctx, c)
	if err != nil {
		return at, false
	}
	heads, err := l.Heads(ctx, l.Lanes())
	if err != nil {
		return at, false
	}
	for _, h := range heads {
		at.pending += int64(h.N - h.Retired) //nolint:gosec // few
		for _, b := range h.Partitions {
			if n, err := strconv.ParseInt(string(b.Position), 10, 64); err == nil {
				at.committed += n
			}
		}
	}
	return at, true
}
