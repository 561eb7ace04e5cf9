"""Chapters in JupyterLab, as `make lab` starts it: by mouse, by keyboard, stopped and restarted."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import nbformat
import pytest

from sepkit.files import repo_root
from sepkit.learn import lab
from sepkit.reproduce.notebook import find_chapters

pytestmark = pytest.mark.slow
NAMES = [chapter.name for chapter in find_chapters()]
#: The prompt of a cell that has been sent to the kernel.
BEGUN = re.compile(r"\[(\d+|\*)\]")
#: A notebook with one of each thing that a reader handles in a chapter.
WORKSHOP = (
    "import time\nimport torch\nfrom sepkit.learn import plots\n"
    "from sepkit.learn.ch01.exercises import check\n"
    "from sepkit.learn.players import players\n"
    "from sepkit.learn.sliders import sliders\n"
    "from sepkit.learn.stopping import stoppable\n"
    "tone = 0.3 * torch.sin(torch.arange(88200) / 8)[None]",
    "players({'loud': tone, 'soft': 0.5 * tone}, 44100, title='Two tones')",
    "def draw(cycles):\n    fig, ax = plots.figure()\n"
    "    ax.plot(torch.sin(cycles * torch.arange(100) / 16))\n"
    "    return fig\n\n\npanel = sliders(draw, cycles=(1, 9, 1, 3))\npanel",
    "heard = ...\ncheck.ex_01_1(heard)",
    "for step in stoppable(range(10_000)):\n    time.sleep(0.02)\n"
    "print('went on after', step < 9_999)",
    "print(panel.values)",
)
FOLDED = "## Workshop\n\n<details><summary>Solution</summary>\n\nFold back.\n\n</details>"


@pytest.fixture(scope="module")
def server(tmp_path_factory, browser):
    """Address and folder of a JupyterLab on copies of the notebooks."""
    root = tmp_path_factory.mktemp("lab")
    folder, settings = root / "lab", root / "settings" / "@jupyterlab" / "notebook-extension"
    lab.lay_out(repo_root() / "notebooks", folder)
    lab.write_kernel(folder / ".jupyter")
    lab.write_settings(folder / ".jupyter")
    cells = [nbformat.v4.new_code_cell(source) for source in WORKSHOP]
    cells.insert(0, nbformat.v4.new_markdown_cell(FOLDED))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    workshop = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(workshop, folder / "workshop.ipynb")
    settings.mkdir(parents=True)  # all cells are in the page, not only those in sight
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--ip=127.0.0.1", "--IdentityProvider.token="]
    options.append("--ServerApp.disable_check_xsrf=True")  # to end sessions from here
    arguments, environment = lab.command(folder, options)
    places = {f"JUPYTER_{kind}_DIR": str(root / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    own = {"JUPYTERLAB_SETTINGS_DIR": str(root / "settings"), "SEPKIT_PROFILE": "smoke"}
    paths = os.pathsep.join(filter(None, [str(repo_root()), os.environ.get("PYTHONPATH")]))
    environment |= {**places, **own, "SEPKIT_OUT": str(root / "out"), "PYTHONPATH": paths}
    with open(root / "log", "w") as log:
        process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, cwd=root)
    try:
        yield _answering(f"http://127.0.0.1:{port}", process, root / "log"), folder
    finally:
        process.terminate()
        process.wait(30)


def _answering(address, process, log, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=5)
            return address
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab does not answer: {log.read_text()[-2000:]}")


class Notebook:
    """A notebook that is open in the page."""

    def __init__(self, page, address, name):
        self.page, self.name = page, name
        page.set_default_timeout(180_000)  # a busy machine takes its time to import torch
        page.goto(f"{address}/lab/tree/{name}?reset")
        self.cells = page.locator(".jp-Notebook .jp-Cell")
        self.cells.first.wait_for()
        self._connected(address)
        self.wait()

    def _connected(self, address, seconds=120):
        """Until the page talks to its kernel: before, JupyterLab asks for one, or runs nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for session in json.load(urllib.request.urlopen(f"{address}/api/sessions")):
                kernel = session["kernel"] or {}
                if kernel.get("connections") and kernel["execution_state"] == "idle":
                    self.page.wait_for_timeout(1000)
                    return
            self.page.wait_for_timeout(200)
        pytest.fail(f"{self.name} has no kernel after {seconds} s")

    def wait(self, seconds=180):
        """Until the kernel has nothing to do."""
        idle = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
        self.page.locator(idle).wait_for(timeout=1000 * seconds)

    def menu(self, title, command):
        self.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{title}$")).click()
        self.page.locator(f'.lm-Menu-item[data-command="{command}"]').click()

    def run(self, number, wait=180):
        """Run the code cell with that number, from 0; its outputs' text."""
        cell = self.code(number)

        def press():
            cell.locator(".cm-content").click()
            self.page.keyboard.press("Shift+Enter")

        until_begun(press, cell.locator(".jp-InputPrompt", has_text=BEGUN))
        if wait:
            cell.locator(".jp-InputPrompt", has_text=re.compile(r"\[\d+\]")).wait_for(
                timeout=1000 * wait
            )
            self.wait(wait)
        return self.text(number)

    def code(self, number):
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(number)

    def text(self, number):
        return self.code(number).locator(".jp-Cell-outputArea").inner_text()

    def write(self, number, source):
        """Replace a cell's code, by the keyboard."""
        self.code(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)

    def restart(self):
        self.menu("Kernel", "kernelmenu:restart")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.locator(".jp-Dialog").wait_for(state="detached")
        self.wait()


