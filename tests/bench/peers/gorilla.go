// gorilla/websocket: peer_gorilla PORT. Buffers of 4 KiB, as it has them by itself, those for writing from a pool: with
// 64 KiB an echo of 16 KiB costs a tenth less, and a connection half as much again. A message is read into a buffer of
// its connection, where ReadMessage would allocate, and grow, one for each.
// It leaves it to its user whether a text is UTF-8, and so its texts cost it no more than bytes do.
package main

import (
	"bytes"
	"net/http"
	"os"
	"sync"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{
	ReadBufferSize:  4 * 1024,
	WriteBufferSize: 4 * 1024,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

func echo(response http.ResponseWriter, request *http.Request) {
	connection, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	defer connection.Close()
	var message bytes.Buffer
	for {
		kind, reader, err := connection.NextReader()
		if err != nil {
			return
		}
		message.Reset()
		if _, err = message.ReadFrom(reader); err != nil || connection.WriteMessage(kind, message.Bytes()) != nil {
			return
		}
	}
}

// A member has a goroutine that writes, since a connection has one writer at a time.
type member struct {
	toWrite chan *websocket.PreparedMessage
}

var (
	lock    sync.Mutex
	members = map[*member]bool{}
)

func chat(response http.ResponseWriter, request *http.Request) {
	connection, err := upgrader.Upgrade(response, request, nil)
	if err != nil {
		return
	}
	self := &member{toWrite: make(chan *websocket.PreparedMessage, 1024)}
	lock.Lock()
	members[self] = true
	lock.Unlock()
	go func() {
		defer connection.Close()
		for message := range self.toWrite {
			if connection.WritePreparedMessage(message) != nil {
				return
			}
		}
	}()
	for {
		kind, text, err := connection.ReadMessage()
		if err != nil {
			break
		}
		message, err := websocket.NewPreparedMessage(kind, text)
		if err != nil {
			break
		}
		lock.Lock()
		for other := range members {
			if other != self {
				select {
				case other.toWrite <- message:
				default: // it is too slow, and goes
					delete(members, other)
					close(other.toWrite)
				}
			}
		}
		lock.Unlock()
	}
	lock.Lock()
	if members[self] {
		delete(members, self)
		close(self.toWrite)
	}
	lock.Unlock()
}

func main() {
	http.HandleFunc("/", echo)
	http.HandleFunc("/chat", chat)
	if http.ListenAndServe("127.0.0.1:"+os.Args[len(os.Args)-1], nil) != nil {
		os.Exit(1)
	}
}
