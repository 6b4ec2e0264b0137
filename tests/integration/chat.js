// Many `ws` clients in one room; each checks the messages that it receives.
//
//      node chat.js URL CLIENTS MESSAGES SIZE WINDOW
//
// Each client sends MESSAGES numbered messages of SIZE bytes, at most WINDOW ahead of the slowest of the others. So no
// client has more than 2 * WINDOW * CLIENTS * SIZE unread bytes, even if this process reads slowly. When all messages
// have arrived, each client sends a ping: a duplicate message would arrive before the pong. At the end it prints
// {"heard": ..., "faults": [...]}.
'use strict';
const WebSocket = require('ws');

const [url, ...numbers] = process.argv.slice(2);
const [clients, messages, size, window] = numbers.map(Number);
const faults = [];
let welcomed = 0;
let complete = 0;
let heard = 0;
let closed = 0;

class Client {
  constructor(number) {
    this.number = number;
    this.said = 0;
    this.heard = 0;
    this.next = new Array(clients).fill(0);  // number of the next message, by speaker
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => this.hear(data.toString()));
    this.socket.on('pong', () => this.socket.close(1000));
    this.socket.on('error', (error) => this.fault(error.message));
    this.socket.on('close', (code) => {
      if (code !== 1000) this.fault(`closed with ${code}`);
      if (++closed === clients || code !== 1000) end();
    });
  }

  fault(what) { faults.push(`client ${this.number}: ${what}`); }

  hear(text) {
    if (text === 'Welcome to broadcast chat!') {
      if (++welcomed === clients) room.forEach((client) => client.speak());
      return;
    }
    const found = /^Broadcast: (\d+) (\d+) \.*$/.exec(text);
    if (!found) return this.fault(`heard ${text}`);
    const [speaker, number] = [Number(found[1]), Number(found[2])];
    if (speaker === this.number) this.fault(`heard itself: ${number}`);
    if (number !== this.next[speaker]) this.fault(`heard ${number} of ${speaker}, not ${this.next[speaker]}`);
    if (text.length !== 'Broadcast: '.length + size) this.fault(`heard a text of ${text.length}`);
    this.next[speaker] = number + 1;
    ++heard;
    ++this.heard;
    this.speak();
    if (this.heard === (clients - 1) * messages && ++complete === clients) {
      room.forEach((client) => client.socket.ping());
    }
  }

  speak() {
    const slowest = this.next.reduce((least, next, speaker) => speaker === this.number ? least : Math.min(least, next),
                                     messages);
    while (this.said < messages && this.said < slowest + window) {
      this.socket.send(`${this.number} ${this.said++} `.padEnd(size, '.'));
    }
  }
}

function end() {
  console.log(JSON.stringify({heard, faults: faults.slice(0, 10)}));
  process.exit();
}

const room = Array.from({length: clients}, (_, number) => new Client(number));