@pytest.fixture
def open_notebook(page, server):
    address, folder = server

    def opened(name):
        source = repo_root() / "notebooks" / name
        if source.is_file():  # what another test has saved asks for the sliders of its kernel
            shutil.copyfile(source, folder / name)
        return Notebook(page, address, name)

    yield opened
    page.goto("about:blank")  # before the kernels go, of whose end the page would tell
    sessions = json.load(urllib.request.urlopen(f"{address}/api/sessions"))
    for session in sessions:
        place = f"{address}/api/sessions/{session['id']}"
        urllib.request.urlopen(urllib.request.Request(place, method="DELETE"))


def until_begun(ask, prompt):
    """Ask for cells to be run; what is asked of a kernel that is being connected gets lost."""
    from playwright.sync_api import TimeoutError

    for _ in range(10):
        ask()
        with contextlib.suppress(TimeoutError):
            return prompt.wait_for(timeout=5000)
    pytest.fail("no cell was run")


def run_all(notebook, folder, seconds):
    """Run all cells by the menu; see `finished`."""
    notebook.menu("Edit", "editmenu:clear-all")  # the stored outputs and numbers
    prompts = notebook.page.locator(".jp-Notebook .jp-InputPrompt", has_text=BEGUN)
    until_begun(lambda: notebook.menu("Run", "runmenu:run-all"), prompts.first)
    return finished(notebook, folder, seconds)


