# make check   the quick loop: formatting, vet, linters, unit tests with the race detector (no servers)
# make test    everything that must hold: check's tests, conformance and integration tests on real servers
# make build   ./millrace, a static binary
# make kills   kill -9 at random moments of a run on real servers, more often than make test does
#
# make test needs Go 1.26, Java 17, Maven and Python 3 with venv; it installs the rest (Kafka, an S3 server, Glue's API, DuckDB, PyArrow) into
# $(CACHE) once.

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/millrace
BIN   := $(CACHE)/bin
LINT  := $(BIN)/golangci-lint-2.15.0
export CGO_ENABLED ?= 0
export MILLRACE_REAL ?= $(CACHE)/real

.PHONY: build check test real kills lint

build:
	go build -trimpath -ldflags="-s -w" -o millrace ./cmd/millrace

check: lint
	go vet ./...
	CGO_ENABLED=1 go test -race ./...

lint: $(LINT)
	$(LINT) run ./...

$(LINT):
	@mkdir -p $(BIN)
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv $(BIN)/golangci-lint $(LINT)

test: real
	go vet -tags integration ./...
	go test -tags integration -timeout 20m ./...

real:
	@for tool in go java mvn python3; do command -v $$tool > /dev/null || { echo "make test needs Go 1.26, Java 17, Maven and Python 3 with venv: $$tool is missing" >&2; exit 1; }; done
	@for part in kafka s3 aws readers; do deploy/real/$$part.sh install "$(MILLRACE_REAL)" || exit 1; done

kills:
	go test -tags integration -timeout 60m -count=1 -run TestKills ./cmd/internal/e2e -kills 200
