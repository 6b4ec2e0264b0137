// Bun, whose WebSocket is uWebSockets: bun bun.js PORT. The chat is a topic: it is Bun that fans out.
Bun.serve({
  development: false,
  hostname: '127.0.0.1',
  port: Number(process.argv.at(-1)),
  fetch(request, server) {
    const isChat = new URL(request.url).pathname === '/chat';
    return server.upgrade(request, { data: isChat }) ? undefined : new Response('no upgrade', { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    sendPings: false,
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 1024 * 1024 * 1024,
    open(socket) {
      if (socket.data) socket.subscribe('chat');
    },
    message(socket, message) {
      if (!socket.data) socket.send(message);
      else if (typeof message === 'string') socket.publishText('chat', message);
      else socket.publishBinary('chat', message);
    },
  },
});