def finished(notebook, folder, seconds):
    """Wait for all cells that were asked for, save, and return what was saved: without an error."""
    waiting = "() => ![...document.querySelectorAll('.jp-InputPrompt')]"
    notebook.page.wait_for_function(
        waiting + ".some(p => p.textContent.includes('*'))", timeout=1000 * seconds
    )
    notebook.wait(seconds)
    notebook.page.keyboard.press("Control+s")
    notebook.page.wait_for_timeout(1000)
    saved = nbformat.read(folder / f"{notebook.name}", as_version=4)
    code = [cell for cell in saved.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert all(cell.execution_count for cell in code)
    return saved


def players_play(notebook):
    """Press play in every player; its time advances."""
    players = notebook.page.locator(".sepkit-players.live")
    count = players.count()
    for number in range(count):
        player = players.nth(number)
        player.locator("[aria-label=play]").click()
        player.locator("[aria-label=pause]").wait_for()
        notebook.page.wait_for_function(
            "n => document.querySelectorAll('.sepkit-players.live')[n].dataset.position > 0.05",
            arg=number,
        )
        player.locator("[aria-label=pause]").click()
    return count


def test_the_first_page_separates_a_song_and_plays_it(open_notebook, server):
    notebook = open_notebook("00_start.ipynb")
    saved = run_all(notebook, server[1], 180)
    assert notebook.page.get_by_text("Jupyter news").count() == 0  # nobody is asked about them
    assert "composed and rendered on this machine" in str(saved)
    assert players_play(notebook) == 1


def test_keys_that_a_player_uses_do_nothing_to_its_cell(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    notebook.run(0), notebook.run(1)
    count, page = notebook.cells.count(), notebook.page
    player = page.locator(".sepkit-players.live")
    controls = player.locator("button, input")
    for number in range(controls.count()):
        if controls.nth(number).is_visible():
            controls.nth(number).focus()
            for key in ("d", "d", "m", "x", "ArrowDown", "ArrowUp"):
                page.keyboard.press(key)
    assert notebook.cells.count() == count
    assert notebook.code(1).locator(".sepkit-players").count() == 1
    slider = player.locator(".gain input").first
    slider.focus()
    before = float(slider.input_value())
    page.keyboard.press("ArrowLeft")
    assert float(slider.input_value()) < before
    player.locator("[aria-label=play]").focus()
    page.keyboard.press("Space")
    player.locator("[aria-label=pause]").wait_for()


def test_a_slider_redraws_its_figure(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    notebook.run(0), notebook.run(2)
    picture = notebook.code(2).locator(".jp-OutputArea img, .widget-image").first
    before = picture.get_attribute("src")
    notebook.code(2).locator(".noUi-handle").focus()
    notebook.page.keyboard.press("ArrowRight")
    notebook.page.wait_for_function(
        "before => document.querySelector('.jp-OutputArea img.widget-image').src !== before",
        arg=before,
    )
    assert "{'cycles': 4}" in notebook.run(5)


def test_an_exercise_answers_what_is_missing_wrong_and_right(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    notebook.run(0)
    assert "not attempted" in notebook.run(3)
    notebook.write(3, "check.ex_01_1(lambda f, rate: f)")
    assert "above half the sample rate" in notebook.run(3)
    notebook.write(3, "check.ex_01_1(lambda f, rate: min(f % rate, rate - f % rate))")
    assert "Every frequency folds" in notebook.run(3)


def test_a_training_is_stopped_and_after_a_restart_the_error_says_which_cell_to_run(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    notebook.run(0)
    notebook.run(4, wait=0)
    notebook.page.wait_for_timeout(1000)
    notebook.menu("Kernel", "kernelmenu:interrupt")
    notebook.code(4).get_by_text("went on after True").wait_for()
    assert "Stopped: the chapter goes on" in notebook.text(4)
    notebook.restart()
    said = notebook.run(5).strip().splitlines()
    assert said[0].startswith("panel is made in code cell 3 (def draw(cycles):)")
    assert "Run All Above" in said[0] and any("NameError" in line for line in said)


class Keyboard:
    """A reader without a mouse, in a notebook that is open in the page."""

    FOCUS = "() => document.activeElement.closest('{}') !== null"

    def __init__(self, notebook):
        self.notebook, self.page = notebook, notebook.page

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def within(self, selector):
        """Whether what has the focus lies in such an element."""
        return self.page.evaluate(self.FOCUS.format(selector))

    def tab_into(self, selector, presses=60, key="Tab"):
        """Press Tab until something in such an element has the focus."""
        for _ in range(presses):
            if self.within(selector):
                return
            self.press(key)
        pytest.fail(f"no {selector} within {presses} presses of {key}")

    def select(self, place):
        """Select the cell with that place in the notebook, from 0, by arrow keys."""
        for _ in range(60):  # back to the cells: in a control, arrow keys belong to it
            if self.within(".jp-Notebook") and not self.within(".sepkit-players, .noUi-handle"):
                break
            self.press("Shift+Tab")
        self.press("Escape")
        for _ in range(3 * self.notebook.cells.count()):
            active = self.page.evaluate(
                "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')]"
                ".findIndex(cell => cell.classList.contains('jp-mod-active'))"
            )
            if active == place:
                return
            self.press("ArrowDown" if active < place else "ArrowUp")
        pytest.fail(f"cell {place} is not reached by arrow keys")

    def run(self, place):
        """Run that cell, and return when it has a number."""
        self.select(place)
        self.press("Control+Enter")
        prompt = self.notebook.cells.nth(place).locator(".jp-InputPrompt")
        prompt.filter(has_text=re.compile(r"\[\d+\]")).wait_for()
        self.notebook.wait()


def test_players_and_sliders_are_reached_used_and_left_by_keyboard_alone(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    keys, cells = Keyboard(notebook), notebook.cells
    count, loop = cells.count(), 5  # the training that is to be stopped is left out
    keys.tab_into(".jp-Notebook")
    for place in (k for k in range(1, count) if k != loop):
        keys.run(place)

    player = cells.nth(2).locator(".sepkit-players.live")
    keys.select(2)
    keys.tab_into(".sepkit-players")
    controls = 0
    while keys.within(".sepkit-players"):
        keys.press("d", "d", "m", "x", "ArrowDown", "ArrowUp", "Tab")
        controls += 1
        assert controls < 40, "no way out of the player"
    assert controls >= 3 and cells.count() == count and player.count() == 1
    keys.select(2)
    keys.tab_into("[aria-label=play]")
    keys.press("Space")
    player.locator("[aria-label=pause]").wait_for()
    keys.press("Space")

    keys.select(3)
    keys.tab_into(".noUi-handle")
    keys.press("d", "d", "m", "x", "ArrowRight", "Tab")
    assert not keys.within(".noUi-handle"), "no way out of the slider"
    assert cells.count() == count


def test_an_exercise_is_answered_and_its_solution_opened_by_keyboard_alone(open_notebook):
    notebook = open_notebook("workshop.ipynb")
    keys, exercise = Keyboard(notebook), 4
    keys.tab_into(".jp-Notebook")
    keys.run(1)
    for answer, said in (
        ("lambda f, rate: f", "above half the sample rate"),
        ("lambda f, rate: min(f % rate, rate - f % rate)", "Every frequency folds"),
    ):
        keys.select(exercise)
        keys.press("Enter", "Control+a")
        notebook.page.keyboard.type(f"check.ex_01_1({answer})")
        keys.run(exercise)
        notebook.cells.nth(exercise).get_by_text(said).wait_for()
    keys.select(0)
    keys.tab_into("summary")
    keys.press("Space")
    notebook.page.locator("details[open]").wait_for()
    keys.press("Space")
    notebook.page.locator("details:not([open])").wait_for()


def test_chapter_01_is_read_from_the_first_cell_to_the_last_by_one_key(open_notebook, server):
    notebook = open_notebook("01_stft.ipynb")
    keys, last = Keyboard(notebook), notebook.cells.count() - 1
    notebook.menu("Edit", "editmenu:clear-all")
    keys.tab_into(".jp-Notebook")
    keys.select(0)
    for _ in range(last):
        keys.press("Shift+Enter")
    keys.press("Control+Enter")
    saved = finished(notebook, server[1], 180)
    assert len(saved.cells) == last + 1
    assert players_play(notebook) > 0


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name == "01_stft" else pytest.mark.long) for name in NAMES],
)
def test_a_chapter_runs_and_plays(open_notebook, server, name):
    notebook = open_notebook(f"{name}.ipynb")
    run_all(notebook, server[1], 600)
    assert players_play(notebook) > 0
