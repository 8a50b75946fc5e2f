"""The page opens in a browser without an error, and says what it should."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.analysis.diagnosis.runs import digits, fit, network, plain

from pellucid import Input, Model, cli, data
from pellucid.analysis import write_report
from pellucid.errors import DataError, FileFormatError
from pellucid.nn import Dense
from pellucid.optim import Adam

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs the command: exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_PROGRESS", "off")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["pellucid", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return call


def opened(browser, path, scheme="light"):
    """The page, once it has opened without a message, a request or a broken image."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": 1000, "height": 800})
    messages, requests = [], []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.resolve().as_uri())
    assert messages == []
    assert [url for url in requests if not url.startswith(("data:", "file:"))] == []
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    for width in (390, 1000):  # a telephone, a window
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
    return page


def test_the_report_of_a_recorded_run_opens_in_chromium(browser, run):
    assert run("train", "digits", "--epochs", 4, "--record", "stats", "--out", "one")[0] == 0
    code, out, _ = run("inspect", "one")
    assert (code, out) == (0, "report: one/report.html\n")
    page = opened(browser, Path("one/report.html"))
    headings = page.locator("h2").all_inner_texts()
    assert headings == ["Summary", "Diagnosis", "Learning curves", "Confusion matrix", "Worst mistakes", "Layers"]
    assert page.locator("h1").inner_text() == "Run one"
    assert page.locator("table.matrix tbody tr").count() == 10
    assert page.locator(".mistake img").count() == page.locator(".mistake").count() > 0
    assert page.get_by_text("updates were recorded").count() == 1
    page.locator("nav a").nth(3).click()
    assert page.url.endswith("#s3")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_light_and_dark(browser, tmp_path, scheme):
    model = fit(plain(optimizer=Adam(1.0)), *digits().train)
    path = write_report(model, *digits().train, path=tmp_path / "x.html", test_data=digits().test)
    page = opened(browser, path, scheme)
    script = """selector => { const rgb = c => c.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= 0.04045 ? v / 12.92
        : Math.pow((v + 0.055) / 1.055, 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const e = document.querySelector(selector); let b = e;
      while (getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;
      const [x, y] = [light(getComputedStyle(e).color), light(getComputedStyle(b).backgroundColor)].sort();
      return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); }"""
    for selector in (
        "h1",
        "header p",
        "nav a",
        "section p",
        ".finding .tag",
        "pre",
        "thead th",
        "td",
        "figcaption, .soft",
    ):
        assert page.evaluate(script, selector) >= 4.5, selector  # WCAG 2.2, level AA
    assert page.locator(".finding.error").count() == 2


def test_a_convolutional_network_shows_what_it_sees(browser, run):
    run("train", "digits", "--model", "lenet5", "--epochs", 2, "--out", "net")
    assert run("inspect", "net", "--out", "page.html")[0] == 0
    page = opened(browser, Path("page.html"))
    assert page.locator("h2").all_inner_texts()[-1] == "What the network sees"
    assert page.get_by_text("Filters of conv2d", exact=True).count() == 1
    assert not Path("net/report.html").exists()


def test_names_in_a_table_cannot_put_markup_into_the_page(browser, run, tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    draw = np.random.default_rng(0)
    rows = [f'{v:.3f},{w:.3f},"{evil if v > 0 else "<b>no</b>"}"' for v, w in draw.normal(size=(80, 2))]
    Path("evil.csv").write_text('"<script>alert(2)</script>",b,kind\n' + "\n".join(rows) + "\n")
    run("train", "evil.csv", "--target", "kind", "--epochs", 2, "--out", "evil")
    assert run("inspect", "evil")[0] == 0
    page = opened(browser, Path("evil/report.html"))
    assert page.locator("script").count() == 0
    assert page.locator("img[onerror]").count() == 0
    assert page.locator("table.matrix thead th").nth(2).inner_text() in (evil, "<b>no</b>")


def test_regressions_and_models_of_several_outputs_have_their_pages(tmp_path):
    x = np.linspace(-1, 1, 80, dtype=np.float32)[:, None]
    model = fit(network(Dense(8, "tanh"), Dense(1), loss="mse", inputs=(1,)), x, x**2, epochs=5)
    html = write_report(model, x, x**2, path=tmp_path / "a.html", validation_split=0.2).read_text()
    assert "<h2>Predictions</h2>" in html
    assert "validation data" in html
    a = Input((1,), name="a")
    model = Model(a, [Dense(1, name="p")(a), Dense(2, activation="softmax", name="k")(a)])
    model.compile({"p": "mse", "k": "categorical_crossentropy"}, "adam")
    y = {"p": x[:, 0], "k": (x[:, 0] > 0).astype(int)}
    fit(model, x, y, epochs=2)
    html = write_report(model, x, y, path=tmp_path / "b.html").read_text()
    assert "<h2>Layers</h2>" in html
    assert "Worst mistakes" not in html


def test_the_same_run_gives_the_same_page(tmp_path):
    iris = data.load("iris")
    pages = []
    for name in ("a.html", "b.html"):
        model = network(Dense(8, "relu"), Dense(3, "softmax"), inputs=(4,))
        model.fit(*iris.train, epochs=3, seed=0, verbose=0)
        pages.append(write_report(model, *iris.train, path=tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    assert pages[0].endswith(b"</main></body></html>\n")


def test_what_is_no_run_is_refused(run, tmp_path):
    with pytest.raises(FileFormatError):
        write_report(tmp_path)
    with pytest.raises(DataError, match="a model does not keep them"):
        write_report(plain())
    code, _, err = run("inspect", tmp_path)
    assert code == 1
    assert "is not the folder of a run" in err


def test_data_that_have_moved_are_found_where_they_are_now(run, tmp_path):
    rows = [f"{i},{i % 3},{'ab'[i % 2]}" for i in range(60)]
    Path("old.csv").write_text("x,z,kind\n" + "\n".join(rows) + "\n")
    run("train", "old.csv", "--target", "kind", "--epochs", 2, "--out", "moved")
    Path("old.csv").rename("new.csv")
    code, _, err = run("inspect", "moved")
    assert code == 0
    assert err.splitlines() == [
        "The data of the run are not there, so that diagnosis and predictions are left out: "
        "The file old.csv does not exist.",
        "Hint: pellucid inspect moved --data NAME_OR_FILE",
    ]
    page = Path("moved/report.html").read_text()
    assert "The file old.csv does not exist." in page
    assert page.count("<section") == 2
    assert run("inspect", "moved", "--data", "nowhere.csv")[0] == 1
    assert run("inspect", "moved", "--data", "new.csv")[:2] == (0, "report: moved/report.html\n")


def test_a_model_that_gives_nan_has_a_page_without_predictions(tmp_path):
    x = np.linspace(-1, 1, 40, dtype=np.float32)[:, None]
    model = fit(network(Dense(8, "tanh"), Dense(1), loss="mse", inputs=(1,)), x, x)
    model.layers[-1].kernel.assign(np.full((8, 1), 1e38, np.float32))
    model.layers[-1].bias.assign(np.full(1, np.nan, np.float32))
    page = write_report(model, x, x, path=tmp_path / "report.html").read_text()
    assert "there are no predictions to show" in page
    assert "Nothing is wrong" not in page
