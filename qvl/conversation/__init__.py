"""Objects to the text of an answer and back, and the turns around it."""

from __future__ import annotations

from qvl.conversation.answer import FAULT_CODES, NUMBER_LIMIT, Fault, TextObject
from qvl.conversation.builder import (
    BaseBuilder,
    ChatBuilder,
    Conversation,
    DenseBuilder,
    PixelObjects,
    Prompts,
    SummaryBuilder,
)
from qvl.conversation.messages import Message, build_messages
from qvl.conversation.parse import ParsedAnswer, parse_answer
from qvl.conversation.reader import MAX_IMAGES
from qvl.conversation.render import as_text, norm1000, render_answer, text_objects, written_objects
from qvl.conversation.spans import find_spans
from qvl.conversation.summary import IRRELEVANT, SummaryWriter
from qvl.conversation.token_counts import TokenCounter

__all__ = [
    "FAULT_CODES",
    "IRRELEVANT",
    "MAX_IMAGES",
    "NUMBER_LIMIT",
    "BaseBuilder",
    "ChatBuilder",
    "Conversation",
    "DenseBuilder",
    "Fault",
    "Message",
    "ParsedAnswer",
    "PixelObjects",
    "Prompts",
    "SummaryBuilder",
    "SummaryWriter",
    "TextObject",
    "TokenCounter",
    "as_text",
    "build_messages",
    "find_spans",
    "norm1000",
    "parse_answer",
    "render_answer",
    "text_objects",
    "written_objects",
]
