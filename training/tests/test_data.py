"""Pictures of every depth as the pictures that would be saved of them, and pairs as `elfin eval` finds them."""

import cv2
import numpy as np
import pytest

from training.data import DataError, load_clean, load_pairs_named, read_image

DEEP = np.random.default_rng(1).integers(0, 65536, (5, 7, 4)).astype(np.uint16)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_reads_every_depth_as_eight_bits_of_rgb(bits, channels, tmp_path):
    stored = DEEP[..., :channels] if bits == 16 else (DEEP[..., :channels] % 256).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "p.png"), stored)
    nearest = np.floor(stored.astype(np.float64) / (257 if bits == 16 else 1) + 0.5)
    want = np.repeat(nearest, 3, 2) if channels == 1 else nearest[..., :3][..., ::-1]
    assert np.array_equal(read_image(tmp_path / "p.png"), want)


def test_floating_samples_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "p.tiff"), DEEP[..., :3].astype(np.float32))
    with pytest.raises(DataError, match="samples of float32; save it with 8 or 16 bits"):
        read_image(tmp_path / "p.tiff")


def lay(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), DEEP[..., :3])


def test_pairs_by_path_and_at_the_top_by_name(tmp_path):
    lay(tmp_path, "input/a/1.png", "input/b/1.png", "target/a/1.tiff", "target/b/1.png")
    assert [name for name, _, _ in load_pairs_named(tmp_path)] == ["a/1", "b/1"]
    lay(tmp_path / "flat", "input/a/1.png", "target/1.png")
    assert [name for name, _, _ in load_pairs_named(tmp_path / "flat")] == ["a/1"]


@pytest.mark.parametrize(("names", "message"), [
    (("input/1.png", "target/a/1.png", "target/b/1.png"), "may be '.*1.png' or '.*1.png'; remove one"),
    (("input/a/1.png", "target/b/1.png"), "has no picture of the same name"),
])
def test_pairs_are_never_guessed(names, message, tmp_path):
    lay(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        list(load_pairs_named(tmp_path))


def test_an_unreadable_photo_leaves_no_part_of_the_cache(tmp_path):
    lay(tmp_path, "photos/1.png")
    (tmp_path / "photos/2.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="2.png' as a picture"):
        load_clean(tmp_path / "photos", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
