"""Pictures of a film, to judge it by before anyone sits through it: contact sheet, moving snippet, waveform."""

from vjengine.offline.preview.sheet import contact_sheet
from vjengine.offline.preview.snippet import snippet
from vjengine.offline.preview.waveform import Mark, Span, waveform

__all__ = ["Mark", "Span", "contact_sheet", "snippet", "waveform"]
