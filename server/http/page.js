'use strict';
for (const section of document.querySelectorAll('section')) {
  const part = name => document.getElementById(section.id + '-' + name);
  const [connect, log, form, input, send] = ['connect', 'log', 'form', 'input', 'send'].map(part);
  let socket = null;

  // textContent: shows received text as text and never parses it as HTML.
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
