"""Secrets that stand where a program of the command line takes its password: `curl -u me:X`, `mysql -pX`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from runstream.secret_shapes import MASK, Pattern

# Between two arguments: in a shell line, in a list of JSON or Python, in the arguments of a process (joined by NUL).
_GAP = r"(?:[ \t]{1,20}|\\?[\"']?,[ \t]{0,8}\\?[\"']|\x00)"
# A value as it stands behind a gap or an option: quoted, an argument of a process, a word. What is masked stays so.
_VALUE = r"(?:(?<=\x00)(?!\*\*\*)[^\x00]+|'[^'\n\x00]+'|\"(?!,)[^\"\n\x00]+\"|(?!\*\*\*|[$<{-])[^\s'\"|;&()\\\x00\]]+)"
_REST = r"(?:[^|;&*\n]|\*(?!\*\*)){0,300}?"
"""Arguments in between, of the same command; nothing that was masked before."""


class Command(NamedTuple):
    programs: frozenset[bytes]
    """Words, one of which the line has; digits as zeros."""
    pattern: Pattern
    replacement: str


def _takes(programs: str, options: str, *, also_joined: bool = False) -> Command:
    """`programs` that take a secret behind one of `options`."""
    names = "|".join(re.escape(name) for name in programs.split())
    gap = f"{_GAP}?" if also_joined else _GAP
    return _command(programs, rf"((?<![\w.-])(?:{names})(?![\w.-]){_REST}{_GAP}(?:{options}){gap}){_VALUE}")


def _command(programs: str, pattern: str, replacement: str = rf"\1{MASK}") -> Command:
    words = re.sub("[0-9]", "0", programs).lower().split()
    return Command(frozenset(re.split("[-_]", word)[0].encode() for word in words), Pattern(pattern), replacement)


_MYSQL = "mysql mysqldump mysqladmin mysqlimport mysqlcheck mysqlsh mysqlpump mariadb mariadb-dump mariadb-admin mycli"
_LOGIN = "docker podman nerdctl buildah skopeo helm oras crane oc az"
COMMANDS = (
    # The user stays: what is behind the colon goes. `-u 1000:1000` of another program is none of these.
    _command(
        "curl",
        rf"((?<![\w.-])curl(?![\w.-]){_REST}{_GAP}(?:-[a-zA-Z]{{0,6}}[uU]|--(?:proxy-)?user(?:=|(?=\W)))(?:{_GAP})?[\"']?"
        rf"[^\s:'\"|;&\x00]{{0,100}}:)(?!\*\*\*)[^\s'\"|;&\x00]+",
    ),
    _command(
        "curl",
        rf"((?<![\w.-])curl(?![\w.-]){_REST}{_GAP}(?:-b|--cookie)(?:=|{_GAP})[\"']?(?=[\w.-]{{1,100}}=))(?!\*\*\*)[^'\"|&\n\x00]+",
    ),
    _command(
        "http https xh",
        rf"((?<![\w.-])(?:https?|xh)(?![\w.:-]){_REST}{_GAP}(?:-a|--auth)(?:=|{_GAP})[\"']?[^\s:'\"|;&\x00]{{1,100}}:)(?!\*\*\*)"
        r"[^\s'\"|;&\x00]+",
    ),
    _command(
        _MYSQL + " 7z 7za 7zz 7zr rar unrar",
        rf"((?<![\w.-])(?:{'|'.join(_MYSQL.split())}|7z[azr]?|(?:un)?rar)(?![\w.-]){_REST}{_GAP}-p){_VALUE}",
    ),
    _takes("mongo mongosh mongodump mongorestore mongoexport mongoimport", "-p"),
    _takes("cqlsh beeline rabbitmqadmin cypher-shell twine arangosh", "-p"),
    _takes("sshpass", "-p", also_joined=True),
    _takes("zip unzip sqlcmd bcp ipmitool mosquitto_pub mosquitto_sub", "-P", also_joined=True),
    _takes("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldappasswd", "-w"),
    _takes("redis-cli valkey-cli keydb-cli", "-a|--pass"),
    _command("redis valkey", rf"(?i)((?<![\w.-])(?:redis|valkey)-cli(?![\w.-]){_REST}{_GAP}auth{_GAP}){_VALUE}"),
    _takes("ssh-keygen", "-N|-P"),
    _takes("keytool jarsigner", "-(?:store|key|deststore|srcstore|new)pass"),
    _command(
        _LOGIN,
        rf"((?<![\w.-])(?:{'|'.join(_LOGIN.split())})(?:{_GAP}registry)?{_GAP}login\b{_REST}{_GAP}-p{_GAP}){_VALUE}",
    ),
    _command(
        "openssl",
        rf"((?<![\w.-])openssl(?![\w.-]){_REST}{_GAP}-pass(?:in|out)?{_GAP}[\"']?pass:)(?!\*\*\*)[^\s'\"|;&\x00]+",
    ),
    _command(
        "smbclient rpcclient",
        rf"((?<![\w.-])(?:smb|rpc)client(?![\w.-]){_REST}{_GAP}(?:-U|--user=?)(?:{_GAP})?[\"']?[^\s%'\"|;&\x00]{{1,100}}%)(?!\*\*\*)"
        r"[^\s'\"|;&\x00]+",
    ),
    _command(
        "lftp", rf"((?<![\w.-])lftp(?![\w.-]){_REST}{_GAP}-u{_GAP}[^\s,'\"|;&\x00]{{1,100}},)(?!\*\*\*)[^\s'\"|;&\x00]+"
    ),
    _command("sqlplus", rf"((?<![\w.-])sqlplus(?![\w.-]){_REST}{_GAP}\w{{1,60}}/)(?!\*\*\*)[^\s'\"|;&@\x00]+"),
    _command(
        "wandb vault",
        rf"((?<![\w.-])(?:wandb|vault){_GAP}login{_GAP}(?:--?[\w-]{{1,30}}{_GAP}){{0,3}})(?=[\w.-]{{0,80}}[0-9])[\w.-]{{12,}}",
    ),
    _command(
        "mc mcli",
        rf"((?<![\w.-])mc(?:li)?{_GAP}alias{_GAP}set{_GAP}\w[\w-]{{0,60}}{_GAP}[^\s'\"\x00]{{1,200}}{_GAP}[^\s'\"\x00]{{1,200}}{_GAP})"
        + _VALUE,
    ),
    _command(
        "htpasswd",
        rf"((?<![\w.-])htpasswd{_REST}{_GAP}-[a-zA-Z]{{0,6}}b[a-zA-Z]{{0,6}}{_GAP}[^\s'\"\x00]{{1,200}}{_GAP}[^\s'\"\x00]{{1,200}}{_GAP})"
        + _VALUE,
    ),
    _command(
        "poetry pdm",
        rf"((?<![\w.-])(?:poetry|pdm){_GAP}config{_GAP}(?:--?[\w-]{{1,30}}{_GAP}){{0,3}}(?:pypi-token\.[\w-]{{1,60}}{_GAP}"
        rf"|http-basic\.[\w-]{{1,60}}{_GAP}[^\s'\"\x00]{{1,200}}{_GAP}|(?:repository|pypi)\.[\w.-]{{0,60}}password{_GAP})){_VALUE}",
    ),
    _command("rclone", rf"((?<![\w.-])rclone{_GAP}obscure{_GAP}){_VALUE}"),
    _command(
        "net",
        rf"(?i)((?<![\w.-])net(?:\.exe)?{_GAP}use{_GAP}{_REST}/user:[^\s'\"\x00]{{1,200}}{_GAP}|(?<![\w.-])net(?:\.exe)?{_GAP}use{_GAP}"
        rf"(?:\w:{_GAP})?\\{{2,4}}[^\s'\"\x00]{{1,200}}{_GAP}(?=[^\s/]{{1,200}}{_GAP}/user:))(?!/){_VALUE}",
    ),
    # What is given to a program that reads a password from its input.
    _command(
        "echo printf",
        r"(?<![\w.-])((?:echo|printf)[ \t]{1,8}(?:-\w{1,3}[ \t]{1,8}){0,2})(?!\*\*\*|[$\"']{1,2}\$|[\"']?\*\*\*)"
        r"(?:'[^'\n]{1,400}'|\"[^\"\n]{1,400}\"|[^\s'\"|;&]{1,400})"
        r"(?=[ \t]{0,8}\|[^|;&\n]{0,200}?(?:sudo\s(?:-\w+\s){0,4}-\w{0,4}S\b|--(?:password-)?stdin\b|--with-token\b"
        r"|\bchpasswd\b))",
    ),
)
PROGRAMS = frozenset(word for command in COMMANDS for word in command.programs)


def without_secrets_of_commands(text: str, words: Sequence[bytes]) -> str:
    """`text` without what its programs take as a password; `words` are those of the text, digits as zeros."""
    for command in COMMANDS:
        if not command.programs.isdisjoint(words):
            text = command.pattern.get().sub(command.replacement, text)
    return text
