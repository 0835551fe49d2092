"""Pages as a browser reads them: tags, text and figures."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

Attributes = dict[str, str | None]


@dataclass
class Figure:
    """A figure with what it holds."""

    kinds: list[str]  # its classes
    tags: list[tuple[str, Attributes]] = field(default_factory=list)
    text: str = ""

    def has(self, tag: str, **attributes: str) -> bool:
        wanted = {name.replace("_", "-"): value for name, value in attributes.items()}
        return any(name == tag and wanted.items() <= found.items() for name, found in self.tags)


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and figures; `text` leaves out style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, Attributes]] = []
        self.text: list[str] = []
        self.figures: list[Figure] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "figure":
            self.figures.append(Figure((dict(attrs).get("class") or "").split()))
        elif "figure" in self._open:
            self.figures[-1].tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:  # img, meta and br have no end
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self._open):
            self.text.append(data)
            if "figure" in self._open:
                self.figures[-1].text += data

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def sources(self) -> list[str]:
        return [attrs["src"] or "" for tag, attrs in self.tags if tag == "img" and "src" in attrs]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader
