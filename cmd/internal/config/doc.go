// Package config turns a YAML file into a typed, checked pipeline, or into every fault of the file at once.
//
// A file passes through these stages, each of which goes on after a fault, so that one reading shows all of them:
//
//	text   tree.go      UTF-8, one document, no tabs, no duplicate keys, no aliases; places of every node
//	       vars.go      ${VAR}, ${VAR:-default}, ${file:/path} and $$ in values, after parsing: a value never becomes YAML
//	       traps.go     what YAML does to expressions, told in words
//	typed  decode.go    tree -> structs by their yaml tags; unknown keys, wrong types, sizes and durations without units
//	       source.go schema.go steps.go sinks.go delivery.go   the blocks of a pipeline
//	check  chain.go     schemas through all steps, expressions, partition columns
//	       check.go     places that must not meet: tables, ledger, dead letters
//	       across.go    the same between all pipelines that are loaded together
//
// Components (sources, formats, sinks, catalogs) arrive as a value, Components, and are never imported: their structs are
// filled by reflection and checked by their own Validate methods, whose faults get their place in the file here.
//
// What is guaranteed: a pipeline that Load returns without a fault compiles; no key is accepted and ignored (one that
// belongs to a later version is refused as that); no secret stands in a fault, in Effective or in Hash.
// What is left to others: whether brokers, buckets and tables exist and answer.
package config
