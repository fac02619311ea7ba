-- Versions of artifacts, the newest first. A row is a version; created_us and expires_us (0: never) are microseconds since
-- 1970.
-- project String. names Array(String): the artifacts; empty: all. digests Array(String): only these versions; empty: all.
-- with_files UInt8: 1 to fill files, else it is empty. deleted UInt8: 1: deleted ones, too. search String: only versions
-- with this in their number, digest, aliases, tags, description or metadata, in any case; empty: all. limit UInt32.
-- offset UInt64.
SELECT project, name, version, digest, type, aliases, tags, toString(run_id) AS run, run_name,
       toUnixTimestamp64Micro(created_at) AS created_us, ifNull(toUnixTimestamp64Micro(expires_at), 0) AS expires_us, score, deleted,
       size, length(files) AS n_files, metadata, description,
       if({with_files:UInt8} = 1, arrayMap(f -> (f.path, f.sha256, f.size, f.mime, f.ref), files), []) AS file_rows
FROM v_artifacts
WHERE project = {project:String} AND (empty({names:Array(String)}) OR name IN {names:Array(String)})
  AND (empty({digests:Array(String)}) OR digest IN {digests:Array(String)})
  AND (NOT deleted OR {deleted:UInt8} = 1)
  AND (empty({search:String})
       OR arrayExists(word -> positionCaseInsensitiveUTF8(word, {search:String}) > 0,
                      arrayConcat([version, digest, description, metadata], aliases, tags)))
ORDER BY name, toUInt32OrZero(substring(version, 2)) DESC
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
