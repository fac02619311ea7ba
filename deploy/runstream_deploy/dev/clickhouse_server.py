"""Run ClickHouse out of libchdb.so: `clickhouse_server.py LIBRARY [OPTION …]`.

`chdb_query_cmdline` is clickhouse-local with listeners, so the last query opens them and then sleeps. Runs as a plain
file, so that it imports nothing of this package.
"""

import ctypes
import sys

_SERVE = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT sleepEachRow(1) FROM numbers(1000000000) "
    "SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0 FORMAT Null"
)


def main(library: str, options: list[str]) -> int:
    lib = ctypes.CDLL(library)
    lib.chdb_query_cmdline.argtypes = [ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
    lib.chdb_query_cmdline.restype = ctypes.c_void_p
    lib.chdb_result_error.argtypes = [ctypes.c_void_p]
    lib.chdb_result_error.restype = ctypes.c_char_p
    words = [b"clickhouse", *(option.encode() for option in options), b"--query=" + _SERVE.encode()]
    result = lib.chdb_query_cmdline(len(words), (ctypes.c_char_p * (len(words) + 1))(*words, None))
    error = lib.chdb_result_error(result) if result else None
    sys.stderr.write(f"ClickHouse ended: {error.decode(errors='replace') if error else 'no reason given'}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
