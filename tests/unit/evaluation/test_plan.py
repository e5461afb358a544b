import pytest

from raysynth.evaluation.plan import default_epochs, pays_for_ray, plan_trainings, unique_names


def rows(**options):
    plan = plan_trainings(640, {"made": 640, "more": 1280}, seeds=[0, 1], epochs=10, batch_size=64, **options)
    return {training.trained_on: training for training in plan if training.seed == 0}, plan


def test_every_set_is_trained_with_every_seed():
    by_name, plan = rows()
    assert list(by_name) == [
        "real",
        "real, 200 steps",
        "real, 300 steps",
        "generated: made",
        "generated: more",
        "mixed: made",
        "mixed: more",
    ]
    assert len(plan) == 2 * len(by_name)


def test_real_only_is_trained_at_equal_exposures_and_at_equal_steps():
    by_name, _ = rows()
    mixed = by_name["mixed: made"]
    assert mixed.steps == by_name["real, 200 steps"].steps == 200
    assert mixed.real_exposures == by_name["real"].real_exposures == 6400
    assert by_name["real, 200 steps"].real_exposures == 12800
    assert by_name["generated: more"].real_exposures == 0
    assert by_name["generated: more"].epochs == by_name["real"].epochs == 10


def test_equal_mixes_share_a_baseline_and_a_tiny_one_needs_none():
    plan = plan_trainings(640, {"a": 64, "b": 64, "c": 5}, seeds=[0], epochs=2, batch_size=64)
    names = [training.trained_on for training in plan if training.kind == "real"]
    assert names == ["real", "real, 22 steps"]
    tiny = next(training for training in plan if training.trained_on == "generated: c")
    assert (tiny.batch_size, tiny.steps) == (5, 4)


def test_names_that_are_alike_are_numbered():
    assert unique_names(["x", "x", "real"], taken=["real"]) == ["x", "x (2)", "real (2)"]


@pytest.mark.parametrize(("num_real", "epochs"), [(2610, 30), (100, 200), (10, 200), (10_000_000, 5)])
def test_default_epochs_make_about_as_many_steps_for_any_size(num_real, epochs):
    assert default_epochs(num_real, 64) == epochs


def test_ray_pays_for_what_takes_minutes_and_never_on_one_core():
    _, plan = rows()
    of_slices = {"num_images": 3000, "num_values": 64 * 64}
    assert pays_for_ray(plan, num_cores=2, **of_slices)
    assert not pays_for_ray(plan, num_cores=1, **of_slices)
    assert not pays_for_ray(plan[:1], num_cores=2, num_images=200, num_values=16 * 16)
    # Hardly anything to train, and much to score: as in an evaluation whose classifiers are known.
    assert pays_for_ray(plan[:1], num_cores=2, num_images=100_000, num_values=16 * 16)
    pays = [pays_for_ray(plan[:4], num_cores=cores, num_images=500, num_values=32 * 32) for cores in range(1, 65)]
    assert pays == sorted(pays)
