package cli

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/cmd/internal/daemon"
	"github.com/millrace/millrace/stream"
)

// process is the settings of a running process, as flags: they are no part of any pipeline.
type process struct {
	addr         string
	memory       string
	tokenFile    string
	tlsCert      string
	tlsKey       string
	tlsClientCA  string
	drainTimeout time.Duration
}

func (p *process) flags(cmd *cobra.Command, addr string) {
	f := cmd.Flags()
	f.StringVar(&p.addr, "addr", addr, "address of /metrics, /-/ready and the API; anything but loopback needs --token-file or --tls-client-ca")
	f.StringVar(&p.memory, "memory-limit", "", "memory of the whole process, about, like 1GiB; more makes larger files where many partitions are written (default: 60 % of what the machine or cgroup has, at most 512MiB)")
	f.StringVar(&p.tokenFile, "token-file", "", "file with the bearer token that HTTP requests must carry")
	f.StringVar(&p.tlsCert, "tls-cert", "", "certificate of the HTTP server")
	f.StringVar(&p.tlsKey, "tls-key", "", "its key")
	f.StringVar(&p.tlsClientCA, "tls-client-ca", "", "certificate authority of clients that may connect")
	f.DurationVar(&p.drainTimeout, "drain-timeout", 30*time.Second, "how long a stop may take to commit and publish")
}

// defaultMemory is 60 % of what this process may use, at most daemon.DefaultMemory.
func defaultMemory() stream.Bytes {
	most := int64(daemon.DefaultMemory)
	total := machineMemory()
	for _, f := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 && (total == 0 || n < total) {
			total = n
		}
	}
	if total == 0 {
		return stream.Bytes(most)
	}
	return stream.Bytes(min(most, total*6/10))
}
