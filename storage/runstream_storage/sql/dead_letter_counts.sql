-- Messages that could not be read, by reason, the most common first. A row is a reason: how many nobody has dealt with, how
-- many were replayed or dropped, and the newest one in microseconds since 1970. No parameters.
SELECT toString(reason) AS reason, countIf(status = '') AS waiting, countIf(status != '') AS handled, max(ts_us) AS newest_us
FROM dead_letters FINAL
GROUP BY reason
ORDER BY waiting DESC, handled DESC, reason
