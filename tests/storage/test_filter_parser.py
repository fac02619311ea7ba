import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_storage.errors import FilterError
from runstream_storage.filters import metric_column, param_column, parse, parse_column, summary_column
from runstream_storage.filters.check import check
from runstream_storage.filters.terms import AllOf, AnyOf, Condition, Not, Subject
from runstream_storage.filters.values import quote, unquote


def read(text: str) -> Condition:
    term = parse(text)
    assert isinstance(term, Condition)
    return term


def refuse(text: str) -> FilterError:
    error = error_of(text)
    assert error is not None
    return error


def error_of(text: str) -> FilterError | None:
    try:
        term = parse(text)
        if term is not None:
            check(term, text)
    except FilterError as error:
        return error
    return None


def test_and_binds_closer_than_or_and_not_closer_than_both() -> None:
    term = parse("not name = a and state = running or user = b")
    assert isinstance(term, AnyOf)
    assert isinstance(term.items[0], AllOf)
    assert isinstance(term.items[0].items[0], Not)


def test_parentheses_group() -> None:
    term = parse("name = a and (name = b or name = c)")
    assert isinstance(term, AllOf)
    assert isinstance(term.items[1], AnyOf)


def test_a_truth_stands_by_itself() -> None:
    starred, amp = read("starred"), read("config.amp")
    assert (starred.subject.name, starred.operator, starred.values[0].value) == ("starred", "=", True)
    assert (amp.subject.name, amp.operator, amp.values[0].value) == ("amp", "=", True)
    assert isinstance(parse("not starred"), Not)


def test_an_empty_text_filters_nothing() -> None:
    assert parse("  \n ") is None


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        ("config.lr = 1", "config", ("lr",)),
        ("params.lr = 1", "config", ("lr",)),
        ("config.model/depth = 1", "config", ("model/depth",)),
        ("config.model.depth = 1", "config", ("model.depth", "model/depth")),
        ('config."weird name" = 1', "config", ("weird name",)),
        ('config."a.b" = 1', "config", ("a.b",)),
        ("config.größe=1", "config", ("größe",)),
        ("summary.best = 1", "summary", ("best",)),
        ("last(val/loss) = 1", "metric", ("val/loss",)),
        ("LAST( val/loss-2.b ) = 1", "metric", ("val/loss-2.b",)),
        ("min(top 5) = 1", "metric", ("top 5",)),
        ("max('f(x)') = 1", "metric", ("f(x)",)),
        ("count(order) = 1", "metric", ("order",)),
        ("Name = x", "attribute", ("name",)),
    ],
)
def test_a_subject_may_be_written_so(text: str, kind: str, names: tuple[str, ...]) -> None:
    subject = read(text).subject
    assert (subject.kind, subject.names) == (kind, names)


@pytest.mark.parametrize(
    "pattern", [r"\p{L}+", r"[[:alpha:]]", r"^a\d{3}$", r"\Qa.b\E", "(?i)a", "a||b", r"\x{10FFFF}"]
)
def test_a_pattern_may_use_all_of_re2(pattern: str) -> None:
    assert error_of(f"name =~ '{pattern}'") is None


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("1e-3", "number", 0.001),
        ("-.5", "number", -0.5),
        ("1_000", "number", 1000.0),
        ("+inf", "number", float("inf")),
        ("TRUE", "bool", True),
        ("2026-01-31", "date", 1_769_817_600_000_000),
        ("2026-01-31T12:00:00+01:00", "date", 1_769_857_200_000_000),
        ("-7d", "age", 7 * 86400.0),
        ("1.5h", "duration", 5400.0),
        ("250ms", "duration", 0.25),
        ("adam", "text", "adam"),
        ('"1"', "text", "1"),
        ("'it\\'s'", "text", "it's"),
        (r'"\d+\\\""', "text", '\\d+\\"'),
    ],
)
def test_a_value_may_be_written_so(text: str, type_: str, value: object) -> None:
    found = read(f"config.x = {text}").values[0]
    assert (found.type, found.value) == (type_, value)


