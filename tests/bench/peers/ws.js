// ws for Node: node ws.js PORT. ws unmasks by bufferutil if that is installed.
'use strict';

const { WebSocketServer } = require('ws');

const members = new Set();
const server = new WebSocketServer({
  host: '127.0.0.1', port: Number(process.argv.at(-1)), backlog: 4096, perMessageDeflate: false, clientTracking: false,
  maxPayload: 16 * 1024 * 1024,
});
server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url !== '/chat') {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    return;
  }
  members.add(socket);
  socket.on('close', () => members.delete(socket));
  socket.on('message', (data, isBinary) => {
    for (const member of members) {
      if (member !== socket) member.send(data, { binary: isBinary });
    }
  });
});
