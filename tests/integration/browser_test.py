"""Headless Chromium on the page of wsd, driven over its DevTools protocol."""

import asyncio
import contextlib
import itertools
import json
import os
import re
import subprocess
import urllib.request

import pytest
import websockets

from wsd import PATIENCE


class Tab:
    """One page. `complaints`: the browser's log entries, exceptions and issues, such as CSP violations."""

    def __init__(self, connection):
        self.connection = connection
        self.numbers = itertools.count(1)
        self.answers = {}
        self.complaints = []
        self.reader = asyncio.ensure_future(self.read())

    async def read(self):
        async for text in self.connection:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
            elif message["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Audits.issueAdded"):
                self.complaints.append(message["params"])

    async def call(self, method, **parameters):
        number = next(self.numbers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        answer = await asyncio.wait_for(self.answers.get(number), PATIENCE)
        assert "result" in answer, answer
        return answer["result"]

    async def evaluate(self, expression):
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def wait_for(self, expression):
        async def poll():
            while not await self.evaluate(expression):
                await asyncio.sleep(0.05)
        try:
            await asyncio.wait_for(poll(), PATIENCE)
        except asyncio.TimeoutError:
            raise AssertionError(f"not true: {expression}\n{await self.evaluate('document.body.innerText')}") from None

    async def open(self, url):
        for domain in ("Page", "Runtime", "Log", "Audits"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)
        await self.wait_for("document.readyState === 'complete' && document.getElementById('echo-connect') !== null")

    async def click(self, name):
        await self.wait_for(f"!document.getElementById('{name}').disabled")
        await self.evaluate(f"document.getElementById('{name}').click()")

    async def say(self, application, text):
        await self.evaluate(f"document.getElementById('{application}-input').value = {json.dumps(text)}")
        await self.click(f"{application}-send")

    async def hears(self, application, text):
        await self.wait_for(f"document.getElementById('{application}-log').textContent.includes({json.dumps(text)})")


class Browser:
    def __init__(self, profile):
        self.process = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-extensions",
             "--remote-debugging-port=0", "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=dict(os.environ, HOME=str(profile)))
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.match(r"DevTools listening on ws://(\S+?)/", line):
                self.host = found[1]
                break
        else:
            raise AssertionError("chromium did not start: " + "".join(said))

    @contextlib.asynccontextmanager
    async def tab(self, url):
        request = urllib.request.Request(f"http://{self.host}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            target = json.load(answer)["webSocketDebuggerUrl"]
        async with websockets.connect(target, max_size=None, compression=None) as connection:
            tab = Tab(connection)
            await tab.open(url)
            yield tab
            assert tab.complaints == []

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.process.stderr.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.end()


def run(session):
    asyncio.run(asyncio.wait_for(session, 3 * PATIENCE))


def test_the_page_shows_the_echo_and_the_close_code(wsd, chromium):
    server = wsd()

    async def session():
        async with chromium.tab(f"http://localhost:{server.port}/") as tab:
            await tab.click("echo-connect")
            await tab.say("echo", "hello from a page")
            await tab.hears("echo", "Echo: hello from a page")
            await tab.click("echo-connect")  # the button now closes
            await tab.hears("echo", "1000")
    run(session())
    server.logged(r"Received: hello from a page")


def test_two_tabs_receive_each_others_chat_messages(wsd, chromium):
    server = wsd()

    async def session():
        url = f"http://localhost:{server.port}/"
        async with chromium.tab(url) as one, chromium.tab(url) as other:
            for tab in (one, other):
                await tab.click("chat-connect")
                await tab.hears("chat", "Welcome to broadcast chat!")
            await one.say("chat", "is anybody there?")
            await other.hears("chat", "Broadcast: is anybody there?")
            await other.say("chat", "I am")
            await one.hears("chat", "Broadcast: I am")
    run(session())


def test_the_page_shows_the_code_of_the_servers_close(wsd, chromium):
    server = wsd("--max-message", "10")

    async def session():
        async with chromium.tab(f"http://localhost:{server.port}/") as tab:
            await tab.click("echo-connect")
            await tab.say("echo", "longer than ten bytes")
            await tab.hears("echo", "1009")
    run(session())


@pytest.mark.parametrize("options, parameters", [([], ""), (["--deflate-no-takeover"], "; server_no_context_takeover"
                                                                                    "; client_no_context_takeover")])
def test_chromium_and_wsd_negotiate_deflate_and_compress_messages(wsd, chromium, options, parameters):
    """Sends the same line three times, so that the compressor uses a kept window; the wire log shows RSV1."""
    server = wsd("--deflate", "--wire-log", *options)
    line = "what is said here is said again, and then said again, as such things are; 你好"

    async def session():
        async with chromium.tab(f"http://localhost:{server.port}/") as tab:
            await tab.evaluate(f"""{{
                window.heard = [];
                window.socket = new WebSocket('ws://localhost:{server.port}/echo/raw');
                socket.onmessage = (event) => heard.push(event.data);
                socket.onopen = () => [1, 2, 3].forEach(() => socket.send({json.dumps(line)}));
            }}""")
            await tab.wait_for("heard.length === 3")
            assert await tab.evaluate("socket.extensions") == "permessage-deflate" + parameters
            assert json.loads(await tab.evaluate("JSON.stringify(heard)")) == [line] * 3
            await tab.evaluate("socket.close(1000)")
            await tab.wait_for("socket.readyState === WebSocket.CLOSED")
    run(session())
    server.logged(r".* → 127\.0\.0\.1:\d+ .*\[MASKED\] Fin=1 Reserved=0x4 Opcode=1 .*", count=3)
    server.logged(r".*127\.0\.0\.1:\d+ → .* \[FIN\] Fin=1 Reserved=0x4 Opcode=1 .*", count=3)


def test_content_security_policy_of_the_page_blocks_inline_scripts(wsd, chromium):
    """This also shows that the other tests would detect a complaint."""
    server = wsd()

    async def session():
        async with chromium.tab(f"http://localhost:{server.port}/") as tab:
            await tab.evaluate("""{
                const script = document.createElement('script');
                script.textContent = 'document.title = "taken over"';
                document.body.append(script);
            }""")
            assert await tab.evaluate("document.title") == "Frame by Frame"
            await tab.wait_for("true")
            assert "Content Security Policy" in json.dumps(tab.complaints)
            tab.complaints.clear()
    run(session())
