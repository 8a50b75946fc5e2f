"""A finding: what is wrong, how one knows, what to change, and the proof that it helps."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pellucid.analysis.diagnosis.trial import Remedy, Retry
from pellucid.errors import ConfigurationError, unknown_name

#: From what keeps a network from learning to what would be better otherwise.
SEVERITIES = ("error", "warning", "advice")


@dataclass(frozen=True, eq=False)
class Finding:
    """One thing that is wrong with a training.

    Args:
        name: What it is called, such as ``"dead_relu"``.
        severity: ``"error"`` (it keeps the network from learning, or its score from meaning anything), ``"warning"``
            or ``"advice"``.
        evidence: How one knows: a whole sentence with layer, step and numbers.
        suggestion: What to change, in words.
        code: The change as code to paste.
        numbers: The numbers of the evidence by name.
        layer: The layer where it shows, or None.
        step: The update at which it showed first, where a recording or the history tells, or None.
    """

    name: str
    severity: str
    evidence: str
    suggestion: str
    code: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    layer: str | None = None
    step: int | None = None
    _remedy: Remedy | None = field(default=None, repr=False)

    @property
    def title(self) -> str:
        """The name in words.

        >>> Finding("dead_relu", "warning", "", "", "").title
        'Dead ReLU'
        """
        words = spoken(self.name)
        return words[0].upper() + words[1:]

    @property
    def can_retry(self) -> bool:
        """Whether there is a change of the training that ``retry`` can try."""
        return self._remedy is not None

    def retry(self, *, epochs: int | None = None, seconds: float = 60.0) -> Retry:
        """Train twice from the same seed on the same data, as it was and with the suggested change.

        Args:
            epochs: Epochs of each training; by default as many as the run had.
            seconds: The most time for both; they are then ended after equally many epochs.

        Returns:
            Both histories, whether the change helped, and ``.plot()``.

        Raises:
            ConfigurationError: No change of the training can mend this.
        """
        if self._remedy is None:
            raise ConfigurationError(
                f"The finding {self.name!r} has no change of the training to try.", hint=self.suggestion
            )
        return self._remedy.run(self.title, epochs, seconds)

    def __str__(self) -> str:
        paragraphs = [textwrap.fill(text, 100, subsequent_indent="  ", initial_indent="  ") for text in self._texts()]
        code = textwrap.indent(self.code, "      ")
        return "\n".join([f"{self.severity.upper()}: {self.title}", *paragraphs, code])

    def _texts(self) -> tuple[str, str]:
        return self.evidence, self.suggestion


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found in a run, the gravest first.

    Args:
        findings: The findings.
        checked: The names of everything that was looked for.
        skipped: What could not be looked for -> the reason.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    skipped: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The names of the findings."""
        return [finding.name for finding in self.findings]

    def __getitem__(self, name: str | int) -> Finding:
        if isinstance(name, int):
            return self.findings[name]
        for finding in self.findings:
            if finding.name == name:
                return finding
        if name in self.checked:
            raise ConfigurationError(f"The diagnosis has no finding {name!r}: it was looked for, and is not there.")
        if name in self.skipped:
            raise ConfigurationError(f"The diagnosis has no finding {name!r}: {self.skipped[name]}.")
        raise unknown_name("finding", name, [*self.checked, *self.skipped])

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        parts = [str(finding) for finding in self.findings]
        looked = f"Looked for {len(self.checked)} things: {', '.join(map(spoken, self.checked))}."
        if not parts:
            parts = ["Nothing is wrong as far as one can see."]
        parts.append(textwrap.fill(looked, 100))
        if self.skipped:
            alike: dict[str, list[str]] = {}
            for name, why in self.skipped.items():
                alike.setdefault(why, []).append(spoken(name))
            reasons = "; ".join(f"{', '.join(names)} ({why})" for why, names in alike.items())
            parts.append(textwrap.fill(f"Not looked for: {reasons}.", 100))
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"Diagnosis({', '.join(self.names) or 'nothing found'})"


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent, in one piece.

    >>> percent(0.255, 1).split()
    ['25.5', '%']
    """
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def spoken(name: str) -> str:
    """The name of a finding in words."""
    return name.replace("_", " ").replace("relu", "ReLU")
