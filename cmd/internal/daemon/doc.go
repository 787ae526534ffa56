// Package daemon is the only package that knows every component. It turns checked configurations into running pipelines and
// keeps them running, each on its own: one that fails backs off and starts again, and the others do not notice.
//
// builtin.go is the list of what there is; build.go puts one pipeline together, in the order in which data flow; pipeline.go runs
// it, again and again; run.go holds all of them and the HTTP server, and drains them in the end.
package daemon
