from raysynth.data.leakage import find_leakage


def test_images_of_one_group_in_an_earlier_split_are_counted():
    assert find_leakage(["a", "a", "b"], ["train", "train", "test"], detail="why").detail == "why"
    leaky = find_leakage(["a", "a", "b", "b", "c"], ["train", "test", "validation", "test", "test"])
    assert (leaky.status, leaky.num_test, leaky.num_validation) == ("leaky", 2, 0)
    leaky = find_leakage(["a", "a"], ["train", "validation"])
    assert (leaky.status, leaky.num_test, leaky.num_validation) == ("leaky", 0, 1)


def test_leaked_test_images_are_counted_by_class():
    groups, splits = ["a", "a", "b", "b", "c", "a"], ["train", "test", "train", "test", "test", "test"]
    leaky = find_leakage(groups, splits, ["x", "x", "y", "y", "y", "z"])
    assert leaky.num_test_by_class == {"x": 1, "y": 1, "z": 1}
    assert sum(leaky.num_test_by_class.values()) == leaky.num_test


def test_a_pair_leaks_whatever_its_groups():
    leaky = find_leakage(["a", "b", "c"], ["train", "test", "validation"], ["x", "y", "y"], pairs=[(1, 0), (0, 2)])
    assert (leaky.num_test, leaky.num_validation, leaky.num_test_by_class) == (1, 1, {"y": 1})
    assert find_leakage(["a", "b"], ["test", "test"], pairs=[(0, 1)]).status == "clean"


def test_test_images_of_one_group_leak_nothing_among_themselves():
    assert find_leakage(["a", "a", "b"], ["test", "test", "train"]).status == "clean"
