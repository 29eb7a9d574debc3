"""What the web process is told when it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where to listen, and for whom.

    Attributes:
        pages: (host, port) of the pages; port 0 takes a free one; None serves none.
        oscquery: the same of OSCQuery.
        stage_secret: what opens the performer's page.
        crowd: serve the crowd's page.
        crowd_token: what opens the crowd's page; empty lets everybody in.
        public_url: how phones reach the pages, ``http://192.168.1.20:8600``; empty finds an address by itself.
        folder: where the queue and the bans outlive a restart; None keeps nothing.
        osc: (host, port) that OSC is listened for on, for OSCQuery's HOST_INFO; None if nowhere.
        name: of this show, for discovery.
    """

    pages: Address | None = ("127.0.0.1", 0)
    oscquery: Address | None = None
    stage_secret: str = ""
    crowd: bool = False
    crowd_token: str = ""
    public_url: str = ""
    folder: Path | None = None
    osc: Address | None = None
    name: str = "vjengine"

    def to_json(self) -> str:
        """Return it as it is handed to the process."""
        return json.dumps({**asdict(self), "folder": str(self.folder) if self.folder is not None else None})

    @classmethod
    def from_json(cls, text: str) -> WebSettings:
        """Return what :meth:`to_json` wrote."""
        given = json.loads(text)
        for name in ("pages", "oscquery", "osc"):
            given[name] = tuple(given[name]) if given[name] is not None else None
        given["folder"] = Path(given["folder"]) if given["folder"] is not None else None
        return cls(**given)
