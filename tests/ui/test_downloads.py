"""Artifact files over HTTP, out of a real directory store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette

from runstream.objects import object_key, open_store
from runstream_ui import context, downloads
from runstream_ui.settings import UiSettings

PNG = b"\x89PNG\r\n\x1a\n" + bytes(3_000_000)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, str]:
    """Content by name in a store that the pages read from: the sha256 of each."""
    url = (tmp_path / "objects").as_uri()
    context.configure(UiSettings(s3=url))
    store = open_store(url)
    digests = {}
    for name, content in {"png": PNG, "svg": SVG, "empty": b""}.items():
        digests[name] = hashlib.sha256(content).hexdigest()
        store.put_bytes(object_key(digests[name]), content)
    return digests


@pytest.fixture
async def client() -> Iterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=downloads.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://ui") as opened:
        yield opened


async def test_a_file_comes_back_whole_under_its_name(kept: dict[str, str], client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/files/{kept['png']}/plots%2Fa%20b%C3%BC.png")
    assert answer.content == PNG
    assert answer.headers["content-length"] == str(len(PNG))
    assert "filename*=UTF-8''a%20b%C3%BC.png" in answer.headers["content-disposition"]


@pytest.fixture
def kept_in_s3(bucket: str) -> Iterator[str]:
    """The sha256 of the picture, in an S3 store that the pages read from."""
    context.configure(UiSettings(s3=bucket))
    digest = hashlib.sha256(PNG).hexdigest()
    store = open_store(bucket)
    store.put_bytes(object_key(digest), PNG)
    yield digest
    store.delete(object_key(digest))


@pytest.mark.s3
@pytest.mark.parametrize(
    ("folder", "content_type", "disposition"),
    [("files", "application/octet-stream", "attachment; filename"), ("images", "image/png", "inline")],
)
async def test_out_of_an_s3_store_the_browser_gets_the_file_itself_for_a_quarter_of_an_hour(
    kept_in_s3: str, client: httpx.AsyncClient, folder: str, content_type: str, disposition: str
) -> None:
    answer = await client.get(f"/{folder}/{kept_in_s3}/a.png")
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    assert "X-Amz-Expires=900" in answer.headers["location"]
    async with httpx.AsyncClient(trust_env=False) as browser:
        served = await browser.get(answer.headers["location"])
    assert served.content == PNG
    assert served.headers["content-type"] == content_type
    assert served.headers["content-disposition"].startswith(disposition)


@pytest.mark.s3
@pytest.mark.real
async def test_the_type_of_a_signed_address_cannot_be_changed(kept_in_s3: str, client: httpx.AsyncClient) -> None:
    location = (await client.get(f"/images/{kept_in_s3}/a.png")).headers["location"]
    named = f"response-content-type={quote('image/png', safe='')}"
    assert named in location
    async with httpx.AsyncClient(trust_env=False) as browser:
        as_page = await browser.get(location.replace(named, "response-content-type=text%2Fhtml"))
    assert as_page.status_code == 403


@pytest.mark.s3
async def test_where_browsers_cannot_reach_the_store_files_come_through_the_pages(
    kept_in_s3: str, client: httpx.AsyncClient
) -> None:
    context.configure(context.settings().model_copy(update={"ui_files": "through"}))
    answer = await client.get(f"/files/{kept_in_s3}/a.png")
    assert answer.status_code == 200
    assert answer.content == PNG


@pytest.mark.s3
async def test_what_the_s3_store_does_not_have_is_not_found(kept_in_s3: str, client: httpx.AsyncClient) -> None:
    assert kept_in_s3
    answer = await client.get(f"/files/{'0' * 64}/a.png")
    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize("name", ["png", "svg", "empty"])
async def test_no_file_is_ever_a_page_of_this_origin(
    kept: dict[str, str], client: httpx.AsyncClient, name: str
) -> None:
    answer = await client.get(f"/files/{kept[name]}/page.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_a_picture_is_shown_as_what_its_bytes_are(kept: dict[str, str], client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/images/{kept['png']}/x.jpg")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == PNG


@pytest.mark.parametrize("name", ["svg", "empty"])
async def test_what_is_no_picture_is_not_shown_as_one(
    kept: dict[str, str], client: httpx.AsyncClient, name: str
) -> None:
    assert (await client.get(f"/images/{kept[name]}/x.png")).status_code == 415


@pytest.mark.parametrize("digest", ["0" * 64, "..%2F..%2Fetc", "A" * 64, "abc"])
async def test_what_is_not_there_is_not_found(kept: dict[str, str], client: httpx.AsyncClient, digest: str) -> None:
    assert (await client.get(f"/files/{digest}/passwd")).status_code == 404


@pytest.mark.parametrize("name", ['a"; filename="b.exe', "a\r\nX-Evil: 1", "", "../../x"])
def test_a_name_cannot_write_into_the_headers(name: str) -> None:
    header = downloads.attachment(name)
    assert header.count('"') == 2
    assert "\r" not in header
    assert "\n" not in header
    assert "/" not in header.split("''")[0]


def _keep(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    open_store(context.settings().object_store_url).put_bytes(object_key(digest), content)
    return digest


WAV = b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(range(256)) * 8_000


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=10-99", 10, 99),
        ("bytes=60-70", 60, 70),
        ("bytes=64-", 64, len(WAV) - 1),
        ("bytes=1500000-1600000", 1_500_000, 1_600_000),
        ("bytes=-5", len(WAV) - 5, len(WAV) - 1),
        ("bytes=10-99999999", 10, len(WAV) - 1),
    ],
)
async def test_a_player_gets_the_stretch_that_it_asks_for(
    kept: dict[str, str], client: httpx.AsyncClient, asked: str, first: int, last: int
) -> None:
    assert kept
    answer = await client.get(f"/recordings/{_keep(WAV)}/a.wav", headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(WAV)}"
    assert answer.content == WAV[first : last + 1]


@pytest.mark.parametrize("asked", ["", "bytes=5-2", "bytes=-", "lines=1-2", "bytes=1-2,5-6", "bytes=99999999-"])
async def test_a_range_that_means_nothing_gets_the_whole_sound(
    kept: dict[str, str], client: httpx.AsyncClient, asked: str
) -> None:
    assert kept
    answer = await client.get(f"/recordings/{_keep(WAV)}/a.wav", headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == WAV


async def test_what_is_neither_sound_nor_video_is_not_played(kept: dict[str, str], client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/recordings/{kept['svg']}/a.mp4")).status_code == 415


async def test_html_comes_in_a_sandbox_that_may_load_nothing(kept: dict[str, str], client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/html/{kept['svg']}/page.html")
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "http" not in policy
