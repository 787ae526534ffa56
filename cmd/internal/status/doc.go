// Package status shows a running process to people and to machines: /-/healthy, /-/ready, /metrics and /api/v1/pipelines.
//
// The daemon reports to a Board what each pipeline is doing; Handler and Collector only read it. Nothing here asks a
// broker, a store or a catalog, so that an answer comes at once whatever is away.
//
// /-/healthy answers 200 for as long as the process runs. /-/ready answers 200 when every pipeline is running, else 503
// and a line for each that is not. With a token set, everything asks for it but the two probes, and these give no
// reasons to strangers. Errors are problem details as of RFC 9457.
package status
