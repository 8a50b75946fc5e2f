"""Formulas in plain text -> the same formulas in LaTeX and in HTML."""

from __future__ import annotations

import html
import re

_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "eta", "lambda", "mu", "pi", "rho", "sigma", "Phi", "phi",
)  # fmt: skip
# ruff: noqa: RUF001 - these letters are meant
_HTML_GREEK = dict(zip(_GREEK, "αβγδεηλμπρσΦφ", strict=True))
# Combining characters: they stand on the letter before them.
_MARKS = {"hat": "\N{COMBINING CIRCUMFLEX ACCENT}", "bar": "\N{COMBINING MACRON}"}
_SIGNS = {"<-": (r"\leftarrow", "←"), "*": (r"\odot", "⊙"), "@": (r"\cdot", "·"), "%": (r"\%", "%")}
_SIGNS |= {"conv": (r"\ast", "∗"), ">=": (r"\ge", "≥"), "<=": (r"\le", "≤"), "!=": (r"\ne", "≠")}

_TOKEN = re.compile(
    r"\bsqrt\((?P<root>[^()]+)\)"
    r"|dL/d(?P<of>[A-Za-z_][\w.]*(?:\^\d+)?)"
    r"|(?P<word>[A-Za-z](?:[\w.]*[A-Za-z0-9])?)(?:_\((?P<index>[^()]*)\))?(?P<prime>')?(?:\^(?P<power>T\b|\d+|\([^()]*\)))?"
    r"|\)\^(?P<after>T|\d+)"
    r"|\^(?P<loose>\d+|\([^()]*\))"
    r"|(?P<sign><-|>=|<=|!=|[*@%<>&])"
    r"|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
    r"|(?P<other>\s+|.)",
    re.DOTALL,
)


def to_latex(text: str) -> str:
    r"""A formula in LaTeX's mathematics.

    >>> to_latex("delta^1 = sigma'(z^1) * (W^2)^T delta^2")
    "\\delta^{1} = \\sigma'(z^{1}) \\odot (W^{2})^{T} \\delta^{2}"
    >>> to_latex("W^1 <- W^1 - eta dL/dW^1")
    'W^{1} \\leftarrow W^{1} - \\eta \\frac{\\partial L}{\\partial W^{1}}'
    >>> to_latex("m_hat / (sqrt(v_hat) + epsilon)")
    '\\hat{m} / (\\sqrt{\\hat{v}} + \\epsilon)'
    """
    return _collapsed("".join(_latex_token(match) for match in _TOKEN.finditer(text)))


def _latex_token(match: re.Match[str]) -> str:
    part = match.groupdict()
    if part["root"]:
        return rf"\sqrt{{{to_latex(part['root'])}}}"
    if part["of"]:
        return rf"\frac{{\partial L}}{{\partial {to_latex(part['of'])}}}"
    if part["word"]:
        index = f"_{{{part['index']}}}" if part["index"] else ""
        return _latex_word(part["word"]) + index + (part["prime"] or "") + _raised_latex(part["power"])
    if part["after"]:
        return f")^{{{part['after']}}}"
    if part["loose"]:
        return _raised_latex(part["loose"])
    if part["sign"]:
        sign = part["sign"]
        return f" {_SIGNS[sign][0]} " if sign in _SIGNS else r" \& " if sign == "&" else f" {sign} "
    other = part["number"] or part["other"]
    return {"{": r"\{", "}": r"\}", "_": r"\_", "#": r"\#", "$": r"\$", "\\": r"\backslash "}.get(other, other)


def _latex_word(word: str) -> str:
    base, _, index = word.partition("_")
    if word in _SIGNS:
        return f" {_SIGNS[word][0]} "
    if len(base) == 1 and word != "y_hat" and index in ("hat", "bar"):
        return rf"\{index}{{{base}}}"
    if base in _GREEK and len(index) == 1:
        return rf"\{base}_{{{index}}}"
    if word == "y_hat" or word.startswith("y_hat_"):
        of = word[6:] if len(word) < 8 else rf"\text{{{word[6:]}}}".replace("_", r"\_")
        return r"\hat{y}" + (f"_{{{of}}}" if of else "")
    if index and len(index) == 1 and (len(base) == 1 or base in ("sum", "mean")):
        return (r"\sum" if base == "sum" else _latex_word(base)) + f"_{{{index}}}"
    if word in _GREEK:
        return rf"\{word}"
    if re.fullmatch(r"[a-z]\d+", word):
        return f"{word[0]}_{{{word[1:]}}}"
    if word in ("log", "exp", "sin", "cos", "tanh", "max", "min"):
        return rf"\{word} "
    if len(word) == 1:
        return word
    return r"\text{" + word.replace("_", r"\_") + "}"


def _raised_latex(power: str | None) -> str:
    return "" if not power else f"^{{{to_latex(power.strip('()'))}}}"


def _collapsed(text: str) -> str:
    """No double spaces, and spaces around words that LaTeX keeps."""
    text = re.sub(r" {2,}", " ", text).strip()
    text = re.sub(r"(\\text\{[^{}]*\}) (?![=+<>-])", r"\1\\ ", text)
    return re.sub(r"(?<![=+<>\\-]) (?=\\text\{)", r"\\ ", text)


def to_html(text: str) -> str:
    """A formula in HTML.

    >>> to_html("z^1 = W^1 a^0 + b^1")
    '<i>z</i><sup>1</sup> = <i>W</i><sup>1</sup> <i>a</i><sup>0</sup> + <i>b</i><sup>1</sup>'
    """
    return "".join(_html_token(match) for match in _TOKEN.finditer(text))


def _html_token(match: re.Match[str]) -> str:
    part = match.groupdict()
    if part["root"]:
        return f'√<span style="text-decoration: overline">{to_html(part["root"])}</span>'
    if part["of"]:
        return f"∂<i>L</i>/∂{to_html(part['of'])}"
    if part["word"]:
        prime = "′" if part["prime"] else ""
        index = f"<sub>{part['index']}</sub>" if part["index"] else ""
        return _html_word(part["word"]) + index + prime + _raised_html(part["power"])
    if part["after"]:
        return f")<sup>{part['after']}</sup>"
    if part["loose"]:
        return _raised_html(part["loose"])
    if part["sign"] in _SIGNS:
        return _SIGNS[part["sign"]][1]
    return html.escape(match.group())


def _html_word(word: str) -> str:
    base, _, index = word.partition("_")
    if word in _SIGNS:
        return _SIGNS[word][1]
    if len(base) == 1 and word != "y_hat" and index in ("hat", "bar"):
        return f"<i>{base}{_MARKS[index]}</i>"
    if base in _HTML_GREEK and len(index) == 1:
        return f"{_HTML_GREEK[base]}<sub>{index}</sub>"
    if word == "y_hat" or word.startswith("y_hat_"):
        return "<i>ŷ</i>" + (f"<sub>{word[6:]}</sub>" if len(word) > 6 else "")
    if index and len(index) == 1 and (len(base) == 1 or base == "sum"):
        return ("Σ" if base == "sum" else f"<i>{base}</i>") + f"<sub>{index}</sub>"
    if re.fullmatch(r"[a-z]\d+", word):
        return f"<i>{word[0]}</i><sub>{word[1:]}</sub>"
    if word in _HTML_GREEK:
        return _HTML_GREEK[word]
    return f"<i>{word}</i>" if len(word) == 1 else html.escape(word)


def _raised_html(power: str | None) -> str:
    return "" if not power else f"<sup>{to_html(power.strip('()'))}</sup>"
