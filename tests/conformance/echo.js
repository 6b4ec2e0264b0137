// An echo server with npm's `ws` and permessage-deflate. The argument is its options in JSON.
//
//      node echo.js '{"maxFragments": 0}'          prints "listening on 127.0.0.1:PORT"
'use strict';
const path = require('path');
const WebSocket = require(path.join(__dirname, '../integration/node_modules/ws'));

const options = {host: '127.0.0.1', port: 0, perMessageDeflate: true, ...JSON.parse(process.argv[2] || '{}')};
const server = new WebSocket.Server(options, () => console.log(`listening on 127.0.0.1:${server.address().port}`));
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, {binary: isBinary}));
  socket.on('error', () => {});  // the peer broke a rule: ws has failed the connection
});
