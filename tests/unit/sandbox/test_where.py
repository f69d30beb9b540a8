"""The where language: the documented forms, and agreement with plain Python on any combination of them."""

from dataclasses import dataclass
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.xero.where import Field, WhereError, compile_where


@dataclass(frozen=True)
class Row:
    type: str
    due: int
    day: int | None
    id: str = "d4956132-ed94-4dd7-9eaa-aa22dfdf06f2"


FIELDS = {
    "Type": Field(lambda row: row.type, "text"),
    "AmountDue": Field(lambda row: row.due, "number"),
    "DueDate": Field(lambda row: None if row.day is None else datetime(2026, 6, row.day), "date"),  # noqa: DTZ001
    "InvoiceID": Field(lambda row: row.id, "guid"),
    "Sent": Field(lambda _row: True, "bool"),
}
ROW = Row("ACCREC", 100, 20)


@pytest.mark.parametrize(
    "text",
    [
        'Type=="ACCREC" AND AmountDue>0 AND DueDate<DateTime(2026,6,23)',
        'Type == "ACCREC" && DueDate >= DateTime(2026, 06, 20)',
        'Type=="ACCPAY" OR AmountDue<=100',
        '(Type=="ACCPAY" || AmountDue!=1) and DueDate!=null',
        'InvoiceID==Guid("D4956132-ED94-4DD7-9EAA-AA22DFDF06F2")',
        "amountdue>99.99",
        "Sent==true",
        "DueDate<DateTime(2026,6,20,0,0,1)",
    ],
)
def test_documented_forms_match(text: str) -> None:
    assert compile_where(text, FIELDS).matches(ROW)


@pytest.mark.parametrize(
    "text",
    [
        'Type="ACCREC"',
        "Type=='ACCREC'",
        'Kind=="ACCREC"',
        'Type=="ACCREC" AND',
        'Type=="ACCREC" AmountDue>0',
        '(Type=="ACCREC"',
        'InvoiceID=="d4956132-ed94-4dd7-9eaa-aa22dfdf06f2"',
        'InvoiceID==Guid("17")',
        "AmountDue>DateTime(2026,6,1)",
        "DueDate<DateTime(2026,13,1)",
        'DueDate<"2026-06-23"',
        'Type>"ACCREC"',
        "DueDate<null",
        "AmountDue",
        "",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(WhereError):
        compile_where(text, FIELDS)


def test_a_missing_value_matches_no_range() -> None:
    empty = Row("ACCREC", 0, None)
    assert not compile_where("DueDate<DateTime(2026,6,23)", FIELDS).matches(empty)
    assert not compile_where("DueDate>=DateTime(2026,6,23)", FIELDS).matches(empty)
    assert compile_where("DueDate==null", FIELDS).matches(empty)


def test_it_tells_which_properties_were_used() -> None:
    assert compile_where('type=="A" AND AmountDue>1', FIELDS).uses == [("Type", "=="), ("AmountDue", ">")]


OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
NUMBERS = st.builds(lambda op, n: (f"AmountDue{op}{n}", f"row.due {op} {n}"), OPERATORS, st.integers(-5, 5))
DAYS = st.builds(
    lambda op, n: (f"DueDate {op} DateTime(2026,6,{n})", f"row.day {op} {n}"), OPERATORS, st.integers(1, 9)
)
TYPES = st.builds(
    lambda op, t: (f'Type{op}"{t}"', f"row.type {op} '{t}'"),
    st.sampled_from(["==", "!="]),
    st.sampled_from(["ACCREC", "ACCPAY"]),
)
EXPRESSIONS = st.recursive(
    NUMBERS | DAYS | TYPES,
    lambda inner: st.builds(
        lambda left, pair, right: (f"({left[0]}) {pair[0]} ({right[0]})", f"({left[1]}) {pair[1]} ({right[1]})"),
        inner,
        st.sampled_from([("AND", "and"), ("&&", "and"), ("OR", "or"), ("||", "or")]),
        inner,
    ),
    max_leaves=8,
)
ROWS = st.builds(Row, st.sampled_from(["ACCREC", "ACCPAY"]), st.integers(-5, 5), st.integers(1, 9))


@given(EXPRESSIONS, ROWS)
def test_it_agrees_with_python(expression: tuple[str, str], row: Row) -> None:
    where, python = expression
    assert compile_where(where, FIELDS).matches(row) == eval(python, {"row": row})


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        compile_where(text, FIELDS)
    except WhereError:
        return
