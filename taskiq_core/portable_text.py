"""Texts that every store can hold: no NUL, which PostgreSQL refuses, and no half characters, which UTF-8 does not have."""


def is_portable(text: str) -> bool:
    """Whether every store can hold it as it is."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def made_portable(text: str) -> str:
    """The text with a mark in the place of each character that some store cannot hold."""
    return text if is_portable(text) else text.replace("\0", "\ufffd").encode(errors="replace").decode()
