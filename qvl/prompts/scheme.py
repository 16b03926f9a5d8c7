"""What is said to the model besides the pictures."""

from __future__ import annotations

import re
from pathlib import Path

from qvl.errors import ConfigError
from qvl.prompts.domain import DomainPack
from qvl.prompts.language import Text, in_language
from qvl.records import has_lone_surrogate, special_tokens_in

__all__ = ["PromptScheme"]

_LABEL = re.compile(r"[^\W\d_]+")


class PromptScheme:
    """System prompt, user prompt and the word for a picture."""

    def __init__(
        self,
        *,
        user: Text,
        system: Text = "",
        image_label: str = "图片",
        user_file: str | None = None,
        system_file: str | None = None,
        language: str = "en",
        domain: DomainPack | None = None,
    ) -> None:
        """Take or read the texts.

        Args:
            user: Text after the pictures of a user turn; one text, or a text by language.
            system: System prompt, likewise; empty for none.
            image_label: Word in front of a picture's number where a turn has several: `<image_label>_1`. Letters
                only, not `object`, which numbers the objects.
            user_file: Text file (UTF-8) to read the user prompt from instead; newlines at its end are dropped.
            system_file: The same for the system prompt.
            language: Which of the texts by language is taken, such as `en` or `zh`.
            domain: What is known of the kind of pictures; its text goes behind the system prompt, after an empty line.

        Raises:
            ConfigError: A file cannot be read, the user prompt is blank, a text is not there in the language or holds a
                token that the tokenizer or the chat template would act on, or `image_label` is not a word.
        """
        self._user = _text("user", user, user_file, language)
        system = _text("system", system, system_file, language)
        about = _checked("domain", domain.text(language)) if domain is not None else ""
        self._system = "\n\n".join(part for part in (system, about) if part)
        self._image_label = image_label
        if not self._user.strip():
            raise ConfigError("prompts.user: the user prompt is blank")
        if not _LABEL.fullmatch(image_label) or image_label == "object":
            raise ConfigError(f"prompts.image_label: expected letters, not the word 'object', got {image_label!r}")

    @property
    def user(self) -> str:
        """Text after the pictures."""
        return self._user

    @property
    def system(self) -> str:
        """System prompt; empty for none."""
        return self._system

    @property
    def image_label(self) -> str:
        """Word in front of a picture's number."""
        return self._image_label


def _text(name: str, text: Text, path: str | None, language: str) -> str:
    """Return the text itself or that of the file; `name` is the key in messages."""
    if path is not None:
        return _checked(f"{name}_file", _read(f"{name}_file", path))
    return _checked(name, in_language(text, language, key=f"prompts.{name}"))


def _checked(name: str, text: str) -> str:
    if tokens := special_tokens_in(text):
        raise ConfigError(
            f"prompts.{name}: the tokenizer or the chat template would act on {', '.join(dict.fromkeys(tokens))}; "
            f"reword the prompt"
        )
    if has_lone_surrogate(text):
        raise ConfigError(f"prompts.{name}: half of a surrogate pair cannot be written as UTF-8")
    return text


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig").rstrip("\n")
    except OSError as error:
        raise ConfigError(f"prompts.{name}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"prompts.{name}: {path} is not UTF-8: byte {error.start + 1} ({error.reason})") from error