@pytest.mark.parametrize(
    ("text", "operator", "negated"),
    [
        ("config.x==1", "=", False),
        ("config.x<>1", "=", True),
        ("config.x!=1", "=", True),
        ("config.x=-1", "=", False),
        ("config.x >= 1", ">=", False),
        ("config.x in (1, 2,)", "in", False),
        ("config.x NOT IN [1]", "in", True),
        ("config.x not like 'a%'", "like", True),
        ("config.x ilike 'a%'", "ilike", False),
        ("config.x =~ 'a'", "matches", False),
        ("config.x !~ 'a'", "matches", True),
        ("config.x matches 'a'", "matches", False),
        ("config.x is null", "null", False),
        ("config.x is not none", "null", True),
        ("config.x exists", "null", True),
        ("tags contains best", "contains", False),
    ],
)
def test_a_condition_may_be_written_so(text: str, operator: str, negated: bool) -> None:
    condition = read(text)
    assert (condition.operator, condition.negated) == (operator, negated)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("val/loss < 0.2", 1, "last(val/loss)"),
        ("nme = x", 1, "Did you mean name?"),
        ("mean(x) < 2", 5, "there are min, max, first, last, count"),
        ("name and starred", 5, "the condition ends without an operator"),
        ("starred and last(a)", 20, "the condition ends without an operator"),
        ("state running", 7, "an operator is missing before 'running'"),
        ("state = runing", 9, "Did you mean running?"),
        ("config.lr <", 12, "a value is missing at the end"),
        ("config.lr < and", 13, "a value is missing before 'and'"),
        ("config.lr < 1 2", 15, "'and' or 'or' is missing before '2'"),
        ("(config.lr < 1", 15, "a parenthesis is never closed"),
        ("config.lr < 1)", 14, "this parenthesis was never opened"),
        ('name = "abc', 8, 'the quote " is never closed'),
        ("config.a in 3", 13, "'in' is followed by a list"),
        ("config.a in (1 2)", 16, "',' or ')' is missing"),
        ("config.a is 3", 13, "null or not null"),
        ("3 < config.a", 1, "cannot start with the value '3'"),
        ('"x" in tags', 1, "cannot start with a text"),
        ("config.a = config.b", 12, "two columns cannot be compared"),
        ("last() < 3", 6, "the name of a metric is missing"),
        ("name = a or", 12, "a condition is missing at the end"),
        ("name < 3", 8, 'quote it: "3"'),
        ("last(loss) = x", 14, "is compared with a number"),
        ("duration > 2026-01-01", 12, "a duration, such as"),
        ("created > 3", 11, "a date, such as"),
        ("created > 2026-13-01", 11, "is no date"),
        ("created = 2026-01-01", 9, "created >= 2026-01-31 and"),
        ("tags = best", 6, "Write tags contains best."),
        ("archived = 1", 12, "true or false"),
        ("config.a like 3", 15, "is compared with a text"),
        ("name =~ '('", 9, "no regular expression"),
        ("name =~ '(?=a)'", 9, "looks ahead"),
        (r"name =~ '(a)\\1'", 9, "refers to a group"),
        (r"name like 'a\\'", 11, "ends in a backslash"),
        ("name = a and\nstat = running", 14, "Did you mean state"),
        ("name = 'a\0b'", 10, "NUL"),
    ],
)
def test_an_error_points_at_the_column_and_says_how_to_mend_it(text: str, column: int, words: str) -> None:
    error = refuse(text)
    assert words in str(error)
    assert error.column == column
    *_, line, caret = str(error).removesuffix(error.hint).rstrip("\n").split("\n")
    assert caret.strip() == "^"
    shown = caret.index("^") - 2
    assert line[2:][shown : shown + 1].replace("␀", "\0") == text[column - 1 : column].replace("\n", "")


def test_a_long_line_is_cut_around_the_caret() -> None:
    error = refuse("name = a or " * 50 + "nme = b")
    assert all(len(line) <= 110 for line in str(error).splitlines()[:3])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 8000 + "name = a" + ")" * 8000,
        "not " * 4000 + "name = a",
        "(not " * 3000 + "name = a" + ")" * 3000,
        " or ".join(["name = a"] * 1400),
        "name = " + "a" * 1_000_000,
        "name in (" + "a," * 8000 + ")",
        "'" * 16_000,
        "\ud800 = 1",
        "name = \ud800",
        "config." + "." * 10_000 + " = 1",
    ],
)
def test_a_monstrous_text_is_read_or_refused_and_breaks_nothing(text: str) -> None:
    try:
        parse(text)
    except FilterError:
        return


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_column_inside_it(text: str) -> None:
    error = error_of(text)
    assert error is None or 1 <= error.column <= len(text) + 1


FRAGMENTS = st.sampled_from(
    [
        "name",
        "config.a",
        "last(x)",
        "(",
        ")",
        "and",
        "or",
        "not",
        "in",
        "like",
        "=",
        "<",
        "1",
        "'a'",
        ",",
        "is",
        "null",
        "tags",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAGMENTS, max_size=12).map(" ".join))
def test_any_words_of_the_language_are_read_or_refused(text: str) -> None:
    error = error_of(text)
    assert error is None or 1 <= error.column <= len(text) + 1


names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@settings(deadline=None)
@given(names)
def test_a_quoted_text_reads_back(text: str) -> None:
    assert unquote(quote(text)) == text


@settings(deadline=None)
@given(names)
def test_every_name_has_a_column_text_that_means_it_alone(name: str) -> None:
    assert parse_column(param_column(name)).names == (name,)
    assert parse_column(summary_column(name)) == Subject("summary", (name,), summary_column(name))
    metric = parse_column(metric_column(name, "max"))
    assert (metric.kind, metric.names, metric.aggregate) == ("metric", (name,), "max")


@pytest.mark.parametrize("text", ["", "config.a b", "last(a", "unknown", "config.a = 1"])
def test_a_text_that_is_no_column_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        parse_column(text)
