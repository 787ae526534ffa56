//go:build integration

package real_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace/millrace/deploy/real"
)

func TestMain(m *testing.M) { real.Main(m) }

func TestEveryServerAnswers(t *testing.T) {
	conn, err := net.Dial("tcp", real.Kafka(t))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	for name, url := range map[string]string{"s3": real.S3(t).Endpoint + "/healthz", "glue": real.Glue(t) + "/moto-api/data.json"} {
		res, err := http.Get(url)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s answers %s", name, res.Status)
		}
	}
	out := real.RunPython(t, "import duckdb, pyarrow, boto3, confluent_kafka; print(duckdb.sql('select 40 + 2').fetchall()[0][0])")
	if strings.TrimSpace(out) != "42" {
		t.Errorf("got %q, want 42", out)
	}
}
