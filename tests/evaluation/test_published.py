"""The paper's tables, against what its text and other tables say."""

import pytest

from mirnet.data.sources import DATASETS
from mirnet.evaluation.benchmarks import BENCHMARKS
from mirnet.evaluation.published import OURS, published


def value(number: int, method: str, column: str) -> float:
    found = published()[number].value(method, column)
    assert found is not None
    return found


def test_every_table_is_there_and_every_row_is_whole() -> None:
    tables = published()
    assert list(tables) == list(range(1, 12))
    rows = {1: 2, 2: 6, 3: 13, 4: 6, 5: 14, 6: 6, 7: 5, 8: 4, 9: 3, 10: 5, 11: 9}
    for number, table in tables.items():
        assert len(table.rows) == rows[number]
        assert all(len(values) == len(table.columns) for values in table.rows.values())
        assert table.source.startswith(f"Zamir et al., TPAMI 2022, Table {number} (Sec. ")


@pytest.mark.parametrize("metric", ["PSNR", "SSIM", "MAE", "LPIPS"])
def test_combined_is_the_mean_of_37_indoor_and_39_outdoor_scenes(metric: str) -> None:
    """Within the rounding of the three numbers; it finds a digit that was copied wrongly."""
    step = 0.01 if metric == "PSNR" else 0.001
    for method in published()[2].rows:
        indoor, outdoor, combined = (
            value(2, method, f"{part}/{metric}") for part in ("Indoor", "Outdoor", "Combined")
        )
        assert (37 * indoor + 39 * outdoor) / 76 == pytest.approx(combined, abs=1.5 * step)


def test_gains_that_the_text_names() -> None:
    gains = [
        (2, "RDPD", "Indoor/PSNR", 0.86), (2, "RDPD", "Outdoor/PSNR", 0.77),
        (2, "RDPD", "Combined/PSNR", 0.81), (2, "DPDNet", "Combined/PSNR", 1.07),
        (3, "CycleISP*", "SIDD/PSNR", 0.32), (4, "LP-KPN", "×2/PSNR", 0.48),
        (4, "LP-KPN", "×3/PSNR", 0.73), (4, "LP-KPN", "×4/PSNR", 0.24),
        (5, "KinD++", "LoL/PSNR", 3.44), (6, "DeepUPE", "FiveK/PSNR", 0.93),
    ]  # fmt: skip
    for number, method, column, gain in gains:
        assert value(number, OURS, column) - value(number, method, column) == pytest.approx(gain)


def test_the_ablations_share_their_full_network() -> None:
    full = 30.97
    for number, row in (
        (7, "all"), (8, "RCB, g=2"), (9, "SKFF"), (10, "128"), (11, "3 streams, 2 columns")
    ):  # fmt: skip
        assert value(number, row, "PSNR") == full


def test_benchmarks_stand_in_their_tables() -> None:
    for name, benchmark in BENCHMARKS.items():
        assert name == benchmark.name
        assert benchmark.whole == DATASETS[name].counts[benchmark.split]
        for heading in (benchmark.heading, *benchmark.groups.values()):
            assert benchmark.published.value(OURS, f"{heading}/PSNR") is not None


def test_an_unknown_value_is_none() -> None:
    assert published()[5].value("nobody", "LoL/PSNR") is None
    assert published()[5].value(OURS, "LoL/LPIPS") is None
