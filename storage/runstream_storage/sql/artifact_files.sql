-- What lies in a folder of a version of an artifact, folders first, by name. A row is a folder or a file: path, whether it
-- is a folder, how many files it is or holds, their bytes; and of a file sha256, mime, ref, and how many rows there are.
-- project String. name String. digest String. folder String: empty, or ends with a slash. contains String: instead of the
-- folder, all files below it with this in their paths, in any case; empty: the folder. limit UInt32. offset UInt64.
SELECT path, is_folder, count() AS files, sum(size) AS bytes, any(of_sha256) AS sha256, any(of_mime) AS mime, any(of_ref) AS ref,
       count() OVER () AS total
FROM
(
    SELECT substring(f.path, length({folder:String}) + 1) AS rest,
           empty({contains:String}) AND position(rest, '/') > 0 AS is_folder,
           concat({folder:String}, if(is_folder, substring(rest, 1, position(rest, '/')), rest)) AS path,
           f.size AS size, f.sha256 AS of_sha256, f.mime AS of_mime, f.ref AS of_ref
    FROM
    (
        SELECT arrayJoin(files) AS f
        FROM artifacts FINAL
        WHERE project = {project:String} AND name = {name:String} AND digest = {digest:String}
    )
    WHERE startsWith(f.path, {folder:String})
      AND (empty({contains:String}) OR positionCaseInsensitiveUTF8(f.path, {contains:String}) > 0)
)
GROUP BY path, is_folder
ORDER BY is_folder DESC, path
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
