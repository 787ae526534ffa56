// Package real starts the real servers and readers that the tests run against: Apache Kafka, an S3 server, AWS Glue's API,
// and Python with DuckDB and PyArrow. The scripts beside it do the work and can be used by hand.
//
// Each server starts at its first use in a test process, on loopback ports of its own, is ready when the function returns,
// and ends after the package's tests, or when the test process dies. A server that does not start fails the test.
// What is missing is installed first, once, into the cache (MILLRACE_REAL, default: the user's cache folder).
package real

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// process is everything that this test process has started.
type process struct {
	mu      sync.Mutex
	dir     string
	servers map[string]*server
}

type server struct {
	once sync.Once
	addr string
	err  error
	stop func()
}

//nolint:gochecknoglobals // one test process, one set of servers: TestMain and the tests have nothing else in common
var started = &process{servers: map[string]*server{}}

// Main runs the tests and then ends every server that they used. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	started.end()
	os.Exit(code)
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.servers {
		if s.stop != nil {
			s.stop()
		}
	}
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
}

// use starts what name stands for, once, and returns its address.
func (p *process) use(t testing.TB, name string, start func(dir string) (addr string, stop func(), err error)) string {
	t.Helper()
	p.mu.Lock()
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "millrace-real-")
		if err != nil {
			p.mu.Unlock()
			t.Fatal(err)
		}
		p.dir = dir
	}
	s := p.servers[name]
	if s == nil {
		s = &server{}
		p.servers[name] = s
	}
	dir := filepath.Join(p.dir, name)
	p.mu.Unlock()
	s.once.Do(func() { s.addr, s.stop, s.err = start(dir) })
	if s.err != nil {
		t.Fatalf("%s does not start: %v", name, s.err)
	}
	return s.addr
}

// Kafka is the bootstrap address of a one-node Apache Kafka in KRaft mode. Topics are not created by themselves.
func Kafka(t testing.TB) string { return KafkaNode(t).Addr }

// Broker is a Kafka that a test may kill and start again.
type Broker struct {
	Addr string // clients, without security
	// With security (KafkaSecure): the same broker over TLS, SASL over TLS, and SASL without TLS.
	TLS, SASLTLS, SASL string
	Dir                string // certificates are in Dir/kafka/tls: ca.pem, client.pem, client.key
	port               int
	env                []string
}

// User and Password log in to a secured Kafka.
const (
	User     = "millrace"
	Password = "millrace-secret"
)

// KafkaNode is Kafka, with its handle.
func KafkaNode(t testing.TB) *Broker { return kafka(t, "kafka") }

// KafkaSecure is a Kafka of its own that listens with TLS and SASL as well.
func KafkaSecure(t testing.TB) *Broker { return kafka(t, "kafka-secure", "KAFKA_SECURITY=1") }

func kafka(t testing.TB, name string, env ...string) *Broker {
	t.Helper()
	b := &Broker{env: env}
	addr := started.use(t, name, func(dir string) (string, func(), error) {
		port, err := ports(6)
		if err != nil {
			return "", nil, err
		}
		addr, err := script(env, "kafka.sh", "start", dir, strconv.Itoa(port))
		return addr, func() { _, _ = script(nil, "kafka.sh", "kill", dir) }, err
	})
	b.Dir = filepath.Join(started.dir, name)
	host, port, _ := net.SplitHostPort(addr)
	b.port, _ = strconv.Atoi(port)
	at := func(n int) string { return net.JoinHostPort(host, strconv.Itoa(b.port+n)) }
	b.Addr, b.TLS, b.SASLTLS, b.SASL = addr, at(2), at(3), at(4)
	return b
}

// Kill ends the broker with SIGKILL; its data stay.
func (b *Broker) Kill(t testing.TB) {
	t.Helper()
	if _, err := script(nil, "kafka.sh", "kill", b.Dir); err != nil {
		t.Fatal(err)
	}
}

// Start resumes a killed broker on its old address.
func (b *Broker) Start(t testing.TB) {
	t.Helper()
	if _, err := script(b.env, "kafka.sh", "start", b.Dir, strconv.Itoa(b.port)); err != nil {
		t.Fatal(err)
	}
}

// Bucket is a fresh bucket of the S3 server.
type Bucket struct {
	Endpoint, Region, AccessKey, SecretKey, Name string
	Dir                                          string // the server's own; a bucket's objects are the files below Dir/s3/data/<Name>
	port                                         int
}

