// Package quickstart is the pipeline that `millrace demo` and the README run.
package quickstart

import _ "embed"

// Orders is orders.yaml. Its variables, each with a default, are KAFKA_BROKERS, LAKE, CATALOG and STATE.
//
//go:embed orders.yaml
var Orders []byte
