-- Versions of artifacts, the newest first. A row is a version; created_us is microseconds since 1970.
-- project String. names Array(String): the artifacts. digests Array(String): only these versions; empty: all.
-- with_files UInt8: 1 to fill files, else it is empty.
SELECT project, name, version, digest, type, aliases, toString(run_id) AS run, run_name,
       toUnixTimestamp64Micro(created_at) AS created_us, size, length(files) AS n_files, metadata, description,
       if({with_files:UInt8} = 1, arrayMap(f -> (f.path, f.sha256, f.size, f.mime), files), []) AS file_rows
FROM v_artifacts
WHERE project = {project:String} AND name IN {names:Array(String)}
  AND (empty({digests:Array(String)}) OR digest IN {digests:Array(String)})
ORDER BY name, toUInt32OrZero(substring(version, 2)) DESC
