-- Seeds and flags that a process of a run saw after its start, each as last seen. A row is a name, a value, and when
-- it was seen (microseconds since 1970).
-- project String. run_id UUID.
SELECT substring(key, 13) AS name, argMax(value, ver) AS seen,
       toInt64(bitAnd(bitShiftRight(max(ver), 6), 1125899906842623)) + 1735689600000000 AS seen_us
FROM run_attrs
WHERE project = {project:String} AND run_id = {run_id:UUID} AND startsWith(key, 'determinism:')
GROUP BY key
HAVING argMax(is_deleted, ver) = 0
ORDER BY name
