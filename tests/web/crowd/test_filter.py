"""What guests may write: nothing hides, and nothing innocent is refused."""

import pytest

from vjengine.resources import resource_dir
from vjengine.web.crowd.filter import MAX_TEXT, Filter
from vjengine.web.crowd.refusal import Refused
from vjengine.web.crowd.words import WordList

FOLDER = resource_dir("presets") / "crowd"
FILTER = Filter(WordList.load(FOLDER / "words.txt"))
OWN = Filter(WordList(["duck", "goose*", "*swan*", "grey heron", "nass", "утка"]))


def code(text: object, judge: Filter = FILTER) -> str:
    with pytest.raises(Refused) as caught:
        judge.wish(text)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe",
        "a classic car in Essex",
        "Dickens in Penistone",
        "cocktail bar",
        "assassin in the grass",
        "shiitake",
        "rock & roll",
        "4 seasons",
        "90s rave!",
        "100% gold",
        "end.Next",
        "naïve café",
        "Ärger im Büro",
        "I got a mass of glass",
        "深海のクラゲ",
        "птицы в небе",
        "سماء مليئة بالنجوم",
        "می‌خواهم",
        "ฟ้าเต็มไปด้วยดาว",
        "हिन्दी की किताब",
        "👩‍🚀 in space",
        "👍🏽 ❤️",
        "🏳️‍🌈",
        "cut the ice",
        "therapist",
        "Hancock",
        "a s s e t s",
        "pass the peas",
        "cum laude",
        "maine coon",
        "cono de helado",
        "it's 5 o'clock (somewhere); 1/2 price?",
        "don't stop, don't stop",
    ],
)
def test_innocent_words_pass(text: str) -> None:
    assert FILTER.wish(text)


@pytest.mark.parametrize(
    "text",
    [
        "duck",
        "DUCK",
        "a duck.",
        "d u c k",
        "d.u.c.k",
        "du-ck",
        "duuuuck",
        "d*ck",
        "du*k",
        "dμck",
        "dцck",
        "ｄｕｃｋ",
        "𝓭𝓾𝓬𝓴",
        "🅳🆄🅲🅺",
        "🇩🇺🇨🇰",
        "d\u200buck",
        "d\u00aduck",
        "dück",
        "ԁuсk",
        "dսck",
        "ⓓⓤⓒⓚ",
        "d\u0336u\u0336c\u0336k\u0336",
        "goosey",
        "g00se",
        "a black swan",
        "5w4n",
        "$wan",
        "blackswansong",
        "grey   heron",
        "Grey-Heron is one",
        "n455",
        "nasss",
        "УТКА",
        "ут​ка",
    ],
)
def test_a_listed_word_is_found_however_it_is_written(text: str) -> None:
    assert code(text, OWN) == "word"


@pytest.mark.parametrize("text", ["ducks", "90053", "nas", "a heron, grey", "geese", "duc", "conduct", "утки"])
def test_only_whole_words_match(text: str) -> None:
    assert OWN.wish(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "type"),
        (7, "type"),
        ([], "type"),
        ({"text": "x"}, "type"),
        ("", "empty"),
        ("   \t ", "empty"),
        ("\u200b\u2060", "empty"),
        ("?!", "empty"),
        ("x" * (MAX_TEXT + 1), "long"),
        ("x" * 1_000_000, "long"),
        ("abc\u202edef", "characters"),
        ("abc\u2066def", "characters"),
        ("a\x00b", "characters"),
        ("a\x1b[31mb", "characters"),
        ("\ud800", "characters"),
        ("\ue000", "characters"),
        ("Z" + "\u0337" * 9, "characters"),
        ("<script>alert(1)</script>", "characters"),
        ("<lora:thing:1>", "characters"),
        ("{a|b}", "characters"),
        ("`rm -rf`", "characters"),
        ("sea::2", "characters"),
        ("me@home", "characters"),
        ("http://a", "link"),
        ("see www.a", "link"),
        ("evil.com now", "link"),
        ("ｅｖｉｌ．ｃｏｍ", "link"),
        ("evil dot com", "link"),
        ("call 0170 1234567", "number"),
        ("😀" * 9, "emoji"),
    ],
)
def test_the_rest_is_refused_with_the_reason(text: object, why: str) -> None:
    assert code(text) == why


def test_what_is_shown_is_one_clean_line() -> None:
    assert FILTER.wish("  a \n\t sea\u200b of  e\u0301toiles ") == "a sea of étoiles"
    assert FILTER.name(" Ann ") == "Ann"
    assert FILTER.name("") == ""
    with pytest.raises(Refused):
        FILTER.name("x" * 25)


def test_a_refusal_never_repeats_what_was_sent() -> None:
    for text in ("<b>", "evil.com", "fuck", "x" * 200):
        with pytest.raises(Refused) as caught:
            FILTER.wish(text)
        assert text not in caught.value.words


def test_the_ideas_we_offer_pass() -> None:
    lines = [
        line for line in (FOLDER / "ideas.txt").read_text(encoding="utf-8").splitlines() if line[:1] not in ("#", "")
    ]
    assert len(lines) >= 8
    assert [FILTER.wish(line) for line in lines] == lines
