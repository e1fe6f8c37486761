import importlib.util
import json
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest
import torch

import mirnet
from mirnet.checkpoints import catalog
from mirnet.checkpoints.convert import released_names
from mirnet.checkpoints.load import load_model
from mirnet.choices import (
    Arithmetic,
    BenchmarkName,
    DataSetName,
    OutputDepth,
    Precision,
    Preset,
    ProtocolName,
    TaskName,
)
from mirnet.cli.app import main
from mirnet.cli.doctor import EXTRAS, _core, _packages
from mirnet.data.sources import DATASETS
from mirnet.evaluation.benchmarks import BENCHMARKS
from mirnet.inference.devices import DTYPES
from mirnet.inference.files import PIXEL_TYPES
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.networks import PRESETS
from mirnet.tasks.registry import TASKS


def output_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(list(map(str, arguments))) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("code", ["import mirnet", "from mirnet.cli.app import main; main(['-h'])"])
def test_start_and_help_load_neither_torch_nor_vips(code: str) -> None:
    probe = f"{code}; import sys; print('HEAVY', {{'torch', 'numpy', 'pyvips'}} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "HEAVY set()"


def test_python_m_mirnet_is_the_command() -> None:
    command = [sys.executable, "-m", "mirnet", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mirnet.__version__


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_counts_where_a_library_raises_something_else(
    number: signal.Signals, status: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def run(*_: object, **__: object) -> int:
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ValueError("could not determine the shape of a storage") from error
        return 0

    before = signal.getsignal(number)
    monkeypatch.setattr("mirnet.cli.app.app", run)
    assert main([]) == status
    assert capsys.readouterr().err.endswith("; run the same command again to go on\n")
    assert signal.getsignal(number) is before


def test_an_error_that_no_signal_made_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirnet.cli.app.app", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([])


def test_who_closes_the_output_gets_the_status_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mirnet.cli.app.app", lambda *_, **__: 0)
    monkeypatch.setattr("sys.stdout", None)
    assert main([]) == 0


def test_every_public_name_can_be_imported() -> None:
    for name in mirnet.__all__:
        assert getattr(mirnet, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = mirnet.Nothing


def test_every_list_of_names_is_the_whole_list() -> None:
    assert set(get_args(TaskName)) == set(TASKS)
    assert set(get_args(ProtocolName)) == set(PROTOCOLS)
    assert set(get_args(Arithmetic)) == set(DTYPES)
    assert set(get_args(Precision)) == {"auto", *get_args(Arithmetic)}
    assert set(get_args(OutputDepth)) == {"keep", *PIXEL_TYPES}
    assert set(get_args(Preset)) == set(PRESETS)
    assert set(get_args(BenchmarkName)) == set(BENCHMARKS)
    assert set(get_args(DataSetName)) == set(DATASETS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert output_of(capsys, "--version").strip() == mirnet.__version__


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        ([], ["5,858,560", "139.51 G", "406", "390.22 M"]),
        (["--groups", "1,1,1,1"], ["9,688,960", "252.99 G"]),
        (["--in-channels", "6"], ["5,860,720"]),
        ([], ["1,536", "8,192"]),
        (["--preset", "mirnet-v1"], ["31,787,436", "479.44 G", "635", "1,270.02 M"]),
    ],
)
def test_profile_gives_the_figures_of_the_paper(
    arguments: list[str], numbers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = output_of(capsys, "profile", *arguments)
    for number in numbers:
        assert f" {number}" in text


def test_profile_prints_table_1(capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of(capsys, "profile", "--table")
    assert "31.79     479.4    635    1270.0" in text
    assert "5.86     139.5    406     390.2" in text
    assert "the paper's MIRNet: 31.79 M, 785 B" in text
    assert "71 % of the arithmetic, not 82 %" in text


def test_profile_measures(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--preset", "small", "--image-size", "64", "--measure", "--runs", "2", "--json")
    found = json.loads(output_of(capsys, "profile", *arguments))
    assert 0 < found["seconds"] < 60
    assert found["device"] == "cpu"
    assert found["runs"] == 2
    assert found["memory"] is None or 0 <= found["memory"] < 2 * found["estimate"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--table", "--width", "16"], "--table: is of all the presets; leave --width out"),
        (["--table", "--in-channels", "3"], "leave --in-channels out"),
        (["--table", "--preset", "small"], "leave --preset out"),
        (["--runs", "3"], "--runs, --device, --precision: are of a measurement; add --measure"),
        (["--device", "cpu"], "are of a measurement"),
        (["--precision", "float16"], "are of a measurement"),
        (["--groups", "9" * 5000], "--groups: must be whole numbers with commas, got '9999"),
        (["--preset", "mirnet-v1", "--streams", "2"], "streams: no such field of a mirnet-v1"),
        (["--measure", "--runs", "0"], "--runs: must be from 1 to 10000, got 0"),
        (["--image-size", "0"], "--image-size: must be from 1 to"),
    ],
)
def test_profile_refuses_nonsense(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert len(error) < 200


def test_profile_gives_json(capsys: pytest.CaptureFixture[str]) -> None:
    counts = json.loads(output_of(capsys, "profile", "--preset", "small", "--json"))
    assert counts["parameters"] == 488_864
    assert counts["config"]["width"] == 32


def test_profile_names_the_rule_that_a_config_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "--groups", "3"]) == 1
    assert "groups: 3 does not divide" in capsys.readouterr().err


def test_convert_takes_a_released_file(
    tiny_model: MIRNetV2, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = released_names(tiny_model)
    weights = {names[ours]: value for ours, value in tiny_model.state_dict().items()}
    torch.save({"params": weights}, tmp_path / "released.pth")
    source, target = tmp_path / "released.pth", tmp_path / "released.safetensors"
    said = output_of(capsys, "convert", source, "--task", "denoising")
    assert str(target) in said
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(load_model(target)(image), tiny_model(image))
    assert main(["convert", str(source)]) == 1
    assert "is already there" in capsys.readouterr().err


def test_convert_refuses_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(tmp_path / "gone.pth")]) == 1
    assert "gone.pth" in capsys.readouterr().err


def test_weights_lists_the_shipped_ones_and_their_cards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = output_of(capsys, "weights")
    for entry in catalog.CATALOG.values():
        assert entry.name in text
        assert entry.sha256 in text
        assert entry.card.is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_is_one_line_with_advice() -> None:
    command = [sys.executable, "-m", "mirnet", "weights"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].startswith(
        "mirnet: can't write: No space left on device; make"
    )


def test_doctor_reports_versions_and_devices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet.inference.memory.available_memory", lambda _: 123 << 20)
    text = output_of(capsys, "doctor")
    assert torch.__version__ in text
    assert "denoising-small: " in text
    assert "123 MiB of memory free for this process" in text
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["dependencies"]
    names = {re.split(r"[>=<\[ ]", each)[0] for each in declared}
    assert {*_core()} == names | {"pyvips-binary"}
    assert all(re.search(rf"^  {name} +\d", text, re.MULTILINE) for name in _core())


def test_doctor_names_missing_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog, "PACKAGED", tmp_path)
    assert main(["doctor"]) == 1
    assert "is missing; reinstall mirnet" in capsys.readouterr().out


def test_doctor_says_what_extras_add_and_which_originals_are_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet.cli.doctor._report_runtimes", lambda: None)  # which takes a while
    text = output_of(capsys, "doctor")
    assert re.search(r"pillow-heif +[\d.]+ \(photos of phones\)\n", text)
    assert "HEIC, read, not written: .heic, .heif, .hif\n" in text
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(EXTRAS) == set(declared) - {"dev"}
    for extra in EXTRAS:
        assert sorted(_packages(extra)) == sorted(
            re.split(r"[>=<\[ ]", each)[0] for each in declared[extra]
        )
    assert re.search(r"RAW, read, not written: .*\.dng.*\.nef", text)
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pillow_heif" else there(name)
    )
    assert '.hif; pip install "mirnet[heic]"\n' in output_of(capsys, "doctor")


def test_doctor_says_how_to_get_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mirnet.cli.doctor._report_runtimes", lambda: None)  # which takes a while
    monkeypatch.setattr("mirnet.cli.doctor.requires", lambda _: ['no-such>=1; extra == "train"'])
    assert 'missing; pip install "mirnet[train]"' in output_of(capsys, "doctor")
    monkeypatch.setattr("mirnet.cli.doctor.requires", lambda _: ["no-such[binary]>=1"])
    assert main(["doctor"]) == 1
    assert "missing; pip install no-such" in capsys.readouterr().out


def test_train_names_a_missing_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nowhere.toml"]) == 1
    assert "nowhere.toml" in capsys.readouterr().err
