#!/usr/bin/env python3
"""Writes the prose of "An Anarchist FAQ" (Debian package anarchism) as train.jsonl and valid.jsonl, a page a document.

Validation pages are chosen by the hash of their name. The book quotes itself: a training paragraph that shares 13 words in a
row with a validation page is dropped, and so is one that occurred before.
"""

import hashlib
import html.parser
import json
import pathlib
import re
import sys

LISTS_OF_LINKS = {"alinks", "arlinks", "biblio", "book", "contact", "index", "links", "new", "pdf", "supplementary", "translations"}
VALIDATION_SHARE = 0.06
RUN_OF_WORDS = 13


class Paragraphs(html.parser.HTMLParser):
    BLOCKS = {"p", "blockquote", "li", "h1", "h2", "h3", "td", "th", "dt", "div", "center", "br", "hr", "tr"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.text, self.in_body = [], "", False

    def flush(self):
        text = " ".join(self.text.split())
        if text:
            self.paragraphs.append(text)
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag == "body":
            self.in_body = True
        if tag in self.BLOCKS:
            self.flush()

    def handle_endtag(self, tag):
        if tag in self.BLOCKS:
            self.flush()

    def handle_data(self, data):
        if self.in_body:
            self.text += data


def paragraphs_of(page):
    parser = Paragraphs()
    parser.feed(page.read_text(encoding="utf-8", errors="replace"))
    parser.flush()
    return parser.paragraphs


def is_validation(name):
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < VALIDATION_SHARE


def runs_of_words(text):
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + RUN_OF_WORDS]) for i in range(len(words) - RUN_OF_WORDS + 1)}


def write(path, documents):
    with open(path, "w", encoding="utf-8") as file:
        for title, paragraphs in documents.items():
            file.write(json.dumps({"title": title, "text": "\n\n".join(paragraphs)}, ensure_ascii=False) + "\n")
    size = sum(len(p) for paragraphs in documents.values() for p in paragraphs)
    print(f"{path}: {len(documents)} documents, {size} characters")


def main():
    pages, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    documents = {p.stem: paragraphs_of(p) for p in sorted(pages.glob("*.html")) if p.stem not in LISTS_OF_LINKS}
    valid = {name: text for name, text in documents.items() if is_validation(name)}
    held_out = set()
    for paragraphs in valid.values():
        for paragraph in paragraphs:
            held_out |= runs_of_words(paragraph)
    train, seen, shared, repeated = {}, set(), 0, 0
    for name in documents.keys() - valid.keys():
        train[name] = []
    for name in sorted(train):
        for paragraph in documents[name]:
            if not held_out.isdisjoint(runs_of_words(paragraph)):
                shared += 1
            elif len(paragraph) > 60 and paragraph in seen:
                repeated += 1
            else:
                seen.add(paragraph)
                train[name].append(paragraph)
    print(f"dropped from training: {shared} paragraphs shared with validation, {repeated} repeated")
    write(out / "train.jsonl", {name: train[name] for name in sorted(train) if train[name]})
    write(out / "valid.jsonl", valid)


if __name__ == "__main__":
    main()
