import pytest

from qvl.conversation import build_messages


def build(images, **changes):
    return build_messages(images, **({"system": "S", "user": "U", "answer": "A", "image_label": "图片"} | changes))


def test_one_picture_stands_before_the_prompt():
    assert build(["a.jpg"]) == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "U"}]},
        {"role": "assistant", "content": "A"},
    ]


def test_several_pictures_carry_their_number():
    [_, user, _] = build(["a.jpg", "b.jpg"])
    assert user["content"] == [
        {"type": "text", "text": "图片_1: "},
        {"type": "image", "image": "a.jpg"},
        {"type": "text", "text": "图片_2: "},
        {"type": "image", "image": "b.jpg"},
        {"type": "text", "text": "U"},
    ]


def test_there_is_no_empty_system_turn_and_no_answer_to_generate_from():
    assert [turn["role"] for turn in build(["a.jpg"], system="", answer=None)] == ["user"]


def test_an_empty_answer_is_an_answer():
    assert build(["a.jpg"], answer="")[-1] == {"role": "assistant", "content": ""}


def test_a_picture_is_passed_through_as_it_is():
    picture = object()
    assert build([picture])[1]["content"][0]["image"] is picture


def test_a_conversation_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="at least one picture"):
        build([])
