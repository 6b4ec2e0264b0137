#include "server/page.h"

namespace ws {
namespace {

constexpr std::string_view kPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Frame by Frame</title>
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
main { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
form { display: flex; gap: .5rem; }
input { flex: 1; font: inherit; min-width: 0; padding: .25rem .5rem; }
button { font: inherit; padding: .25rem .75rem; }
ol { border: 1px solid #8888; border-radius: .25rem; font: .875rem/1.6 ui-monospace, monospace;
  height: 18rem; list-style: none; margin: .75rem 0; overflow-wrap: anywhere; overflow-y: auto; padding: .5rem; }
li { white-space: pre-wrap; }
li.note { opacity: .65; }
</style>
</head>
<body>
<h1>Frame by Frame</h1>
<p>Each line below is one WebSocket message: &rarr; sent, &larr; received. Open this page in two tabs to chat, and
Wireshark beside them to see the frames.</p>
<main>
<section id="echo" data-path="/echo" aria-labelledby="echo-title">
<h2 id="echo-title">/echo</h2>
<button id="echo-connect" type="button">Connect</button>
<ol id="echo-log" role="log" aria-label="Messages of /echo" tabindex="0"></ol>
<form id="echo-form"><input id="echo-input" aria-label="Message to /echo" autocomplete="off" disabled>
<button id="echo-send" disabled>Send</button></form>
</section>
<section id="chat" data-path="/chat" aria-labelledby="chat-title">
<h2 id="chat-title">/chat</h2>
<button id="chat-connect" type="button">Connect</button>
<ol id="chat-log" role="log" aria-label="Messages of /chat" tabindex="0"></ol>
<form id="chat-form"><input id="chat-input" aria-label="Message to /chat" autocomplete="off" disabled>
<button id="chat-send" disabled>Send</button></form>
</section>
</main>
<script>
'use strict';
for (const section of document.querySelectorAll('section')) {
  const part = name => document.getElementById(section.id + '-' + name);
  const [connect, log, form, input, send] = ['connect', 'log', 'form', 'input', 'send'].map(part);
  let socket = null;

  // textContent: what comes is shown, never run.
  const show = (text, kind) => {
    const line = document.createElement('li');
    line.textContent = new Date().toLocaleTimeString() + ' ' + text;
    line.className = kind;
    log.append(line);
    while (log.childElementCount > 1000) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const update = () => {
    const isOpen = socket !== null && socket.readyState === WebSocket.OPEN;
    connect.textContent = socket === null ? 'Connect' : 'Disconnect';
    input.disabled = send.disabled = !isOpen;
  };

  connect.onclick = () => {
    if (socket !== null) {
      socket.close(1000, 'bye');
      return;
    }
    const url = location.origin.replace(/^http/, 'ws') + section.dataset.path;
    show('connecting to ' + url, 'note');
    socket = new WebSocket(url);
    socket.onopen = () => { show('open', 'note'); update(); input.focus(); };
    socket.onmessage = event => show('\u2190 ' + event.data, 'received');
    socket.onclose = event => {
      show('closed: ' + event.code + (event.reason ? ' ' + event.reason : ''), 'note');
      socket = null;
      update();
    };
    update();
  };
  form.onsubmit = event => {
    event.preventDefault();
    socket.send(input.value);
    show('\u2192 ' + input.value, 'sent');
    input.value = '';
  };
}
</script>
</body>
</html>
)html";

}  // namespace

std::string_view page() {
  return kPage;
}

std::string_view page_content_security_policy() {
  return "default-src 'none'; connect-src 'self'; img-src data:; "
         "style-src 'sha256-Lqd1z3RN6Y0p910bGLGXjyOVfkBl5yfyYwVE5zvxbCg='; "
         "script-src 'sha256-4gj+QfSYdy48Q1rCiPzfp399FimMi26gFX+iQ8f2IyQ='; "
         "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
}

}  // namespace ws
