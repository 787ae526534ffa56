package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millrace/millrace/stream"
)

// answers is a Glue that says what a test tells it to, and keeps what it was asked.
type answers struct {
	mu    sync.Mutex
	asked []string // operation and body
	next  map[string][]answer
}

type answer struct {
	status int
	body   string
}

// cutOff is an answer of 200 whose connection is reset before its end.
var cutOff = answer{200, ""}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	a.mu.Lock()
	a.asked = append(a.asked, op+" "+string(body))
	now := answer{500, `{"__type":"InternalServiceException"}`}
	if q := a.next[op]; len(q) > 0 {
		now, a.next[op] = q[0], q[1:]
	}
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if now == cutOff {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(now.status)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(now.status)
	_, _ = io.WriteString(w, now.body)
}

func failure(status int, code string) answer {
	return answer{status, fmt.Sprintf(`{"__type":%q,"Message":"said so"}`, code)}
}

func staticAWS(context.Context) (aws.Config, error) {
	return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}, nil
}

func glueOver(t *testing.T, a *answers, load func(context.Context) (aws.Config, error)) *Table {
	t.Helper()
	srv := httptest.NewServer(a)
	t.Cleanup(srv.Close)
	ref := stream.TableRef{
		Name: "silver", Location: "s3://lake/orders/", Partitions: []stream.PartitionColumn{{Name: "day", Type: "date"}},
		Catalog: stream.CatalogRef{Kind: "glue", Database: "db", Table: "orders", Endpoint: srv.URL},
	}
	tab, err := Open(t.Context(), ref, Deps{Store: newStore(ref.Location), AWS: load})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

const glueTableJSON = `{"Table":{"Name":"orders","DatabaseName":"db","VersionId":"4","Description":"by hand","Retention":3,"TableType":"EXTERNAL_TABLE",
"Parameters":{"millrace.owner":"orders 7f3a x","k":"v"},"PartitionKeys":[{"Name":"day","Type":"date","Comment":"of the order"}],
"StorageDescriptor":{"Columns":[{"Name":"a","Type":"string","Comment":"first","Parameters":{"x":"y"}}],"Location":"s3://lake/orders","InputFormat":"in","Compressed":true,
"SerdeInfo":{"SerializationLibrary":"lib","Parameters":{"p":"q"}},"SortColumns":[{"Column":"a","SortOrder":1}]}}}`

func TestGlueClasses(t *testing.T) {
	for _, tc := range []struct {
		answer answer
		want   error
		next   string
	}{
		{failure(400, "ThrottlingException"), stream.ErrUnavailable, ""},
		{failure(500, "InternalServiceException"), stream.ErrUnavailable, ""},
		{failure(400, "OperationTimeoutException"), stream.ErrUnavailable, ""},
		{failure(400, "SomethingNew"), stream.ErrUnavailable, ""},
		{answer{503, "<html>busy</html>"}, stream.ErrUnavailable, ""},
		{answer{200, "<html>a proxy's login</html>"}, stream.ErrUnavailable, ""},
		{failure(400, "AccessDeniedException"), stream.ErrDenied, "glue:GetTable"},
		{failure(400, "UnrecognizedClientException"), stream.ErrDenied, "credentials"},
		{failure(400, "ExpiredTokenException"), stream.ErrDenied, "credentials"},
		{answer{403, ""}, stream.ErrDenied, "credentials"},
		{answer{404, "<html>not here</html>"}, stream.ErrPermanent, "endpoint"},
		{failure(400, "InvalidInputException"), stream.ErrPermanent, ""},
		{failure(400, "ResourceNumberLimitExceededException"), stream.ErrPermanent, "quota"},
	} {
		a := &answers{next: map[string][]answer{"GetTable": {tc.answer}}}
		err := glueOver(t, a, staticAWS).Claim(t.Context(), ours)
		if !errors.Is(err, tc.want) || !strings.Contains(stream.Next(err), tc.next) {
			t.Errorf("%d %s: got %v (next: %s), want %v and %q", tc.answer.status, tc.answer.body, err, stream.Next(err), tc.want, tc.next)
		}
		if len(a.asked) != 1 {
			t.Errorf("%s: asked %d times, want once: repeating is the lane's business", tc.answer.body, len(a.asked))
		}
	}
}

func TestGlueWithoutCredentials(t *testing.T) {
	a := &answers{}
	none := func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no role, no key, nothing")
		})}, nil
	}
	if err := glueOver(t, a, none).Claim(t.Context(), ours); !errors.Is(err, stream.ErrDenied) || stream.Next(err) == "" {
		t.Errorf("got %v, want denied with advice", err)
	}
	ref := stream.TableRef{Catalog: stream.CatalogRef{Kind: "glue", Database: "d", Table: "t"}}
	_, err := Open(t.Context(), ref, Deps{AWS: func(context.Context) (aws.Config, error) { return aws.Config{}, nil }})
	if !errors.Is(err, stream.ErrPermanent) || !strings.Contains(stream.Next(err), "AWS_REGION") {
		t.Errorf("without a region: got %v, want permanent and what to set", err)
	}
	_, err = Open(t.Context(), ref, Deps{AWS: func(context.Context) (aws.Config, error) { return aws.Config{}, errors.New("bad profile") }})
	if !errors.Is(err, stream.ErrDenied) || stream.Next(err) == "" {
		t.Errorf("a broken profile: got %v, want denied with advice", err)
	}
}

