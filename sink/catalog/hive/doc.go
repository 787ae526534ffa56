// Package hive registers tables of Parquet files in a catalog, the way Hive, Athena and Spark read them: a table with
// typed columns, and one entry for each folder k=v/ that holds files. Catalogs: AWS Glue, a local folder of JSON, and
// none, where only the claim is kept.
//
// # What happens when
//
// Claim comes first. It writes <location>/_millrace.json, if absent, and so names the one ledger that writes this table.
// A folder with data files of others, a claim of another ledger and a catalog table that does not carry our property
// are refused with stream.ErrForeign; nothing of theirs is changed.
//
// Ensure creates database and table, or adds what is new: columns, and fields inside structs, at the end. It never
// removes or retypes a column, and leaves alone those that the pipeline does not write. Every change is guarded by the
// table's version, and decided by reading the table again, so that any number of workers may do it at once and a lost
// reply does no harm.
//
// Apply registers the folders of committed files (W8 of the way of a flush). An entry that exists with our location is
// success. It may be called any number of times, with the same manifests, by several workers.
//
// # What it leaves to others
//
// Nothing is retried here but lost races: errors carry a class of package stream, and the lane backs off. Files are not
// looked at. Entries that somebody drops from the catalog while the process runs are registered again only after a
// restart, as known ones are remembered; a dropped or replaced table is noticed within a minute.
//
// # The local catalog, byte by byte
//
// All below the catalog's folder, JSON in UTF-8, indented by two blanks, ending in a newline:
//
//	<database>/<table>.json             the table
//	<database>/<table>.partitions.json  its partitions; absent while there are none
//	<database>/.lock                    empty; held by flock(2) while a file of the database is read or written
//
// Names of databases and tables consist of a-z, 0-9, "_" and "-". A table:
//
//	{
//	  "format": 1,
//	  "version": 3,                     counts the changes; a change of a stale version is refused
//	  "location": "/lake/orders/",      as the sink has it, ending in "/"
//	  "columns": [{"name": "order_id", "type": "string"}],
//	  "partition_keys": [{"name": "order_date", "type": "date"}],
//	  "properties": {"classification": "parquet", "millrace.owner": "orders 7f3a… /lake/ledger/"}
//	}
//
// Types are written as Hive does: boolean, int, bigint, double, decimal(p,s), string, binary, date, timestamp, array<t>,
// map<k,v>, struct<name:t,…>. Partitions, in order of their values:
//
//	{
//	  "format": 1,
//	  "partitions": [{"values": ["2026-01-03"], "location": "/lake/orders/order_date=2026-01-03/"}]
//	}
//
// Values are plain, one for each key; a null is __HIVE_DEFAULT_PARTITION__. The folder in a location is escaped. A file
// is replaced as a whole: written under the name .<name>.tmp, synced, renamed, and the folder synced.
package hive
