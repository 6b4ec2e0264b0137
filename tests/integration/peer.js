// The `ws` client, driven by a test: it reads commands and prints events, both as JSON lines.
//
//      node peer.js URL OPTIONS [SUBPROTOCOL...]
//
//      in     {"text": "hi"}  {"binary": "aGk="}  {"fragments": ["h", "i"]}  {"ping": "x"}  {"size": 1048576}
//             {"close": [1000, "bye"]}  {"close": []}  {"terminate": true}
//      out    {"open": {...}}  {"text": "hi"}  {"binary": "aGk="}  {"sha256": ..., "size": ...}  {"ping": "x"}
//             {"pong": "x"}  {"close": [1000, "bye"]}  {"refused": {...}}  {"error": "..."}
'use strict';
const {createHash} = require('crypto');
const readline = require('readline');
const WebSocket = require('ws');

const [url, options, ...subprotocols] = process.argv.slice(2);
const socket = new WebSocket(url, subprotocols, JSON.parse(options));
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n');

socket.on('open', () => say({open: {subprotocol: socket.protocol, extensions: socket.extensions}}));
socket.on('message', (data, isBinary) => {
  if (data.length > 65536) {
    say({sha256: createHash('sha256').update(data).digest('hex'), size: data.length, isBinary});
  } else {
    say(isBinary ? {binary: data.toString('base64')} : {text: data.toString()});
  }
});
socket.on('ping', (data) => say({ping: data.toString()}));
socket.on('pong', (data) => say({pong: data.toString()}));
socket.on('close', (code, reason) => say({close: [code, reason.toString()]}));
socket.on('error', (error) => say({error: error.message}));
socket.on('unexpected-response', (request, response) => {
  say({refused: {status: response.statusCode, fields: response.headers}});
  request.destroy();
});

readline.createInterface({input: process.stdin}).on('line', (line) => {
  const command = JSON.parse(line);
  if ('text' in command) socket.send(command.text);
  if ('binary' in command) socket.send(Buffer.from(command.binary, 'base64'));
  if ('size' in command) socket.send(Buffer.alloc(command.size, 'frame by frame '));
  if ('ping' in command) socket.ping(command.ping);
  if ('close' in command) socket.close(...command.close);
  if ('terminate' in command) socket.terminate();
  if ('fragments' in command) {
    const last = command.fragments.length - 1;
    command.fragments.forEach((part, index) => socket.send(part, {fin: index === last}));
  }
}).on('close', () => socket.terminate());
