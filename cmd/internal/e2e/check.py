"""Compares what a table holds with what it should hold, by two readers that know nothing of each other.

usage: check.py TABLE EXPECTED SCHEMA
  TABLE     folder, or s3://bucket/prefix (endpoint in S3_ENDPOINT)
  EXPECTED  a file of JSON lines, one a row, with every column as text or null
  SCHEMA    JSON: {column: DuckDB type}

Prints JSON: rows, and for each reader its types, and samples of rows that are missing, doubled or too many.
"""
import json
import os
import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

table, expected, schema = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def dataset():
    part = ds.partitioning(flavor="hive")
    if table.startswith("s3://"):
        fs = pafs.S3FileSystem(
            access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=os.environ["S3_ENDPOINT"].split("//")[1], scheme="http", region="us-east-1")
        base = table[len("s3://"):].rstrip("/")
    else:
        fs, base = pafs.LocalFileSystem(), table.rstrip("/")
    sel = pafs.FileSelector(base, recursive=True)
    files = [f.path for f in fs.get_file_info(sel) if f.path.endswith(".parquet") and "/_millrace/" not in f.path]
    return fs, base, files, (ds.dataset(files, filesystem=fs, format="parquet", partitioning=part, partition_base_dir=base) if files else None)


fs, base, files, data = dataset()
con = duckdb.connect()
con.execute("SET enable_progress_bar=false")
con.execute("SET TimeZone='UTC'")
con.execute("SET memory_limit='2GB'")
cols = ", ".join(f'"{c}"' for c in schema)
text = {c: "VARCHAR" for c in schema}
con.execute(f"CREATE TABLE want AS SELECT {cols} FROM read_json(?, format='newline_delimited', columns={json.dumps(text)})", [expected])
report = {"files": len(files)}


def canonical(source):
    """every column as text, by its type, in DuckDB's own words"""
    out = []
    for c, t in schema.items():
        if t.startswith("TIMESTAMP"):
            out.append(f"""strftime("{c}"::TIMESTAMP WITH TIME ZONE AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ') AS "{c}\"""")
        elif t == "BLOB":
            out.append(f'hex("{c}") AS "{c}"')
        else:
            out.append(f'"{c}"::VARCHAR AS "{c}"')
    return f"SELECT {', '.join(out)} FROM {source}"


def compare(name, relation):
    con.execute(f"CREATE OR REPLACE TABLE got AS {canonical(relation)}")
    one = lambda q: con.execute(q).fetchall()
    r = {"rows": one("SELECT count(*) FROM got")[0][0], "want": one("SELECT count(*) FROM want")[0][0]}
    r["missing"] = one("SELECT count(*) FROM (SELECT * FROM want EXCEPT ALL SELECT * FROM got)")[0][0]
    r["extra"] = one("SELECT count(*) FROM (SELECT * FROM got EXCEPT ALL SELECT * FROM want)")[0][0]
    if r["missing"] or r["extra"]:
        r["missing_sample"] = [str(x) for x in one("SELECT * FROM (SELECT * FROM want EXCEPT ALL SELECT * FROM got) LIMIT 3")]
        r["extra_sample"] = [str(x) for x in one("SELECT * FROM (SELECT * FROM got EXCEPT ALL SELECT * FROM want) LIMIT 3")]
    report[name] = r


if data is None:
    con.execute("CREATE TABLE empty AS SELECT * FROM want LIMIT 0")
    compare("duckdb", "empty")
    report["pyarrow"] = report["duckdb"]
    report["types"] = {"duckdb": {}, "pyarrow": {}}
else:
    # DuckDB reads the files itself; for S3 through the same file system object.
    if table.startswith("s3://"):
        import fsspec
        from fsspec.implementations.arrow import ArrowFSWrapper

        class Lake(ArrowFSWrapper):
            protocol = "lake"

            @classmethod
            def _strip_protocol(cls, path):
                return path.removeprefix("lake://").strip("/")

        con.register_filesystem(Lake(fs))
        names = ["lake://" + f for f in files]
    else:
        names = files
    listed = "[" + ", ".join("'" + n.replace("'", "''") + "'" for n in names) + "]"
    con.execute(f"CREATE VIEW direct AS SELECT * FROM read_parquet({listed}, hive_partitioning=true)")
    compare("duckdb", "direct")
    types = {"duckdb": {r[0]: r[1] for r in con.execute("DESCRIBE direct").fetchall()}}
    arrow = data.to_table()
    con.register("arrow_table", arrow)
    compare("pyarrow", "arrow_table")
    types["pyarrow"] = {f.name: str(f.type) for f in arrow.schema}
    report["types"] = types
print(json.dumps(report))
