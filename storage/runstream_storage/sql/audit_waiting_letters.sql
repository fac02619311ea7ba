-- Dead letters that nobody has handled, in order. A row is topic, partition, offset, reason, and the error.
-- topic String: only of this one; empty: all.
SELECT topic, partition, offset, reason, error
FROM dead_letters FINAL
WHERE status = '' AND ({topic:String} = '' OR topic = {topic:String})
ORDER BY topic, partition, offset
