"""Players in a browser: what is heard at the loudspeaker, by mouse and by keyboard alone."""

from pathlib import Path

import pytest
import torch

from sepkit.learn.players import players

pytestmark = pytest.mark.slow
RATE = 44100


def tone(frequency, level=0.4, seconds=20.0):
    time = torch.arange(int(seconds * RATE)) / RATE
    return level * torch.sin(2 * torch.pi * frequency * time)[None]


VERSIONS = {"low": tone(500), "middle": tone(2000), "high": tone(6000)}


@pytest.fixture
def show(page, tmp_path):
    """Open a page with players; returns a locator of each."""
    page.add_init_script(path=Path(__file__).with_name("listening.js"))

    def show(*rows):
        text = "".join(row._repr_html_() for row in rows)
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Players</title>'
        path = tmp_path / "players.html"
        path.write_text(f"{head}<body><main><h1>Players</h1>{text}</main>", encoding="utf-8")
        page.goto(path.as_uri())
        return [page.locator(".sepkit-players").nth(index) for index in range(len(rows))]

    return show


def position(player):
    return float(player.get_attribute("data-position") or 0)


def hears(page, frequency=None, peak=None):
    """Wait until that frequency (Hz) is the loudest, and since then `peak` was reached.

    Without a frequency: until nothing is heard. On a busy machine a change takes its time.
    """
    if frequency is None:
        page.wait_for_function("heard.power < 1e-8")
        return
    wanted = "f => heard.power > 1e-4 && Math.abs(heard.frequency - f) < 40"
    page.wait_for_function(wanted, arg=frequency)
    if peak is not None:
        page.wait_for_timeout(100)  # levels move within 10 ms
        page.evaluate("forget()")
        page.wait_for_function("heard.peak > 0")
        page.wait_for_timeout(200)
        assert page.evaluate("heard.peak") == pytest.approx(peak, rel=0.12)


def test_by_keyboard_alone_one_version_is_heard_at_a_time(page, show):
    (player,) = show(players(VERSIONS, RATE, match=False, title="Three tones"))
    state = player.locator("[role=status]")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    player.locator("[aria-label=pause]").wait_for()
    hears(page, 500, peak=0.4)
    assert position(player) > 0 and state.text_content() == "playing: low"
    page.keyboard.press("3")  # a row's number, from anywhere in the player
    hears(page, 6000, peak=0.4)
    page.keyboard.press("3")  # again: it stays the only one
    hears(page, 6000, peak=0.4)
    player.locator("input[type=radio]").first.focus()
    page.keyboard.press("ArrowDown")
    hears(page, 2000, peak=0.4)
    assert state.text_content() == "playing: middle"
    player.locator(".play").focus()
    page.keyboard.press("Space")
    hears(page)
    assert state.text_content() == "paused: middle"
    stopped = position(player)
    page.wait_for_timeout(200)
    assert position(player) == stopped


def test_mute_and_solo_act_together(page, show):
    stems = {"vocals": tone(500, 0.2), "drums": tone(2000, 0.3)}
    (player,) = show(players(stems, RATE, together=True))
    solo, mute = (player.get_by_role("button", name=f"{what} drums") for what in ("solo", "mute"))
    player.locator(".play").click()
    hears(page, 2000, peak=0.5)  # both
    solo.click()
    hears(page, 2000, peak=0.3)
    mute.click()
    assert mute.get_attribute("aria-pressed") == "true"
    hears(page)  # muted, also while it is solo
    solo.click()
    hears(page, 500, peak=0.2)
    gain = player.get_by_role("slider", name="gain of vocals in dB")
    gain.focus()
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    hears(page, 500, peak=0.1)
    assert gain.get_attribute("aria-valuetext") == "-6 dB"


def test_no_mix_of_stems_is_beyond_full_scale(page, show):
    half = tone(500, 0.8)  # they sum to silence, two of them to 1.6
    (player,) = show(players({"a": half, "b": half, "c": -half, "d": -half}, RATE, together=True))
    player.locator(".play").click()
    player.locator("[aria-label=pause]").wait_for()
    hears(page)
    for name in "cd":
        player.get_by_role("button", name=f"mute {name}").click()
    page.wait_for_function("heard.peak > 0.9")
    page.wait_for_timeout(500)
    assert page.evaluate("heard.peak") < 1.0


def test_a_loop_goes_on_and_without_it_the_end_is_the_end(page, show):
    (player,) = show(players({"short": tone(500, seconds=0.6)}, RATE))
    player.locator(".loop").click()
    player.locator(".play").click()
    hears(page, 500)
    page.wait_for_timeout(1500)
    hears(page, 500)
    assert 0 <= position(player) <= 0.7
    player.locator(".loop").click()
    player.locator("[aria-label=play]").wait_for()
    hears(page)


def test_seeking_moves_sound_and_playhead_and_a_second_player_silences_the_first(page, show):
    steps = torch.cat([tone(500, seconds=4), tone(3000, seconds=16)], -1)
    one, two = show(players({"steps": steps}, RATE), players({"other": tone(8000)}, RATE))
    one.locator(".play").click()
    hears(page, 500)
    width = one.locator(".picture").bounding_box()["width"]
    one.locator(".picture").click(position={"x": 0.3 * width, "y": 10})
    hears(page, 3000)
    left, now = one.evaluate(
        "box => [parseFloat(box.querySelector('.head').style.left), Number(box.dataset.position)]"
    )
    assert 6 <= now < 20 and left == pytest.approx(100 * now / 20, abs=0.1)
    two.locator(".play").click()
    hears(page, 8000)
    assert one.locator("[role=status]").text_content() == "paused: steps"
    image = two.locator(".picture img")
    assert not image.is_visible()
    two.locator(".view").click()
    assert image.is_visible() and two.locator(".view").get_attribute("aria-pressed") == "true"


def test_without_scripts_every_row_is_a_player_of_the_browser(browser, show, tmp_path):
    show(players(VERSIONS, RATE, title="Three tones"))
    page = browser.new_page(java_script_enabled=False)
    page.goto((tmp_path / "players.html").as_uri())
    assert page.locator("audio").count() == 3
    assert all(box.is_visible() for box in page.locator("audio").all())
    assert page.locator("button").all() == [] or not page.locator("button").first.is_visible()
    page.close()


def test_a_telephone_shows_all_of_it_and_axe_finds_nothing_serious(page, show):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here")
    long = {f"{name}, a label of several words": sound for name, sound in VERSIONS.items()}
    show(
        players(VERSIONS, RATE, title="Three tones", listen="the highest one."),
        players(long, RATE, together=True, title="Three at once"),
    )
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found = axe.Axe().run(page).response["violations"]
    assert [one for one in found if one["impact"] in ("serious", "critical")] == []
