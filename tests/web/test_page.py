"""The page of a running server in a browser, as a photographer has it."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from tests.web.conftest import Server, Start, serving

sync = pytest.importorskip("playwright.sync_api", reason='pip install "mirnet[dev]"')
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="there is no Chromium; scripts/test-browser installs it"
)

PATIENCE_MS = 180_000
EXAMPLE = Path(__file__).parents[2] / "examples" / "phone-night.png"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
OVER = '[data-state="done"], [data-state="failed"]'
TOLD = re.compile(r"status of (401|422|429)|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED")
"""What a browser logs of its own when a server says no, or nothing."""


@dataclass
class Opened:
    """A page, and what it did that nobody should see."""

    page: Any
    wrong: list[str] = field(default_factory=list)

    def entry(self, name: str) -> Any:
        return self.page.locator(".entry", has_text=name)

    def wait(self, name: str, state: str) -> None:
        self.page.wait_for_selector(f'.entry[data-state="{state}"]:has-text("{name}")')

    def drop(self, *paths: Path) -> None:
        files = [(path.name, base64.b64encode(path.read_bytes()).decode()) for path in paths]
        transfer = self.page.evaluate_handle(
            """async (files) => {
                const transfer = new DataTransfer();
                for (const [name, content] of files) {
                    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
                    transfer.items.add(new File([bytes], name));
                }
                return transfer;
            }""",
            files,
        )
        self.page.dispatch_event("main", "drop", {"dataTransfer": transfer})
        self.entry(paths[-1].name).wait_for()

    def restore(self, *paths: Path) -> None:
        """Drop photos, have them restored, and wait."""
        self.drop(*paths)
        self.page.click("#start")
        for path in paths:
            self.page.wait_for_selector(f'.entry:is({OVER}):has-text("{path.name}")')
            assert self.entry(path.name).get_attribute("data-state") == "done", self.said()

    def said(self) -> str:
        return str(self.page.inner_text("#said"))

    def zoom(self) -> float:
        return float(self.page.inner_text("#zoom").removesuffix(" %"))

    def box(self, query: str) -> dict[str, float]:
        found: dict[str, float] = self.page.locator(query).bounding_box()
        return found

    def seen(self, query: str) -> NDArray[np.uint8]:
        """The pixels of a part of the screen, ``(H, W, 3)``."""
        shot = self.page.locator(query).screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


Open = Callable[..., AbstractContextManager[Opened]]


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Any) -> Open:
    """Opens a server's page; nothing may be logged, and no other host asked."""

    @contextmanager
    def begin(server: Server, **kind: Any) -> Iterator[Opened]:
        context = browser.new_context(**({"viewport": DESKTOP} | kind))
        context.set_default_timeout(PATIENCE_MS)
        opened = Opened(context.new_page())
        page, wrong = opened.page, opened.wrong
        origin = re.match(r"http://[^/]+/", server.address)
        assert origin
        ours = (origin[0], f"blob:{origin[0]}", "data:")
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.extend(_faults(line)))
        page.on("request", lambda ask: wrong.extend([ask.url][ask.url.startswith(ours) :]))
        page.goto(server.address)
        page.wait_for_selector("#formats:not(:empty)")
        yield opened
        context.close()
        assert wrong == []

    return begin


@pytest.fixture
def idle(page_server: Server) -> Iterator[Server]:
    """A server that knows no photo, and knows none after the test."""
    yield page_server
    with page_server.http() as http:
        for job in http.get("/v1/jobs").json()["jobs"]:
            http.delete(job["links"]["self"])


@pytest.fixture
def opened(open_page: Open, idle: Server) -> Iterator[Opened]:
    with open_page(idle) as found:
        yield found


def _faults(line: Any) -> list[str]:
    is_fault = line.type in ("error", "warning") and not TOLD.search(line.text)
    return [line.text] if is_fault else []


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """A small noisy photo."""
    return crop(tmp_path / "IMG_0001.png", 96, 128)