func TestGlueServerAway(t *testing.T) {
	ref := stream.TableRef{Location: "/x/", Catalog: stream.CatalogRef{Kind: "glue", Database: "d", Table: "t", Endpoint: "http://127.0.0.1:1"}}
	tab, err := Open(t.Context(), ref, Deps{AWS: staticAWS})
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Claim(t.Context(), ours); !errors.Is(err, stream.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tab.Claim(ctx, ours); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// TestGlueUpdateKeeps: what others wrote into the table goes back unchanged, under the version that was read.
func TestGlueUpdateKeeps(t *testing.T) {
	a := &answers{next: map[string][]answer{"GetTable": {{200, glueTableJSON}, {200, glueTableJSON}}, "UpdateTable": {{200, "{}"}}}}
	tab := glueOver(t, a, staticAWS)
	if err := tab.Claim(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a", "b")); err != nil {
		t.Fatal(err)
	}
	got := a.body(t, "UpdateTable")
	want := `{"DatabaseName":"db","SkipArchive":true,"VersionId":"4","TableInput":{"Name":"orders","Description":"by hand","Retention":3,"TableType":"EXTERNAL_TABLE",
"Parameters":{"millrace.owner":"orders 7f3a x","k":"v"},"PartitionKeys":[{"Name":"day","Type":"date","Comment":"of the order"}],
"StorageDescriptor":{"Columns":[{"Name":"a","Type":"string","Comment":"first","Parameters":{"x":"y"}},{"Name":"b","Type":"string"}],"Location":"s3://lake/orders","InputFormat":"in",
"Compressed":true,
"SerdeInfo":{"SerializationLibrary":"lib","Parameters":{"p":"q"}},"SortColumns":[{"Column":"a","SortOrder":1}]}}}`
	sameJSON(t, got, want)
}

func (a *answers) body(t *testing.T, op string) string {
	t.Helper()
	for _, s := range a.asked {
		if body, ok := strings.CutPrefix(s, op+" "); ok {
			return body
		}
	}
	t.Fatalf("%s was not called: %v", op, a.asked)
	return ""
}

func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := errors.Join(json.Unmarshal([]byte(got), &g), json.Unmarshal([]byte(want), &w)); err != nil {
		t.Fatal(err)
	}
	gb, _ := json.MarshalIndent(g, "", " ")
	wb, _ := json.MarshalIndent(w, "", " ")
	if string(gb) != string(wb) {
		t.Errorf("got %s\nwant %s", gb, wb)
	}
}

// TestGlueBatchErrors: each entry of a batch is judged alone.
func TestGlueBatchErrors(t *testing.T) {
	entry := func(value, code string) string {
		return fmt.Sprintf(`{"PartitionValues":[%q],"ErrorDetail":{"ErrorCode":%q,"ErrorMessage":"said so"}}`, value, code)
	}
	at := func(value, location string) string {
		return fmt.Sprintf(`{"Values":[%q],"StorageDescriptor":{"Location":%q}}`, value, location)
	}
	for _, tc := range []struct {
		name, errors, partitions string
		want                     error
	}{
		{"exists with our location", entry("1", "AlreadyExistsException"), at("1", "s3a://lake/orders/day=1"), nil},
		{"exists elsewhere", entry("1", "AlreadyExistsException"), at("1", "s3://lake/day=1"), stream.ErrForeign},
		{"existed, is gone", entry("1", "AlreadyExistsException"), "", stream.ErrUnavailable},
		{"throttled", entry("1", "ThrottlingException"), "", stream.ErrUnavailable},
		{"internal", entry("1", "InternalServiceException"), "", stream.ErrUnavailable},
		{"table dropped meanwhile", entry("1", "EntityNotFoundException"), "", stream.ErrUnavailable},
		{"invalid", entry("1", "InvalidInputException"), "", stream.ErrPermanent},
		{"one exists, one is throttled", entry("1", "AlreadyExistsException") + "," + entry("2", "ThrottlingException"), at("1", "s3://lake/orders/day=1/"), stream.ErrUnavailable},
		{"no detail", `{"PartitionValues":["1"]}`, "", stream.ErrUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := &answers{next: map[string][]answer{
				"GetTable":             {{200, glueTableJSON}},
				"BatchCreatePartition": {{200, `{"Errors":[` + tc.errors + `]}`}},
				"BatchGetPartition":    {{200, `{"Partitions":[` + tc.partitions + `]}`}},
			}}
			tab := glueOver(t, a, staticAWS)
			err := tab.Apply(t.Context(), txn(tab, "1", "2"))
			if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if known := len(tab.seen.known); (err == nil) != (known == 2) {
				t.Errorf("%d partitions are taken for known after %v", known, err)
			}
		})
	}
}

