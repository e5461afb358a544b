from __future__ import annotations

import pytest

from raysynth.cluster.resources import Resources, available_resources, resources_elsewhere
from raysynth.cluster.session import num_cores
from raysynth.errors import UserError
from raysynth.training.ray_trainer import check_min_workers, check_workers


@pytest.mark.parametrize(
    ("nodes", "cores_per_node", "processes", "each"),
    [(1, 8, 2, 4), (1, 8, 16, 1), (4, 4, 4, 4), (4, 4, 5, 2), (4, 4, 8, 2), (2, 1, 1, 1)],
)
def test_cores_of_each_process_fit_on_a_node(nodes, cores_per_node, processes, each):
    there = Resources(nodes * cores_per_node, 0, num_nodes=nodes, cores_per_node=cores_per_node, default_workers=0)
    assert there.cores_each(processes) == each


def test_a_check_for_elsewhere_does_not_count_this_machine():
    assert available_resources().cores == num_cores()
    with resources_elsewhere():
        assert check_workers(500) == 500
        assert check_workers(None) == 1
        assert available_resources().place == "the cluster"
    assert available_resources().place == "this machine"


def test_fewest_workers_share_every_batch():
    check_min_workers(None, 3, batch_size=4)
    check_min_workers(1, 2, batch_size=4)
    with pytest.raises(UserError, match="--min-workers 3: want 1 to --workers, which is 2"):
        check_min_workers(3, 2, batch_size=4)
    with pytest.raises(UserError, match="batch_size=4 is not divisible among 3 workers; use --set batch_size=12"):
        check_min_workers(2, 4, batch_size=4)
