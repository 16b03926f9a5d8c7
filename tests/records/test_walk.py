from qvl.records.walk import walk


def test_walk_names_every_value_by_its_path():
    value = {"objects": [{"poly": [1, 2]}, "x"], "a b": None}
    assert list(walk(value)) == [
        ("", value),
        ("", "objects"),
        ("", "a b"),
        ("objects", value["objects"]),
        ("objects[0]", {"poly": [1, 2]}),
        ("objects[0]", "poly"),
        ("objects[0].poly", [1, 2]),
        ("objects[0].poly[0]", 1),
        ("objects[0].poly[1]", 2),
        ("objects[1]", "x"),
        ("['a b']", None),
    ]


def test_walk_does_not_recurse():
    value = []
    for _ in range(5000):
        value = [value]
    assert sum(1 for _ in walk(value, "x")) == 5001