// TestGlueCutOff: a 200 whose end never came tells nothing. What was to be made is asked for; nothing is made twice, and
// nothing halts.
func TestGlueCutOff(t *testing.T) {
	made := answer{200, `{"Partitions":[{"Values":["1"],"StorageDescriptor":{"Location":"s3://lake/orders/day=1/"}}]}`}
	exists := answer{200, `{"Errors":[{"PartitionValues":["1"],"ErrorDetail":{"ErrorCode":"AlreadyExistsException"}}]}`}
	table := answer{200, glueTableJSON}
	a := &answers{next: map[string][]answer{
		"GetTable":             {cutOff, table, table, table},
		"BatchCreatePartition": {cutOff, exists, exists},
		"BatchGetPartition":    {cutOff, made},
	}}
	tab := glueOver(t, a, staticAWS)
	for try := range 3 {
		if err := tab.Apply(t.Context(), txn(tab, "1")); !errors.Is(err, stream.ErrUnavailable) {
			t.Fatalf("try %d: got %v, want unavailable", try, err)
		}
	}
	if err := tab.Apply(t.Context(), txn(tab, "1")); err != nil {
		t.Fatal(err)
	}

	a = &answers{next: map[string][]answer{
		"GetTable":    {failure(400, "EntityNotFoundException"), failure(400, "EntityNotFoundException"), table},
		"CreateTable": {cutOff},
	}}
	tab = glueOver(t, a, staticAWS)
	if err := tab.Claim(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Ensure(t.Context(), schemaOf("a")); err != nil {
		t.Fatalf("the table was made, and only the answer lost: %v", err)
	}
}

// TestGlueWideTable: partitions of a table of many columns go in requests that stay small, all of them.
func TestGlueWideTable(t *testing.T) {
	var columns []string
	for i := range 500 {
		columns = append(columns, fmt.Sprintf(`{"Name":"column_number_%d","Type":"decimal(38,9)","Comment":%q}`, i, strings.Repeat("x", 100)))
	}
	table := strings.Replace(glueTableJSON, `{"Name":"a","Type":"string","Comment":"first","Parameters":{"x":"y"}}`, strings.Join(columns, ","), 1)
	a := &answers{next: map[string][]answer{"GetTable": {{200, table}}}}
	var days []string
	for i := range 250 {
		days = append(days, fmt.Sprint(1000+i))
		a.next["BatchCreatePartition"] = append(a.next["BatchCreatePartition"], answer{200, `{}`})
	}
	tab := glueOver(t, a, staticAWS)
	if err := tab.Apply(t.Context(), txn(tab, days...)); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for _, s := range a.asked {
		if strings.HasPrefix(s, "BatchCreatePartition ") {
			sent += strings.Count(s, `"Values"`)
			if len(s) > maxAddBytes {
				t.Errorf("a request has %d bytes", len(s))
			}
		}
	}
	if sent != len(days) {
		t.Errorf("%d partitions were sent, want %d", sent, len(days))
	}
}

func TestGluePartitionInput(t *testing.T) {
	a := &answers{next: map[string][]answer{"GetTable": {{200, glueTableJSON}}, "BatchCreatePartition": {{200, `{}`}}}}
	tab := glueOver(t, a, staticAWS)
	if err := tab.Apply(t.Context(), txn(tab, "1")); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, a.body(t, "BatchCreatePartition"), `{"DatabaseName":"db","TableName":"orders","PartitionInputList":[{"Values":["1"],
"StorageDescriptor":{"Columns":[{"Name":"a","Type":"string","Comment":"first","Parameters":{"x":"y"}}],"Location":"s3://lake/orders/day=1/","InputFormat":"in","Compressed":true,

"SerdeInfo":{"SerializationLibrary":"lib","Parameters":{"p":"q"}},"SortColumns":[{"Column":"a","SortOrder":1}]}}]}`)
}
