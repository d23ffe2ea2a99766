"""Where a service can listen, and which two places are one."""

from __future__ import annotations

import pytest

from wakeport.place import Place, split_target


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("80", Place(80)),
        ("80/tcp", Place(80)),
        ("53/udp", Place(53, udp=True)),
        ("[::1]:53/udp", Place(53, "::1", udp=True)),
        ("127.0.0.1:80", Place(80, "127.0.0.1")),
        ("[::1]:80", Place(80, "::1")),
        ("[0:0::1]:80", Place(80, "::1")),
        ("/run/a b%$.sock", Place(path="/run/a b%$.sock")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert Place.parse(text) == place
    assert Place.parse(str(place)) == place


NO_PLACES = [
    *("80/sctp", "80/", "53/UDP", "53/udp/udp", "53/tcp/udp"),
    *("", "0", "65536", "http", ":80", "1.2.3:80", "[127.0.0.1]:80", "::1:80", "80 ", "80\n", "٨٠"),
    *(
        "run/x",
        "/",
        "//x",
        "/run/",
        "/run/../x",
        "/run/a\\",
        "/run/a ",
        "/run/a\nListenStream=1",
        "/" + "x" * 107,
    ),
]


@pytest.mark.parametrize("text", NO_PLACES)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Place.parse(text)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("80", "80", True),
        ("80", "81", False),
        ("80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("[::]:80", "127.0.0.1:80", True),
        ("[::1]:80", "127.0.0.1:80", False),
        ("/a", "/a", True),
        ("/a", "80", False),
        ("53", "53/udp", False),
        ("53/udp", "127.0.0.1:53/udp", True),
        ("[::1]:53/udp", "[::1]:53", False),
    ],
)
def test_overlap(one: str, other: str, overlap: bool) -> None:
    assert Place.parse(one).overlaps(Place.parse(other)) is overlap
    assert Place.parse(other).overlaps(Place.parse(one)) is overlap


def test_what_listen_takes() -> None:
    assert split_target("80") == (Place(80), None)
    assert split_target("[::1]:80=8080") == (Place(80, "::1"), 8080)
    assert split_target("/run/a=b.sock=80") == (Place(path="/run/a=b.sock"), 80)
    assert split_target("/run/a=b.sock") == (Place(path="/run/a=b.sock"), None)
    assert split_target("127.0.0.1:53/udp=5353") == (Place(53, "127.0.0.1", udp=True), 5353)
    assert split_target("80=/run/a=b.sock") == (Place(80), "/run/a=b.sock")
    assert split_target("/run/a=b.sock=/run/c.sock") == (Place(path="/run/a=b.sock"), "/run/c.sock")
    for wrong in (
        "53/udp=5353/udp",
        "80=/run/",
        "80=run/a",
        "/run/a=/",
        "80=",
        "80=http",
        "80=0",
        "80=65536",
        "=80",
    ):
        with pytest.raises(ValueError, match=r"."):
            split_target(wrong)
