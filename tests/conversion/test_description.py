"""Descriptions from a template."""

from __future__ import annotations

import pytest

from qvl.conversion.annotated import Annotation
from qvl.conversion.description import DescriptionTemplate
from qvl.records import attributes, category


def cup(**words: str | tuple[str, ...]) -> Annotation:
    return Annotation("cup", "bbox_2d", ((0, 0, 1, 1),), "here", attributes=words, supercategory="kitchen")


@pytest.mark.parametrize(
    ("template", "given", "wanted"),
    [
        ("{category}", cup(), "cup"),
        ("type={category},{attributes}", cup(color="red", state="old"), "type=cup,color=red,state=old"),
        ("type={category},{attributes}", cup(), "type=cup"),
        ("{category}, color={attributes.color}", cup(state="old"), "cup"),  # a piece without its value is left out
        ("{supercategory}/{category},{attributes.color}", cup(color="red"), "kitchen/cup,red"),
        ("{attributes.color} {category}", cup(color=" dark\nred "), "dark red cup"),
        ("{attributes.color}", cup(), ""),
        ("{category},{attributes}", cup(note="a,b=c|d"), "cup,note=a，b＝c｜d"),
        ("{category},{attributes}", cup(text=("A", "B|C", "")), "cup,text=A|B｜C"),  # several values of one object
        ("{category},{attributes}", cup(text="ＡＢ①"), "cup,text=AB1"),
        ("{category},{attributes}", cup(text="{category}"), "cup,text={category}"),  # filled in once
    ],
)
def test_a_template_is_filled(template: str, given: Annotation, wanted: str) -> None:
    assert DescriptionTemplate(template).write(given, label=given.label) == wanted


def test_no_value_can_forge_an_attribute() -> None:
    desc = DescriptionTemplate("type={category},{attributes}").write(cup(color="red,state=new"), label="cup,x=1")
    assert category(desc) == "cup，x＝1"
    assert attributes(desc) == {"type": "cup，x＝1", "color": "red，state＝new"}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (" ", "blank"),
        ("{categry}", "there is no field {categry}; there are: {category}"),
        ("{attributes.}", "there is no field"),
        ("{category", "a brace stands alone"),
    ],
)
def test_a_faulty_template_is_refused(template: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DescriptionTemplate(template)
