import pytest

from mirnet.errors import MirnetError
from mirnet.web.order import Box, Order


def test_fields_become_an_order() -> None:
    order = Order.of_fields(
        {
            "task": "super-resolution", "strength": "0.5", "chroma_only": "true", "enlarge": "2",
            "format": "png", "quality": "80", "visible": "1,2,30,40", "weights": "",
        }
    )  # fmt: skip
    assert order == Order(
        task="super-resolution", strength=0.5, chroma_only=True, enlarge=2, format="png",
        quality=80, visible=Box(x=1, y=2, width=30, height=40),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "text", "says"),
    [
        ("task", "magic", "task: must be one of denoising"),
        ("strength", "2", "strength: must be a number from 0 to 1, got '2'"),
        ("strength", "nan", "strength: must be a number"),
        ("detail", "x", "detail: must be a number"),
        ("chroma_only", "maybe", "chroma_only: must be true or false"),
        ("enlarge", "5", "enlarge: must be from 1 to 4"),
        ("enlarge", "²", "enlarge: must be from 1 to 4"),
        ("quality", "0", "quality: must be from 1 to 100"),
        ("quality", "0000000019999", "quality: must be from 1 to 100"),
        ("quality", "1" * 5000, "quality: must be from 1 to 100"),
        ("depth", "12", "depth: must be one of keep, 8, 16"),
        ("format", "gif", "format: must be one of keep, png"),
        ("visible", "1,2,3", "visible: is x,y,width,height"),
        ("visible", "1,2,0,3", "visible: must have a width and a height"),
        ("memory", "1", "memory: is no option; there are allow_damaged"),
    ],
)
def test_a_wrong_field_is_named(field: str, text: str, says: str) -> None:
    with pytest.raises(MirnetError, match="^" + says.replace("(", r"\(")):
        Order.of_fields({field: text})


def test_options_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(MirnetError, match="detail comes back with the luma"):
        Order.of_fields({"chroma_only": "1", "detail": "0.5"})


def test_the_middle_of_a_box_lies_in_the_picture() -> None:
    box = Box(x=900, y=0, width=400, height=100)
    assert box.middle(50, 1000, 300) == Box(x=700, y=0, width=300, height=50)
    assert Box(x=0, y=0, width=10, height=10).middle(99, 99, 512) == Box(
        x=0, y=0, width=10, height=10
    )
