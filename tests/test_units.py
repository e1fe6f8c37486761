import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet.errors import MirnetError
from mirnet.units import counted, in_bytes, in_time, parse_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GiB", 2 << 30), ("2 gib", 2 << 30), ("1.5GB", 1_500_000_000), ("500M", 500_000_000),
        ("3Ki", 3072), ("1000000", 1_000_000), ("7b", 7), ("0.5k", 500), ("1T", 10**12),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_bytes(text, name="--memory") == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1GB", "0", "0.1", "1e9", "two", "1 PB", "nan", "1,5G"]
)
def test_what_is_no_size_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(MirnetError, match=r"^--memory: must be a size such as 2GiB or 500MB, got "):
        parse_bytes(text, name="--memory")


@given(st.integers(1, 1 << 50))
def test_a_plain_number_is_bytes(size: int) -> None:
    assert parse_bytes(str(size), name="x") == size


def test_for_people() -> None:
    assert [counted(number, "pair") for number in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
    assert in_bytes(1 << 30) == "1.0 GiB"
    assert in_bytes(85 << 20) == "85 MiB"
    assert in_bytes(-5) == "0 MiB"
    assert [in_time(each) for each in (0.1, 5, 89, 91, 200, 9000)] == [
        "1 s", "5 s", "89 s", "2 min", "3 min", "2.5 h",
    ]  # fmt: skip
