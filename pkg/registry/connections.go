// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// connections are those that a transport has open, so that they can be closed at
// once: of HTTP/2, net/http would keep for a while those on which a request was
// cancelled a moment ago.
type connections struct {
	mu     sync.Mutex
	open   map[*connection]struct{}
	closed bool
}

// connection is a net.Conn that leaves its set when it is closed.
type connection struct {
	net.Conn
	set *connections
}

// trackConnections makes t note its connections from now on.
func trackConnections(t *http.Transport) *connections {
	set := &connections{open: map[*connection]struct{}{}}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return set.add(c)
	}
	return set
}

func (set *connections) add(c net.Conn) (net.Conn, error) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.closed { // while this one was being made
		_ = c.Close()
		return nil, net.ErrClosed
	}
	tracked := &connection{c, set}
	set.open[tracked] = struct{}{}
	return tracked, nil
}

// Close closes the connection.
func (c *connection) Close() error {
	c.set.mu.Lock()
	delete(c.set.open, c)
	c.set.mu.Unlock()
	return c.Conn.Close()
}

// close closes all of them and those that are still to come.
func (set *connections) close() {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.closed = true
	for c := range set.open {
		_ = c.Conn.Close()
	}
	clear(set.open)
}
