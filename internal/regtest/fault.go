// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package regtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"
)

// Fault is what goes wrong with a request. The zero value is nothing.
type Fault struct {
	// Status, when not 0, is the answer, with Header and Body.
	Status int
	Header http.Header
	Body   string

	// Drop closes the connection instead of answering, and Reset does so with
	// a TCP reset. What else the connection carries, over HTTP/2, breaks too.
	Drop, Reset bool

	// HeadersCut sends so many bytes of an answer's headers, but never all and
	// not over TLS, and closes the connection.
	HeadersCut int

	// Cut breaks the body after so many bytes (over HTTP/2 by a reset of its
	// stream), and Stall sends nothing more until the client goes away.
	Cut, Stall bool
	After      int64

	// Pause is slept after each byte of the body.
	Pause time.Duration

	// Change, when not nil, makes the body of another one.
	Change func([]byte) []byte

	// Chunked leaves the length of the body out.
	Chunked bool

	// Length, when not 0, is announced as the body's.
	Length int

	// NoRange ignores a Range header, and Shift sends what comes so many bytes
	// after the range that was asked for, and says so.
	NoRange bool
	Shift   int64
}

// connection is the key of a request's net.Conn in its context.
type connection struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connection{}, c)
}

// breakEarly ends a connection that shall not see a whole header.
func (f Fault) breakEarly(req *http.Request) {
	if !f.Drop && !f.Reset && f.HeadersCut == 0 {
		return
	}
	conn, ok := req.Context().Value(connection{}).(net.Conn)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	} else if f.HeadersCut > 0 {
		const headers = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000\r\n"
		_, _ = io.WriteString(conn, headers[:min(f.HeadersCut, len(headers))])
	}
	if c, ok := conn.(*net.TCPConn); ok && f.Reset {
		_ = c.SetLinger(0)
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}

// send answers a request from the store.
func (s *Server) send(w http.ResponseWriter, req *http.Request, fault Fault) {
	plain := req.Clone(req.Context())
	plain.Header.Del("Range")
	stored := httptest.NewRecorder()
	s.store.ServeHTTP(stored, plain)
	maps.Copy(w.Header(), stored.Header())
	maps.Copy(w.Header(), fault.Header)
	body := stored.Body.Bytes()
	if fault.Change != nil {
		body = fault.Change(body)
	}
	w.Header().Del("Content-Length")
	out := s.faulty(w, req, fault)
	switch {
	case stored.Code != http.StatusOK:
		w.WriteHeader(stored.Code)
		_, _ = out.Write(body)
	case fault.Shift > 0 && req.Header.Get("Range") != "":
		s.sendShifted(out, req.Header.Get("Range"), body)
	case s.config.NoRange || fault.NoRange || fault.Chunked || fault.Length != 0 || !isBlob(req):
		if !fault.Chunked {
			w.Header().Set("Content-Length", strconv.Itoa(cmp.Or(fault.Length, len(body))))
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		_, _ = out.Write(body)
	default:
		http.ServeContent(out, req, "", time.Time{}, bytes.NewReader(body))
	}
}

// sendShifted answers "bytes=N-" with another range, further on.
func (s *Server) sendShifted(out *faultyWriter, asked string, body []byte) {
	var first int64
	if _, err := fmt.Sscanf(asked, "bytes=%d-", &first); err != nil {
		panic(http.ErrAbortHandler)
	}
	first = min(first+out.fault.Shift, int64(len(body))-1)
	out.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(body)-1, len(body)))
	out.WriteHeader(http.StatusPartialContent)
	_, _ = out.Write(body[first:])
}

// faultyWriter counts the bytes of a body, but not of a fault's own, and breaks off
// where it shall.
type faultyWriter struct {
	http.ResponseWriter
	s     *Server
	req   *http.Request
	fault Fault
	left  int64
}

func (s *Server) faulty(w http.ResponseWriter, req *http.Request, fault Fault) *faultyWriter {
	return &faultyWriter{ResponseWriter: w, s: s, req: req, fault: fault, left: fault.After}
}

func (w *faultyWriter) Write(p []byte) (int, error) {
	breaks := w.fault.Cut || w.fault.Stall
	if breaks && int64(len(p)) > w.left {
		p = p[:w.left]
	}
	n, err := w.pass(p)
	w.left -= int64(n)
	if !breaks || w.left > 0 || err != nil {
		return n, err
	}
	w.ResponseWriter.(http.Flusher).Flush()
	if w.fault.Stall {
		select {
		case <-w.req.Context().Done():
		case <-w.s.ended:
		}
	}
	panic(http.ErrAbortHandler)
}

// pass sends bytes and counts them, before the client can know of them.
func (w *faultyWriter) pass(p []byte) (int, error) {
	if w.fault.Pause == 0 {
		w.count(len(p))
		n, err := w.ResponseWriter.Write(p)
		w.count(n - len(p))
		return n, err
	}
	for i := range p {
		w.count(1)
		if _, err := w.ResponseWriter.Write(p[i : i+1]); err != nil {
			w.count(-1)
			return i, err
		}
		w.ResponseWriter.(http.Flusher).Flush()
		select {
		case <-time.After(w.fault.Pause):
		case <-w.req.Context().Done():
			panic(http.ErrAbortHandler)
		case <-w.s.ended:
			panic(http.ErrAbortHandler)
		}
	}
	return len(p), nil
}

func (w *faultyWriter) count(n int) {
	if w.fault.Status == 0 {
		w.s.count(w.req, n)
	}
}
