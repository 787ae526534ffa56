// Package e2e tests the binary that users run, as a process of its own, against a real Kafka broker, a real S3 server and a
// server that speaks Glue's API; tables are read by DuckDB and PyArrow. It has tests only.
package e2e
