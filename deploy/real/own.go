package real

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// OwnKafka is a broker of this test alone, for tests that take it away. It ends with the test.
func OwnKafka(t testing.TB) *Broker {
	t.Helper()
	name := own("kafka", t)
	b := kafka(t, name)
	t.Cleanup(func() { _, _ = script(nil, "kafka.sh", "kill", b.Dir) })
	return b
}

// OwnS3 is a bucket on a server of this test alone. It ends with the test.
func OwnS3(t testing.TB) Bucket {
	t.Helper()
	b := Bucket{Region: "us-east-1", AccessKey: User, SecretKey: Password, Name: "own"}
	name := own("s3", t)
	b.Endpoint = started.use(t, name, startS3)
	b.Dir = filepath.Join(started.dir, name)
	b.port, _ = strconv.Atoi(b.Endpoint[strings.LastIndexByte(b.Endpoint, ':')+1:])
	credentials(t)
	if err := os.MkdirAll(filepath.Join(b.Dir, "s3", "data", b.Name), 0o750); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = script(nil, "s3.sh", "kill", b.Dir) })
	return b
}

// own is a server's name that no other test has.
func own(kind string, t testing.TB) string {
	return kind + "-" + strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())
}

func startS3(dir string) (string, func(), error) {
	port, err := ports(1)
	if err != nil {
		return "", nil, err
	}
	addr, err := script(nil, "s3.sh", "start", dir, strconv.Itoa(port))
	return addr, func() { _, _ = script(nil, "s3.sh", "kill", dir) }, err
}
