"""Markdown in which whatever a user may call something stays text."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from raysynth.cards import card, settings_table, table, text, write_card

NASTY = (
    "<img src=x onerror=alert(1)>",
    "# x | y",
    "`code` ``` fence",
    "[click](javascript:alert(1)) ![](http://x.org/y.png)",
    "*a* _b_ __c__ ~~d~~ \\* \\| &lt; &#124;",
    "- 1. > + = http://x.org www.x.org a@b.org :smile: $x$",
    "two\nlines\r\n\r\n# heading \u202e turned",
    "glioma_tumor",
    "größer 3.5 (T1)",
)


def render(markdown: str) -> MarkdownIt:
    return MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"]).parse(markdown)


def visible(markdown: str) -> list[str]:
    """The texts of a card's inline parts, none of which may be anything but text."""
    inline = [token for token in render(markdown) if token.type == "inline"]
    assert {child.type for token in inline for child in token.children} <= {"text", "text_special"}
    return ["".join(child.content for child in token.children) for token in inline]


@pytest.mark.parametrize("name", NASTY)
def test_names_stay_text(name):
    shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    assert visible(card(f"Card: {text(name)}", f"About {text(name)}.", {})) == [f"Card: {shown}", f"About {shown}."]
    assert visible(table(["a", "b"], [(name, 1)])) == ["a", "b", shown, "1"]


@given(st.text(max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_text_is_shown_as_it_is_and_in_one_cell(name):
    escaped = text(name)
    assert not set(escaped) & set("|<>`*[]\n\\")
    assert unescape(escaped) == " ".join("".join(c if c.isprintable() else " " for c in name).split())
    cells = visible(table(["a", "b"], [(f"x {name} x", "end")]))
    assert len(cells) == 4
    assert cells[3] == "end"


def test_plain_names_stay_readable():
    for name in ("glioma_tumor", "T1 (axial)", "brain, 64 px", "wcgan_gp-20260101-120000-ab12"):
        assert text(name) == name


def test_tables_and_sections_without_content_are_left_out():
    assert table(["a"], []) == ""
    assert card("T", "s", {"Empty": "", "Full": "x"}) == "# T\n\ns\n\n## Full\n\nx\n"
    assert table(["a", "b"], [(None, 0)]).splitlines()[-1] == "| - | 0 |"


def test_of_paths_only_the_name_is_told():
    shown = settings_table({"pretrained": "/home/dr.smith/runs/vae-1", "rate": 0.00012345678}, only_name=["pretrained"])
    assert "| pretrained | vae-1 |" in shown
    assert "smith" not in shown
    assert "0.00012345678" in shown  # a config is told exactly


def test_a_card_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match=r"file.card\.md could not be written: .*Error"):
        write_card(tmp_path / "file" / "card.md", lambda: "text")

    def broken() -> str:
        raise KeyError("counts")

    with pytest.warns(UserWarning, match=r"card\.md could not be written: KeyError: 'counts'"):
        write_card(tmp_path / "card.md", broken)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
