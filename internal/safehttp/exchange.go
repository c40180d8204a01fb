package safehttp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// An exchange runs on the goroutine of its caller: it writes the request, then
// reads the answer. net/http's Transport has two goroutines for every connection,
// and handing over to them and back is what most of its time goes to when the
// other side is near.

// errHeaderTooLarge ends the reading of a header.
var errHeaderTooLarge = &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("its header is larger than %d bytes", maxHeaderBytes)}

// longAgo as a deadline ends a read or write under way.
var longAgo = time.Unix(1, 0)

// send takes a connection, exchanges, and gives it back. A kept connection that
// turns out to be dead is replaced once where that cannot run a call twice.
func (c *Client) send(ctx context.Context, t *target, method string, header http.Header, body []byte) (*Response, error) {
	message, err := c.request(method, t, header, body)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(c.o.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	for fresh := false; ; fresh = true {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h, conn, err := c.pool.take(ctx, t, deadline, fresh)
		if err != nil {
			return nil, err
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(longAgo) })
		out, written, again, err := c.exchange(conn, method, message)
		if !stop() {
			again = false // its deadline may be changed any moment
		}
		if again {
			c.pool.give(h, conn)
			return out, nil
		}
		conn.Close() // which stops the sender, if there is more
		c.pool.give(h, nil)
		if err == nil {
			return out, nil
		}
		if !conn.reused || conn.heard || timedOut(err) || written && !repeatable(method, header) {
			return nil, err
		}
	}
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// repeatable reports whether a request may reach its receiver twice.
func repeatable(method string, header http.Header) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return header["Idempotency-Key"] != nil
}

// exchange writes one request and reads its answer. written says that the other
// side may have seen the request; again that the connection can carry another.
func (c *Client) exchange(conn *conn, method string, message []byte) (out *Response, written, again bool, err error) {
	conn.header, conn.heard = maxHeaderBytes, false
	n, broken := conn.Write(message)
	// Who refuses a large request may answer and stop reading it.
	resp, err := readHeader(conn.r, method)
	if err != nil {
		switch {
		case conn.header == 0:
			err = errHeaderTooLarge // the parser may have stumbled over the cut
		case broken != nil:
			err = broken
		}
		return nil, n > 0, false, err
	}
	conn.header = -1
	out = &Response{Status: resp.StatusCode, Header: resp.Header}
	if out.Body, err = c.read(resp); err != nil {
		return nil, true, false, err
	}
	again = broken == nil && !resp.Close && atEnd(resp.Body) && conn.r.Buffered() == 0
	return out, true, again, nil
}

// readHeader reads up to the header of the answer proper, past interim ones, all of
// which are within the bound of the header.
func readHeader(r *bufio.Reader, method string) (*http.Response, error) {
	request := &http.Request{Method: method}
	for {
		resp, err := http.ReadResponse(r, request)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// atEnd reports whether nothing is left of a body.
func atEnd(body io.Reader) bool {
	var one [1]byte
	n, err := body.Read(one[:])
	return n == 0 && err == io.EOF
}

// request prints a request as it is sent, so that it leaves in one write.
func (c *Client) request(method string, t *target, header http.Header, body []byte) ([]byte, error) {
	if !httpguts.ValidHeaderFieldName(method) { // a method is a token too
		return nil, &Error{Kind: ErrRequest, Reason: "the method contains a forbidden character"}
	}
	b := make([]byte, 0, 512+len(body))
	b = append(append(b, method...), ' ')
	b = append(append(b, t.url.RequestURI()...), " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", t.url.Host)
	if _, own := header["User-Agent"]; !own && c.o.UserAgent != "" {
		b = appendField(b, "User-Agent", c.o.UserAgent)
	}
	for name, values := range header {
		if ours(name) {
			continue
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, &Error{Kind: ErrRequest, Reason: "the name of a header contains a forbidden character"}
		}
		for _, v := range values {
			if v == "" && name == "User-Agent" {
				continue // as net/http has it: none is sent
			}
			if !httpguts.ValidHeaderFieldValue(v) {
				return nil, &Error{Kind: ErrRequest, Reason: "the value of a header contains a forbidden character"}
			}
			b = appendField(b, name, v)
		}
	}
	if len(body) > 0 || method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(body)), 10), "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, body...), nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// ours are the fields that say how a message is framed or sent, which is not the
// caller's to choose, and Expect, which would wait for a go-ahead.
func ours(name string) bool {
	switch {
	case strings.EqualFold(name, "Host"), strings.EqualFold(name, "Content-Length"),
		strings.EqualFold(name, "Transfer-Encoding"), strings.EqualFold(name, "Trailer"),
		strings.EqualFold(name, "Expect"):
		return true
	}
	return false
}
