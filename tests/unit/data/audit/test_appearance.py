"""Local contrast, the head's box and the embedding: what must stay when a copy is made, stays."""

import numpy as np
import pytest
import torch

from raysynth.data.audit.appearance import (
    INNER_MARGIN,
    NUM_ORIENTATIONS,
    VIEWS,
    blur,
    embed,
    head_boxes,
    local_contrast,
    orient,
    orientation_maps,
    sample,
    view_maps,
)

EVERY_ORIENTATION = range(NUM_ORIENTATIONS)


@pytest.fixture(scope="module")
def phantoms(draw):
    return draw(24)


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32))


def ellipse(*, x: float, y: float, across: float, down: float, head: int, background: int) -> np.ndarray:
    """A filled ellipse with the centre (x, y) and the half axes, all in pixels, which lie at 0.5, 1.5, ..."""
    rows, columns = np.mgrid[:64, :64] + 0.5
    inside = ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
    return np.where(inside, head, background).astype(np.uint8)[None]


@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_an_orientation_and_its_map_do_the_same(phantoms, orientation):
    maps = torch.zeros(len(phantoms), 2, 3)
    maps[:, :, :2] = orientation_maps()[orientation]
    turned = sample(as_tensor(phantoms), maps, 64).numpy()
    np.testing.assert_allclose(turned, orient(phantoms, orientation), atol=0.01)


def test_the_orientations_are_the_eight_of_the_square(phantoms):
    picture = phantoms[0]
    turned = {orient(picture, orientation).tobytes() for orientation in EVERY_ORIENTATION}
    expected = [picture, picture.T, picture[::-1], picture[:, ::-1], picture[::-1, ::-1]]
    expected += [picture.T[::-1], picture.T[:, ::-1], picture.T[::-1, ::-1]]
    assert turned == {np.ascontiguousarray(each).tobytes() for each in expected}
    np.testing.assert_array_equal(orient(picture, 0), picture)


def test_a_blurred_point_is_a_gaussian_and_a_constant_stays():
    constant = torch.full((2, 64, 64), 77.0)
    torch.testing.assert_close(blur(constant, 3.0), constant)
    point = torch.zeros(1, 64, 64)
    point[0, 30, 40] = 1.0
    distance = torch.arange(64.0)
    rows, columns = (torch.exp(-((distance - at) ** 2) / (2 * 1.5**2)) for at in (30, 40))
    expected = torch.outer(rows / rows.sum(), columns / columns.sum())
    torch.testing.assert_close(blur(point, 1.5)[0], expected, atol=1e-4, rtol=0)


def test_local_contrast_does_not_see_brightness_nor_with_its_floor_contrast(phantoms):
    images = as_tensor(phantoms)
    contrast = local_contrast(images, sigma=3.0)
    torch.testing.assert_close(local_contrast(images + 40.0, sigma=3.0), contrast, atol=0.02, rtol=0)
    torch.testing.assert_close(local_contrast(images * 0.5, sigma=3.0, floor=3.0), contrast, atol=0.02, rtol=0)
    torch.testing.assert_close(local_contrast(255.0 - images, sigma=3.0), -contrast, atol=0.02, rtol=0)


def test_local_contrast_hardly_sees_contrast(phantoms):
    images = as_tensor(phantoms)
    contrasts = [local_contrast(values, sigma=3.0).flatten(1).numpy() for values in (images, images * 0.6 + 30.0)]
    for one, other in zip(*contrasts, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.97


@pytest.mark.parametrize(("head", "background"), [(180, 0), (0, 255), (90, 255), (200, 20)])
def test_the_box_of_an_ellipse_on_black_or_white(head, background):
    picture = ellipse(x=36, y=29, across=20, down=24, head=head, background=background)
    picture[0, 1:4, 1:4] = 255 - background  # a label in a corner
    box = head_boxes(picture)[0].numpy()
    # From [-1, 1] to pixels: the centre and the half axes.
    centre, half = (box[:, 2] + 1) * 32, np.diag(box[:, :2]) * 32
    np.testing.assert_allclose(centre, [36, 29], atol=1.0)
    np.testing.assert_allclose(half, [20, 24], atol=1.0)
    assert box[0, 1] == box[1, 0] == 0


def test_what_has_no_clear_box_keeps_its_frame():
    flat = np.full((1, 64, 64), 90, dtype=np.uint8)
    tiny = ellipse(x=32, y=32, across=5, down=5, head=255, background=0)
    textured = np.random.default_rng(0).integers(0, 256, (1, 64, 64), dtype=np.uint8)
    for picture in (flat, tiny, textured):
        torch.testing.assert_close(head_boxes(picture)[0], torch.eye(2, 3))


def test_the_views_are_the_frame_the_head_and_a_little_less():
    maps = view_maps(ellipse(x=36, y=29, across=20, down=24, head=180, background=0))
    assert tuple(maps) == VIEWS
    torch.testing.assert_close(maps["full"][0], torch.eye(2, 3))
    torch.testing.assert_close(maps["inner"][:, :, :2], maps["head"][:, :, :2] * (1 - 2 * INNER_MARGIN))
    torch.testing.assert_close(maps["inner"][:, :, 2], maps["head"][:, :, 2])


def test_embeddings_have_unit_length_and_the_maps_of_their_views(phantoms):
    embeddings, maps = embed(phantoms)
    assert embeddings.shape == (24, len(VIEWS), 16, 16)
    np.testing.assert_allclose(np.square(embeddings).sum((2, 3)), 1.0, rtol=1e-4)
    for number, of_view in enumerate(view_maps(phantoms).values()):
        np.testing.assert_array_equal(maps[:, number], of_view)


@pytest.mark.parametrize("orientation", EVERY_ORIENTATION)
def test_the_embedding_of_a_turned_thumbnail_is_the_turned_embedding(phantoms, orientation):
    straight, _ = embed(phantoms)
    turned, _ = embed(np.ascontiguousarray(orient(phantoms, orientation)))
    np.testing.assert_allclose(turned[:, 0], orient(straight, orientation)[:, 0], atol=1e-4)
    similarity = (turned * orient(straight, orientation)).sum((2, 3))
    assert (similarity > 0.999).mean() > 0.9
    assert similarity.min() > 0.9  # where the box of the turned head is a pixel off


def test_the_embedding_of_an_inverted_thumbnail_is_the_negative(phantoms):
    (straight, _), (inverted, _) = embed(phantoms), embed(255 - phantoms)
    np.testing.assert_allclose(inverted[:, 0], -straight[:, 0], atol=1e-4)


def test_a_flat_thumbnail_has_an_embedding_of_numbers():
    embeddings, _ = embed(np.full((1, 64, 64), 90, dtype=np.uint8))
    assert np.isfinite(embeddings).all()
