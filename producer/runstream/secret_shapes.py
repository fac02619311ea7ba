"""Secrets that are known by what they look like, wherever they stand: keys, tokens, URLs with credentials."""

from __future__ import annotations

import re
from typing import NamedTuple

MASK = "***"


class Pattern:
    """A regular expression that is compiled when it is first needed: together they take longer than `init()`."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._given = text, flags
        self._compiled: re.Pattern[str] | None = None

    def get(self) -> re.Pattern[str]:
        if self._compiled is None:
            self._compiled = re.compile(*self._given)
        return self._compiled


class Shape(NamedTuple):
    triggers: tuple[str, ...]
    """Lower-case pieces; a text that holds none of them has no secret of this shape. One that begins with a letter or a
    digit stands at the beginning of a word, and has four of them or ends the word."""
    pattern: Pattern
    replacement: str


def _prefixed(*patterns: str) -> Pattern:
    return Pattern(rf"(?<![A-Za-z0-9])(?:{'|'.join(patterns)})")


# Every repeat that can fail is bounded or possessive, so that a long text takes time in proportion to its length.
SHAPES = (
    # A password may hold an @; the user alone stays in the schemes where it is no secret, such as ssh://git@host.
    Shape(
        ("://",),
        Pattern(
            r"(?<![A-Za-z0-9])((?!(?:git\+|svn\+|bzr\+|hg\+)?(?:ssh|sftp|rsync)://[\w.-]{1,64}@)[A-Za-z][A-Za-z0-9+.-]{0,30}"
            r"://)[^/\s\"'<>\\]{1,1000}@(?=[\w.\[%$*{-])"
        ),
        rf"\1{MASK}@",
    ),
    Shape(
        ("?", "&"),
        Pattern(
            r"([?&][\w.-]{0,60}(?:token|key|password|passwd|pwd|pass|pw|auth|secret|signature|sig|credential|jwt)=)(?!\*\*\*)[^&\s\"'<>#]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # What OAuth sends a browser back with: good once, for minutes.
    Shape(("code=",), Pattern(r"([?&]code=)(?!\*\*\*)(?=[^&\s\"'<>#]{0,200}[0-9])[\w.~/%+-]{20,}"), rf"\1{MASK}"),
    # A value of ODBC in braces, which stand there because it has a sign in it; `{password}` is a place to fill in.
    Shape(
        ("pwd={", "password={"),
        Pattern(
            r"(\b(?:pwd|password)=\{)(?=[^{}\n]{0,200}[0-9])(?=[^{}\n]{0,200}[;@#$%^&*?+=/\\-])(?:[^{}\n]|\}\}){4,400}(?=\})",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    # A line of .pgpass: host, port, database, user, password.
    Shape(
        (":5432:", ":6432:"),
        Pattern(r"((?<![\w:.-])[\w.*-]{1,200}:[56]432:[\w.*-]{1,100}:[\w.*@-]{1,100}:)(?!\*\*\*)[^\s\"'<>]{4,400}"),
        rf"\1{MASK}",
    ),
    Shape(
        ("hooks.slack.com", "discord", "outlook.office", "webhook"),
        Pattern(
            r"(https://(?:hooks\.slack\.com/(?:services|workflows|triggers)|(?:canary\.|ptb\.)?discord(?:app)?\.com/api/webhooks"
            r"|[\w-]{1,60}\.webhook\.office\.com/webhookb2)/)(?!\*\*\*)[\w/@.+-]+"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("bearer ", "basic "),
        Pattern(
            r"\b(Bearer|bearer|BEARER|Basic)[ \t]{1,4}"
            r"(?=[A-Za-z._~+/=-]{0,200}[0-9=_A-Z]|[a-z]{20})[A-Za-z0-9._~+/=-]{8,}"
        ),
        rf"\1 {MASK}",
    ),
    Shape(
        ("authorization",),
        Pattern(
            r"(?i)(\bauthorization\\?[\"']?[ \t]{0,4}[:=,][ \t]{0,4}\\?[\"']?(?:Digest|AWS4-HMAC-SHA256)[ \t]{1,4})"
            r"(?!\*\*\*)[^\r\n'\\]+"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("authorization",),
        Pattern(
            r"(?i)(\bauthorization\\?[\"']?[ \t]{0,4}[:=,][ \t]{0,4}\\?[\"']?(?:[A-Za-z][\w-]{1,20}[ \t]{1,4})?)"
            r"(?=[^\s\"'\\,;]{0,200}[0-9=])(?!\*\*\*)[^\s\"'\\,;{}()\[\]<>$]{6,}"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("auth",),
        Pattern(
            r"(\b(?:auth[ ]?=[ ]?|\w{0,20}(?:Basic|Digest|Proxy)Auth)\(\s{0,8}[\"'][^\"'\n]{0,100}[\"']\s{0,8},\s{0,8}"
            r"(?:password\s?=\s?)?[\"'])(?!\*\*\*[\"'])[^\"'\n]{1,400}(?=[\"'])"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("login(",),
        Pattern(r"(\blogin\(\s{0,8}(?:\w{1,20}\s?=\s?)?[\"'])(?=[\w.-]{0,80}[0-9])[\w.-]{12,}(?=[\"'])"),
        rf"\1{MASK}",
    ),
    Shape(
        ("identified",),
        Pattern(
            r"(?i)(\bidentified\s{1,8}(?:with\s{1,8}\w{1,40}\s{1,8})?by\s{1,8}(?:password\s{1,8})?')(?!\*\*\*')[^'\n]+"
        ),
        rf"\1{MASK}",
    ),
    # Of ClickHouse: s3(url, key, secret); the third is the structure where the second is a format.
    Shape(
        ("s3(", "s3cluster("),
        Pattern(
            r"(\bs3(?:Cluster)?\([^()'\n]{0,60}'[^'\n]{1,400}'\s{0,8},\s{0,8}'(?!(?:CSV|TSV|Tab|TS|Parquet|JSON|Native|Avro|Arrow|ORC|Raw"
            r"|Line|Row|Values|Custom|Template)\w*')[^'\n]{1,200}'\s{0,8},\s{0,8}')(?!\*\*\*')[^'\n]{1,400}"
        ),
        rf"\1{MASK}",
    ),
    Shape(
        ("jdbc:oracle",),
        Pattern(r"(\bjdbc:oracle:\w{1,10}:[^\s/@\"']{1,60}/)(?!\*\*\*)[^\s@\"']{1,200}(?=@)"),
        rf"\1{MASK}",
    ),
    Shape(
        ("cookie",),
        Pattern(
            r"(?i)(\b(?:set-)?cookie\\?[\"']?[ \t]{0,4}:[ \t]{0,4}\\?[\"']?)(?=[\w.-]{1,100}=)(?!\*\*\*)[^\r\n\"'\\]+"
        ),
        rf"\1{MASK}",
    ),
    Shape(("akia", "asia", "abia", "acca"), Pattern(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"), MASK),
    Shape(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        _prefixed(r"gh[pousr]_[A-Za-z0-9]{20,}", r"github_pat_\w{20,}"),
        MASK,
    ),
    Shape(
        (
            *("glpat", "glptt", "gldt-", "gldt_", "glrt-", "glrt_", "glsoat", "glft-", "glft_", "glcbt", "glimt"),
            *("glagent", "gloas", "glsa-", "glsa_", "glc-", "glc_"),
        ),
        _prefixed(r"gl(?:pat|ptt|dt|rt|soat|ft|cbt|imt|agent|oas|sa)[-_][\w-]{17,}", r"glc[-_][\w+/=-]{17,}"),
        MASK,
    ),
    Shape(
        ("hf_", "api_org_"),
        _prefixed(r"hf_[A-Za-z0-9]{20,}", r"api_org_[A-Za-z0-9]{20,}"),
        MASK,
    ),
    Shape(
        ("sk-", "sess-"),
        _prefixed(
            r"sk-(?:proj|ant|svcacct|admin|or|lf|None)-[\w-]{16,}",
            r"sk-[A-Za-z0-9]{20,}(?:[\w-]{1,400})?+",
            r"sess-[A-Za-z0-9]{30,}",
        ),
        MASK,
    ),
    Shape(
        ("sk_live_", "rk_live_", "pk_live_", "sk_test_", "rk_test_", "pk_test_", "whsec_"),
        _prefixed(r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{12,}", r"whsec_[A-Za-z0-9+/=]{20,}"),
        MASK,
    ),
    Shape(
        (*(f"xox{kind}" for kind in "abceoprs"), "xapp-"),
        _prefixed(r"xox[abceoprs](?:\.xox[abeprs])?-[A-Za-z0-9-]{15,}", r"xapp-[A-Za-z0-9-]{20,}"),
        MASK,
    ),
    Shape(
        ("aiza", "ya29.", "gocspx-", "//0"),
        _prefixed(r"AIza[\w-]{35}", r"ya29\.[\w-]{20,}", r"GOCSPX-[\w-]{20,}", r"1//0[\w-]{30,}"),
        MASK,
    ),
    Shape(("npm_", "pypi-"), _prefixed(r"npm_[A-Za-z0-9]{30,}", r"pypi-[\w-]{30,}"), MASK),
    Shape(("wandb_v1_", "local-"), _prefixed(r"wandb_v1_\w{20,}", r"local-[0-9a-f]{40}"), MASK),
    Shape(("sg.",), _prefixed(r"SG\.[\w-]{20,32}\.[\w-]{16,64}"), MASK),
    Shape(
        ("dapi", "hvs.", "hvb.", "dop_", "doo_", "dor_", "dp.", "dckr_"),
        _prefixed(
            r"dapi[0-9a-f]{32}",
            r"hv[sb]\.[\w-]{20,}",
            r"do[opr]_v1_[0-9a-f]{32,}",
            r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}",
            r"dckr_(?:pat|oat)_[\w-]{20,}",
        ),
        MASK,
    ),
    Shape(
        (
            "nvapi-",
            "gsk_",
            "xai-",
            "pplx-",
            "r8_",
            "tskey-",
            "lin_api_",
            "ntn_",
            "sbp_",
            "shpat",
            "shpca",
            "shppa",
            "shpss",
            "atatt3",
            "pul-",
            "sntry",
        ),
        _prefixed(
            r"nvapi-[\w-]{30,}",
            r"gsk_[A-Za-z0-9]{30,}",
            r"xai-[A-Za-z0-9]{30,}",
            r"pplx-[A-Za-z0-9]{30,}",
            r"r8_[A-Za-z0-9]{30,}",
            r"tskey-[a-z]{1,12}-[\w-]{16,}",
            r"lin_api_[A-Za-z0-9]{30,}",
            r"ntn_[A-Za-z0-9]{30,}",
            r"sbp_[0-9a-f]{30,}",
            r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{30,}",
            r"ATATT3[\w=-]{30,}",
            r"pul-[0-9a-f]{30,}",
            r"sntry[su]_[\w=/+-]{30,}",
        ),
        MASK,
    ),
    Shape(("age-secret",), _prefixed(r"AGE-SECRET-KEY-1[0-9A-Z]{30,}"), MASK),
    Shape((":aa",), Pattern(r"(?<![A-Za-z0-9])(bot)?[0-9]{8,10}:AA[\w-]{33}(?![\w-])"), rf"\1{MASK}"),
    Shape(
        (
            *("csk-", "pcsk_", "lsv2_", "pmak-", "nrak-", "cfpat-", "rubygems_", "pscale_", "fo1_", "fm2_"),
            *("rpa_", "secret_", "key-"),
        ),
        _prefixed(
            r"csk-[a-z0-9]{40,}",
            r"pcsk_[A-Za-z0-9_]{40,}",
            r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",
            r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
            r"NRAK-[0-9A-Z]{27}",
            r"CFPAT-[\w-]{40,}",
            r"rubygems_[0-9a-f]{48}",
            r"pscale_(?:pw|tkn|oauth)_[\w.=-]{32,}",
            r"fo1_[\w-]{40,}",
            r"fm2_[\w=+/-]{40,}",
            r"rpa_[0-9A-Z]{40,}",
            r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9_])",
            r"key-[0-9a-f]{32}(?![A-Za-z0-9])",
        ),
        MASK,
    ),
    Shape((".atlasv1.",), _prefixed(r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}"), MASK),
    # Of Discord: the number of an account (digits in base64), a time and a signature.
    Shape(
        (".",),
        _prefixed(r"(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5,6}[\w-]{2,4}\.[\w-]{6,7}\.[\w-]{27,45}(?![\w-])"),
        MASK,
    ),
    Shape(("q~",), _prefixed(r"[\w.~-]{3}[0-9]Q~[\w.~-]{31,34}(?![\w~-])"), MASK),
    Shape(("eyj",), _prefixed(r"eyJ[\w-]{8,8000}\.[\w-]{8,8000}(?:\.[\w-]*+){0,3}"), MASK),
)
PEM_BEGIN = Pattern(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
PEM = Pattern(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
PEM_END = Pattern(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
