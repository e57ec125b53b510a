"""Reads a page as a browser without JavaScript would: its words, its links and its forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
UNSEEN = frozenset({"script", "style", "template", "title", "head"})

Attributes = dict[str, str]


@dataclass
class Field:
    """A control of a form. `value` is what would be sent if it were sent."""

    name: str
    value: str
    kind: str
    id: str = ""
    checked: bool = False


@dataclass
class Form:
    """A form, its controls in order, and the buttons that send it."""

    action: str
    method: str
    id: str = ""
    is_multipart: bool = False
    fields: list[Field] = field(default_factory=list)
    buttons: list[Field] = field(default_factory=list)

    def has(self, id_or_name: str) -> bool:
        """Whether a control or button goes by this id or name."""
        return any(id_or_name in {one.id, one.name} for one in (*self.fields, *self.buttons))

    def values(self) -> list[tuple[str, str]]:
        """What is sent when nothing is touched: unticked boxes are left out."""
        return [
            (one.name, one.value)
            for one in self.fields
            if one.name and (one.kind not in {"checkbox", "radio"} or one.checked)
        ]


@dataclass
class Document:
    """What a reader of the page finds."""

    title: str = ""
    language: str = ""
    forms: list[Form] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    text_by_id: dict[str, str] = field(default_factory=dict)
    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    text: str = ""


def read_html(source: str) -> Document:
    """The document in this HTML. Elements that are not closed end with their parent."""
    reader = _Reader()
    reader.feed(source)
    reader.close()
    return reader.finish()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document = Document()
        self.open: list[tuple[str, Attributes, list[str]]] = []
        self.words: list[str] = []
        self.form: Form | None = None
        self.select: Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.document.elements.append((tag, attributes))
        if tag == "html":
            self.document.language = attributes.get("lang", "")
        elif tag == "form":
            method = attributes.get("method", "get").lower()
            self.form = Form(
                attributes.get("action", ""),
                method,
                attributes.get("id", ""),
                is_multipart=attributes.get("enctype", "") == "multipart/form-data",
            )
            self.document.forms.append(self.form)
        elif self.form is not None:
            self._control(self.form, tag, attributes)
        if tag not in VOID:
            self.open.append((tag, attributes, []))

    def _control(self, form: Form, tag: str, attributes: Attributes) -> None:
        name, value, id_ = (attributes.get(key, "") for key in ("name", "value", "id"))
        if tag == "input":
            kind = attributes.get("type", "text").lower()
            found = Field(name, value, kind, id_, checked="checked" in attributes)
            if kind in {"checkbox", "radio"} and "value" not in attributes:
                found.value = "on"
            (form.buttons if kind in {"submit", "image"} else form.fields).append(found)
        elif tag == "button" and attributes.get("type", "submit") == "submit":
            form.buttons.append(Field(name, value, "submit", id_))
        elif tag in {"select", "textarea"}:
            found = Field(name, "", tag, id_)
            form.fields.append(found)
            self.select = found if tag == "select" else None
        elif tag == "option" and self.select is not None and ("selected" in attributes or not self.select.value):
            self.select.value = value

    def handle_endtag(self, tag: str) -> None:
        if all(opened != tag for opened, _, _ in self.open):
            return
        while True:
            opened, attributes, words = self.open.pop()
            self._end(opened, attributes, _joined(words))
            if opened == tag:
                return

    def _end(self, tag: str, attributes: Attributes, text: str) -> None:
        if tag == "form":
            self.form = None
        elif tag == "select":
            self.select = None
        elif tag == "title":
            self.document.title = text
        elif tag == "a" and "href" in attributes:
            self.document.links.append((attributes["href"], text))
        elif tag == "textarea" and self.form is not None:
            self.form.fields[-1].value = text
        if attributes.get("id"):
            self.document.text_by_id[attributes["id"]] = text

    def handle_data(self, data: str) -> None:
        for _, _, words in self.open:
            words.append(data)
        if not any(tag in UNSEEN for tag, _, _ in self.open):
            self.words.append(data)

    def finish(self) -> Document:
        while self.open:
            tag, attributes, words = self.open.pop()
            self._end(tag, attributes, _joined(words))
        self.document.text = _joined(self.words)
        return self.document


def _joined(words: list[str]) -> str:
    return " ".join("".join(words).split())
