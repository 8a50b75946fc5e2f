import io
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pellucid.analysis.report.page import page, picture, png, table, text

EVIL = "<script>alert('x')</script><img src=http://evil.example/x.png onerror=alert(1)>\" style=\"x"


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([(), (3,)]), st.integers(0, 99))
def test_pillow_reads_the_pixels_that_were_written(height, width, colours, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *colours)).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


@given(st.text(max_size=40))
def test_any_text_comes_back_as_text(value):
    found = Tags(f"<p>{text(value)}</p>")
    assert [tag for tag, _ in found.tags] == ["p"]
    assert "".join(found.words) == value.replace("\r\n", "\r\n")


def test_what_looks_like_markup_stays_text_everywhere():
    html = page(EVIL, EVIL, [(EVIL, table([EVIL, "n"], [[EVIL, 1]], numbers=1) + picture(b"x", EVIL))])
    found = Tags(html)
    names = [tag for tag, _ in found.tags]
    assert "script" not in names
    assert names.count("img") == 1
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert set(images[0]) == {"src", "alt"}
    assert images[0]["alt"] == EVIL
    assert images[0]["src"].startswith("data:image/png;base64,")


def test_the_page_forbids_what_does_not_lie_in_it():
    found = Tags(page("Title", "under", [("One", "<p>x</p>"), ("Two", "<p>y</p>")]))
    policy = next(a["content"] for tag, a in found.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    links = [a["href"] for tag, a in found.tags if tag == "a"]
    assert links == ["#s0", "#s1"]
    assert [a["id"] for tag, a in found.tags if tag == "section"] == ["s0", "s1"]


def test_the_last_columns_of_a_table_are_numbers():
    found = Tags(table(["a", "b", "c"], [[1, 2, 3]], numbers=2))
    assert [a.get("class") for tag, a in found.tags if tag in ("td", "th")] == [None, "number", "number"] * 2


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.uint8), np.full((2, 2, 3), 255, np.uint8)])
def test_the_same_pixels_give_the_same_bytes(pixels):
    assert png(pixels) == png(pixels.copy())