// S3 makes a bucket on the S3 server and sets the AWS credentials of this process to the server's.
func S3(t testing.TB) Bucket {
	t.Helper()
	b := Bucket{Region: "us-east-1", AccessKey: User, SecretKey: Password}
	b.Endpoint = started.use(t, "s3", func(dir string) (string, func(), error) {
		port, err := ports(1)
		if err != nil {
			return "", nil, err
		}
		addr, err := script(nil, "s3.sh", "start", dir, strconv.Itoa(port))
		return addr, func() { _, _ = script(nil, "s3.sh", "kill", dir) }, err
	})
	b.Dir = filepath.Join(started.dir, "s3")
	b.port, _ = strconv.Atoi(b.Endpoint[strings.LastIndexByte(b.Endpoint, ':')+1:])
	credentials(t)
	b.Name = "b-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	// A bucket of the POSIX gateway is a folder; it takes one that it finds.
	if err := os.MkdirAll(filepath.Join(b.Dir, "s3", "data", b.Name), 0o750); err != nil {
		t.Fatal(err)
	}
	return b
}

// BucketFolder is the folder that holds the objects of s3://bucket.
func BucketFolder(t testing.TB, location string) string {
	t.Helper()
	return filepath.Join(started.dir, "s3", "s3", "data", strings.TrimPrefix(location, "s3://"))
}

// Kill ends the S3 server with SIGKILL; its data stay.
func (b Bucket) Kill(t testing.TB) {
	t.Helper()
	if _, err := script(nil, "s3.sh", "kill", b.Dir); err != nil {
		t.Fatal(err)
	}
}

// Start resumes a killed S3 server on its old address.
func (b Bucket) Start(t testing.TB) {
	t.Helper()
	if _, err := script(nil, "s3.sh", "start", b.Dir, strconv.Itoa(b.port)); err != nil {
		t.Fatal(err)
	}
}

// Glue is the endpoint of a server that speaks Glue's API, and sets the AWS credentials of this process.
func Glue(t testing.TB) string {
	t.Helper()
	credentials(t)
	return started.use(t, "aws", func(dir string) (string, func(), error) {
		port, err := ports(1)
		if err != nil {
			return "", nil, err
		}
		addr, err := script(nil, "aws.sh", "start", dir, strconv.Itoa(port))
		return addr, func() { _, _ = script(nil, "aws.sh", "stop", dir) }, err
	})
}

func credentials(t testing.TB) {
	t.Helper()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": User, "AWS_SECRET_ACCESS_KEY": Password, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"} {
		if err := os.Setenv(k, v); err != nil { //nolint:usetesting // servers outlive one test, and so must this
			t.Fatal(err)
		}
	}
}

// Python is an interpreter that has duckdb, pyarrow, pyiceberg, boto3 and confluent_kafka.
func Python(t testing.TB) string {
	t.Helper()
	return started.use(t, "readers", func(dir string) (string, func(), error) {
		_, err := script(nil, "readers.sh", "install", dir)
		return filepath.Join(cache(), "readers", "bin", "python"), nil, err
	})
}

// RunPython runs a program and returns what it printed. Its standard error goes to the test's log.
func RunPython(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(Python(t), append([]string{"-c", program}, args...)...) //nolint:gosec // tests run their own programs
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("python: %v\n%s", err, errs.String())
	}
	return out.String()
}

func cache() string {
	if d := os.Getenv("MILLRACE_REAL"); d != "" {
		return d
	}
	d, err := os.UserCacheDir()
	if err != nil {
		d = os.TempDir()
	}
	return filepath.Join(d, "millrace", "real")
}

func script(env []string, name string, args ...string) (string, error) {
	_, self, _, _ := runtime.Caller(0)
	cmd := exec.Command("bash", append([]string{filepath.Join(filepath.Dir(self), name)}, args...)...) //nolint:gosec // our own scripts
	cmd.Env = append(os.Environ(), append(env, "MILLRACE_REAL="+cache(), "REAL_PARENT="+strconv.Itoa(os.Getpid()))...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// ports finds n ports in a row that are free now, and that no other test process is about to take: each process looks in a
// range that follows from its id.
func ports(n int) (int, error) {
	for try := range 200 {
		first := 20000 + (os.Getpid()*37+try*61)%12000
		free := true
		for i := range n {
			l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
			if err != nil {
				free = false
				break
			}
			_ = l.Close()
		}
		if free {
			return first, nil
		}
	}
	return 0, fmt.Errorf("found no %d free ports in a row on 127.0.0.1", n)
}

// Reset empties the Glue server.
func Reset(t testing.TB, glue string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, glue+"/moto-api/reset", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
}