def crop(path: Path, height: int, width: int) -> Path:
    pixels = read_photo(EXAMPLE).pixels
    times = (-(-height // pixels.shape[0]), -(-width // pixels.shape[1]), 1)
    write_photo(Photo(pixels=np.tile(pixels, times)[:height, :width].copy()), path)
    return path


def by_command_line(path: Path, folder: Path, *options: str) -> bytes:
    subprocess.run(
        [sys.executable, "-m", "mirnet", "restore", path, "-o", folder, *options],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    (result,) = folder.glob("[!.]*")
    return result.read_bytes()


def downloaded(page: Any, query: str) -> bytes:
    with page.expect_download() as download:
        page.click(query)
    return Path(download.value.path()).read_bytes()


def slide(opened: Opened, to: float) -> None:
    """Drag the handle to a share of the picture's width."""
    grip, picture, page = opened.box("#handle"), opened.box("#layers"), opened.page
    y = grip["y"] + grip["height"] / 2
    page.mouse.move(grip["x"] + grip["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(picture["x"] + to * picture["width"], y, steps=5)
    page.mouse.up()


def test_a_dropped_photo_comes_out_as_on_the_command_line(
    opened: Opened, shot: Path, tmp_path: Path
) -> None:
    page = opened.page
    page.fill("#strength", "80")
    page.check("[name=chroma_only]")
    opened.restore(shot)
    assert opened.said() == "IMG_0001.png is restored."
    assert "128×96" in opened.entry(shot.name).inner_text()
    expected = by_command_line(shot, tmp_path / "out", "--strength", "0.8", "--chroma-only")
    assert downloaded(page, '[data-do="download"]') == expected


def test_before_lies_left_of_the_handle_and_after_right(
    opened: Opened, shot: Path, tmp_path: Path
) -> None:
    page = opened.page
    opened.restore(shot)
    page.click("#zoom-full")
    assert opened.zoom() == 100
    slide(opened, 0.25)
    assert float(page.input_value("#divider")) == pytest.approx(25, abs=1)
    result = tmp_path / "result.png"
    result.write_bytes(downloaded(page, '[data-do="download"]'))
    before, after = read_photo(shot).pixels, read_photo(result).pixels
    assert not np.array_equal(before, after)
    seen = opened.seen("#layers")
    assert seen.shape == before.shape
    # The handle's knob lies from column 16 to 48.
    np.testing.assert_array_equal(seen[:, :12], before[:, :12])
    np.testing.assert_array_equal(seen[:, 52:], after[:, 52:])
    page.keyboard.down("b")
    np.testing.assert_array_equal(opened.seen("#layers"), before)
    page.keyboard.up("b")
    np.testing.assert_array_equal(opened.seen("#layers")[:, 52:], after[:, 52:])


def test_the_wheel_zooms_to_single_pixels_where_the_pointer_is(opened: Opened, shot: Path) -> None:
    opened.drop(shot)
    page = opened.page
    page.wait_for_selector("#before:not([hidden])")
    while opened.zoom() < 1600:
        page.click("#zoom-in")
    stage, start = opened.box("#stage"), opened.box("#layers")
    pointer = stage["x"] + 0.6 * stage["width"], stage["y"] + 0.3 * stage["height"]
    point = [(pointer[0] - start["x"]) / 16, (pointer[1] - start["y"]) / 16]
    page.mouse.move(*pointer)
    while opened.zoom() < 3000:
        page.mouse.wheel(0, -200)
    box = opened.box("#layers")
    scale = box["width"] / 128
    assert (pointer[0] - box["x"]) / scale == pytest.approx(point[0], abs=0.1)
    assert (pointer[1] - box["y"]) / scale == pytest.approx(point[1], abs=0.1)
    assert page.evaluate("getComputedStyle(before).imageRendering") == "pixelated"
    column, row = map(int, point)
    left = round(box["x"] + column * scale - stage["x"]) + 2
    top = round(box["y"] + row * scale - stage["y"]) + 2
    side = int(scale) - 4
    square = opened.seen("#stage")[top : top + side, left : left + side]
    expected = np.broadcast_to(read_photo(shot).pixels[row, column], square.shape)
    np.testing.assert_array_equal(square, expected)


def test_keys(opened: Opened, shot: Path) -> None:
    page = opened.page
    opened.restore(shot)
    page.focus("#stage")
    page.keyboard.press("1")
    assert opened.zoom() == 100
    page.keyboard.press("+")
    assert opened.zoom() == 200
    page.keyboard.press("-")
    assert opened.zoom() == 100
    page.keyboard.press("0")
    assert opened.box("#layers")["width"] == pytest.approx(opened.box("#stage")["width"], abs=2)
    at = float(page.input_value("#divider"))
    page.keyboard.press(".")
    page.keyboard.press("]")
    assert float(page.input_value("#divider")) == at + 4
    page.keyboard.press(",")
    page.keyboard.press("[")
    assert float(page.input_value("#divider")) == at
    for _ in range(3):
        page.keyboard.press("+")
    x = opened.box("#layers")["x"]
    page.keyboard.press("ArrowRight")
    assert opened.box("#layers")["x"] == pytest.approx(x - 60, abs=1)
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.check("#keys-focus")
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    assert page.evaluate("document.activeElement.id") == "stage"
    page.focus("#show-keys")
    page.keyboard.press("1")
    assert opened.zoom() != 100


def test_the_range_moves_the_divider(opened: Opened, shot: Path) -> None:
    opened.restore(shot)
    opened.page.focus("#divider")
    opened.page.keyboard.press("Home")
    picture, handle = opened.box("#layers"), opened.box("#handle")
    assert handle["x"] + handle["width"] / 2 == pytest.approx(picture["x"], abs=1)


def test_a_double_click_changes_between_the_whole_and_every_pixel(
    opened: Opened, tmp_path: Path
) -> None:
    opened.drop(crop(tmp_path / "large.png", 1024, 2048))
    opened.page.wait_for_selector("#before:not([hidden])")
    fitted = opened.zoom()
    assert fitted < 100
    opened.page.dblclick("#stage")
    assert opened.zoom() == 100
    opened.page.dblclick("#stage")
    assert opened.zoom() == fitted


def test_what_is_visible_is_restored_first_and_a_photo_can_be_cancelled(
    opened: Opened, idle: Server, tmp_path: Path
) -> None:
    page = opened.page
    opened.drop(crop(tmp_path / "slow.png", 3000, 4000))
    page.wait_for_selector("#before:not([hidden])")
    page.dblclick("#stage", position={"x": 0, "y": 300})
    page.mouse.move(300, 300)
    page.click("#start")
    page.wait_for_selector("#preview:not([hidden])")
    preview, stage = opened.box("#preview"), opened.box("#stage")
    assert (preview["width"], preview["height"]) == (512, 512)
    for at, size in (("x", "width"), ("y", "height")):
        middle = stage[at] + stage[size] / 2
        assert preview[at] + 256 == pytest.approx(middle, abs=1)
    page.click('[data-do="cancel"]')
    opened.wait("slow.png", "cancelled")
    with idle.http() as http:
        assert [job["state"] for job in http.get("/v1/jobs").json()["jobs"]] == ["cancelled"]
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.click('[data-do="remove"]')
        page.wait_for_selector("#empty")
        assert http.get("/v1/jobs").json()["jobs"] == []


def test_a_second_try_is_cancelled_and_not_the_first(
    opened: Opened, idle: Server, shot: Path
) -> None:
    page, damaged, asked = opened.page, shot.with_name("damaged.png"), list[str]()
    content = shot.read_bytes()
    damaged.write_bytes(content[: len(content) // 2])
    opened.drop(damaged)
    page.click("#start")
    opened.wait("damaged.png", "failed")
    full = {"status": 429, "headers": {"Retry-After": "60"}, "json": {"detail": "full"}}
    page.route("**/v1/jobs", lambda route: route.fulfill(**full))
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.click('[data-do="again"]')
    opened.wait("damaged.png", "held")
    page.wait_for_timeout(500)  # enough for news of the first try
    opened.wait("damaged.png", "held")
    page.click('[data-do="cancel"]')
    opened.wait("damaged.png", "cancelled")
    assert [each for each in asked if "/v1/jobs/" in each] == []
    page.unroute("**/v1/jobs")
    page.click('[data-do="remove"]')
    page.wait_for_selector("#empty")
    with idle.http() as http:
        _eventually(lambda: http.get("/v1/jobs").json()["jobs"] == [])


def test_a_job_taken_after_its_photo_was_cancelled_is_deleted(opened: Opened) -> None:
    asked = opened.page.evaluate(
        """async () => {
            const { Queue } = await import("/page/queue.js");
            const asked = [];
            let answer;
            window.fetch = (path, { method }) => {
                asked.push(`${method} ${path}`);
                if (method !== "POST") return Promise.resolve(new Response(null, { status: 204 }));
                return new Promise((done) => (answer = done)); // whatever the signal says
            };
            const queue = new Queue(() => {});
            const [entry] = queue.add([{ photo: new File(["x"], "x.png"), right: null }]);
            queue.start([entry], () => ({ options: {}, right: null }));
            queue.cancel(entry);
            answer(Response.json({ id: "a", state: "waiting", links: { self: "/v1/jobs/a" } }));
            await new Promise((done) => setTimeout(done, 100));
            return [...asked, entry.state];
        }"""
    )
    assert asked == ["POST /v1/jobs", "DELETE /v1/jobs/a", "cancelled"]


def _eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_larger_result_lies_over_the_photo_at_its_size(opened: Opened, shot: Path) -> None:
    page = opened.page
    assert not page.locator("#enlarge").is_visible()
    page.select_option("#task", "super-resolution")
    page.select_option("#enlarge", "3")
    opened.restore(shot)
    page.wait_for_selector("#after:not([hidden])")
    page.click("#zoom-full")
    for layer in ("#before", "#after"):
        box = opened.box(layer)
        assert (box["width"], box["height"]) == (384, 288)


def test_other_settings_leave_the_former_result(opened: Opened, shot: Path) -> None:
    opened.restore(shot)
    opened.page.select_option("#task", "low-light")
    opened.page.click("#start")
    opened.page.wait_for_selector(".entry[data-state=done] + .entry[data-state=done]")
    first, second = (
        downloaded(opened.page, f'.entry:nth-child({row}) [data-do="download"]') for row in (1, 2)
    )
    assert first != second
    packed = zipfile.ZipFile(io.BytesIO(downloaded(opened.page, "#zip")))
    assert [packed.read(name) for name in packed.namelist()] == [first, second]


def test_a_photo_that_browsers_can_t_show_is_shown_by_the_server(
    opened: Opened, shot: Path, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.tif"
    write_photo(read_photo(shot), scan)
    opened.drop(scan)
    opened.page.wait_for_selector('#stage-note:has-text("can\'t show")')
    opened.page.click("#start")
    opened.wait("scan.tif", "done")
    opened.page.wait_for_selector("#after:not([hidden])")
    opened.page.click("#zoom-full")
    opened.page.fill("#divider", "100")
    np.testing.assert_array_equal(opened.seen("#layers")[:, :-24], read_photo(shot).pixels[:, :-24])


def test_what_was_sent_is_there_after_a_reload(opened: Opened, shot: Path) -> None:
    opened.restore(shot)
    opened.page.reload()
    opened.wait(shot.name, "done")
    opened.page.wait_for_selector("#after:not([hidden])")
    assert opened.page.evaluate("[before.naturalWidth, after.naturalWidth]") == [128, 128]


def test_refusals_are_told_in_the_server_s_words(opened: Opened, tmp_path: Path) -> None:
    text = tmp_path / "letter.png"
    text.write_text("not a photo\n")
    opened.drop(text)
    opened.page.click("#start")
    opened.wait("letter.png", "failed")
    reason = "letter.png: is no PNG, JPEG, TIFF"
    assert reason in opened.entry("letter.png").inner_text()
    assert reason in opened.said()


def test_a_full_queue_a_lost_token_and_a_lost_server_are_said(
    open_page: Open, start: Start, tmp_path: Path
) -> None:
    server = start("--max-jobs", "1", "--token", "0123456789abcdef")
    slow = [crop(tmp_path / f"slow-{number}.png", 2000, 3000) for number in range(3)]
    with open_page(server) as opened:
        page = opened.page
        opened.drop(*slow)
        page.click("#start")
        page.wait_for_selector("#said:has-text('The page does so by itself.')")
        assert "already in the queue" in opened.said()
        assert "token" not in page.url
        page.context.clear_cookies()
        opened.entry("slow-0.png").locator('[data-do="cancel"]').click()
        page.wait_for_selector("#said:has-text('Open the link with the token again')")
        server.process.kill()
        page.wait_for_selector('#said:has-text("doesn\'t answer")')
        opened.entry("slow-2.png").locator('[data-do="cancel"]').click()
        opened.wait("slow-2.png", "cancelled")


def test_two_views_are_put_together_by_their_names(opened: Opened) -> None:
    paired = opened.page.evaluate(
        """async () => {
            const { pairViews } = await import("/page/views.js");
            const names = ["b_R.png", "a_L.png", "B_L.png", "a_R.png", "c.png", "d_right.png"];
            const pairs = pairViews(names.map((name) => new File([], name)));
            return pairs.map(({ photo, right }) => [photo.name, right?.name ?? null]);
        }"""
    )
    assert sorted(paired, key=str) == [
        ["B_L.png", "b_R.png"],
        ["a_L.png", "a_R.png"],
        ["c.png", None],
        ["d_right.png", None],
    ]


def test_two_views_lie_in_one_folder_or_in_folders_beside_each_other(opened: Opened) -> None:
    paired = opened.page.evaluate(
        """async () => {
            const { pairViews } = await import("/page/views.js");
            const paths = [
                "a/P_L.png", "b/P_L.png", "b/P_R.png", "a/P_R.png", "c/P_R.png",
                "left/x.png", "right/x.png", "right/y.png",
                "testL/source/z.png", "testR/source/z.png",
                "tool.png", "toor.png", "_L.jpg", "_R.png", "q_l.png", "q_right.png",
            ];
            const files = paths.map((path) =>
                Object.assign(new File([], path.split("/").at(-1)), { path }));
            // Picked, so without folders: which belong together can't be told.
            files.push(...["n_L", "n_R", "n_L", "n_R"].map((name) => new File([], name)));
            return pairViews(files)
                .map(({ photo, right }) => [photo.path ?? photo.name, right?.path ?? null]);
        }"""
    )
    assert paired == [
        ["a/P_L.png", "a/P_R.png"],
        ["b/P_L.png", "b/P_R.png"],
        ["c/P_R.png", None],
        ["left/x.png", "right/x.png"],
        ["right/y.png", None],
        ["testL/source/z.png", "testR/source/z.png"],
        *([name, None] for name in ("tool.png", "toor.png", "_L.jpg", "_R.png")),
        *([name, None] for name in ("q_l.png", "q_right.png", "n_L", "n_R", "n_L", "n_R")),
    ]


def test_a_right_view_chosen_by_hand_stays(opened: Opened, shot: Path, tmp_path: Path) -> None:
    page, entries = opened.page, opened.page.locator(".entry")
    page.select_option("#task", "dual-pixel-deblurring")
    opened.drop(shot)
    other = crop(tmp_path / "other.png", 96, 128)
    entries.locator("input").set_input_files(other)
    names = ("Q_L.png", "Q_R.png", "single.png")
    opened.drop(*(crop(tmp_path / name, 96, 128) for name in names))
    assert entries.count() == 3
    assert "Right view: other.png" in entries.nth(0).inner_text()
    assert "Right view: Q_R.png" in entries.nth(1).inner_text()
    page.select_option("#task", "denoising")
    assert entries.count() == 4
    page.select_option("#task", "dual-pixel-deblurring")
    assert entries.count() == 3
    assert "Right view: other.png" in entries.nth(0).inner_text()


def test_what_can_t_be_read_is_named_and_the_rest_is_added(opened: Opened) -> None:
    opened.page.evaluate(
        """() => {
            const file = (fullPath, found) => ({
                isFile: true, fullPath, name: fullPath.split("/").at(-1),
                file: (read, failed) => found ? read(found) : failed(new DOMException("gone")),
            });
            const folder = (fullPath, inside) => ({
                isFile: false, fullPath, name: fullPath.split("/").at(-1),
                createReader: () => ({
                    readEntries: (read, failed) => inside
                        ? read(inside.splice(0))
                        : failed(new DOMException("locked")),
                }),
            });
            const places = [
                folder("/trip", [
                    file("/trip/good.png", new File([], "good.png")),
                    file("/trip/gone.png"),
                ]),
                folder("/locked"),
            ];
            const items = places.map((place) => ({ webkitGetAsEntry: () => place }));
            const drop = new Event("drop", { bubbles: true, cancelable: true });
            drop.dataTransfer = { types: ["Files"], items, files: [] };
            document.body.dispatchEvent(drop);
        }"""
    )
    opened.entry("good.png").wait_for()
    assert opened.page.locator(".entry").count() == 1
    said = re.fullmatch(r"good\.png added\. (.+), (.+) can't be read\.", opened.said())
    assert said
    assert {said[1], said[2]} == {"trip/gone.png", "locked"}


def test_two_views_are_one_photo_of_a_task_that_takes_two(
    opened: Opened, shot: Path, tmp_path: Path
) -> None:
    page, entries = opened.page, opened.page.locator(".entry")
    left, right = tmp_path / "P1_L.png", tmp_path / "P1_R.png"
    left.write_bytes(shot.read_bytes())
    crop(right, 96, 128)
    opened.drop(left, right)
    assert entries.count() == 2
    page.select_option("#task", "dual-pixel-deblurring")
    assert entries.count() == 1
    assert "Right view: P1_R.png" in entries.inner_text()
    page.select_option("#task", "denoising")
    assert entries.count() == 2
    page.select_option("#task", "dual-pixel-deblurring")
    page.click("#start")
    opened.wait("P1_L.png", "done")
    out = tmp_path / "out"
    expected = by_command_line(left, out, "--task", "dual-pixel-deblurring")
    assert downloaded(page, '[data-do="download"]') == expected


def test_the_histogram_is_of_the_visible_part(opened: Opened, tmp_path: Path) -> None:
    half = np.zeros((64, 128, 3), np.uint8)
    half[:, 64:] = 255
    path = tmp_path / "half.png"
    write_photo(Photo(pixels=half), path)
    opened.drop(path)
    caption = opened.page.locator("#histograms figcaption").first
    caption.filter(has_text="mean 50 %, black 50.0 %, white 50.0 %").wait_for()
    stage = opened.box("#stage")
    opened.page.mouse.move(stage["x"] + stage["width"] - 2, stage["y"] + stage["height"] / 2)
    while opened.zoom() < 5000:
        opened.page.mouse.wheel(0, -400)
    caption.filter(has_text="mean 100 %, black 0.0 %, white 100.0 %").wait_for()


@pytest.mark.parametrize(
    "kind",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "dark", "viewport": PHONE, "has_touch": True, "is_mobile": True},
    ],
    ids=["light", "dark", "phone"],
)
def test_axe_finds_nothing(
    open_page: Open, idle: Server, shot: Path, tmp_path: Path, kind: dict[str, Any]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    text = tmp_path / "letter.png"
    text.write_text("not a photo\n")

    def found(page: Any) -> list[str]:
        violations = axe.run(page).response["violations"]
        return [f"{each['id']}: {each['nodes'][0]['html']}" for each in violations]

    with open_page(idle, **kind) as opened:
        page = opened.page
        assert found(page) == []
        opened.drop(shot, text)
        page.click("summary")
        assert found(page) == []
        page.click("#start")
        assert found(page) == []
        opened.wait(shot.name, "done")
        opened.wait(text.name, "failed")
        page.wait_for_selector("#after:not([hidden])")
        assert found(page) == []
        if "is_mobile" in kind:
            wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide[0] <= wide[1]
        else:
            page.click("#show-keys")
            assert found(page) == []
            page.keyboard.press("Escape")


@pytest.mark.skipif(
    not os.environ.get("MIRNET_TEST_LARGE"), reason="takes minutes; scripts/test-browser runs it"
)
def test_twelve_megapixels(opened: Opened, tmp_path: Path) -> None:
    photo = crop(tmp_path / "large.png", 3000, 4000)
    page = opened.page
    opened.page.context.set_default_timeout(20 * 60_000)
    # How long a large photo takes is known from another one.
    opened.restore(crop(tmp_path / "first.png", 768, 768))
    opened.drop(photo)
    page.click("#start")
    page.wait_for_selector("#preview:not([hidden])")
    page.wait_for_selector("progress[value]")
    page.wait_for_selector('.state:has-text(" left")')
    opened.wait(photo.name, "done")
    page.wait_for_selector("#after:not([hidden])")
    slide(opened, 0.75)
    assert float(page.input_value("#divider")) == pytest.approx(75, abs=1)
    expected = by_command_line(photo, tmp_path / "out")
    assert downloaded(page, '.entry:last-child [data-do="download"]') == expected
