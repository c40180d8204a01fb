package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// conn is one keep-alive HTTP/1.1 connection that sends ready-made requests and
// reads answers with a Content-Length. It costs the machine almost nothing, so
// that the server is what is measured.
type conn struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

func dial(addr string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 16<<10)}, nil
}

// do sends one request and returns status and body, valid until the next call.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 {
				return 0, nil, fmt.Errorf("status line %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, err
			}
		}
	}
	if length < 0 {
		return 0, nil, errors.New("answer without Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	_, err = io.ReadFull(c.r, c.body[:length])
	return status, c.body[:length], err
}

// post builds one request.
func post(path string, header map[string]string, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", path, len(body))
	for k, v := range header {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	b.WriteString("\r\n" + body)
	return b.Bytes()
}

// round is what a load of some time did.
type round struct {
	perSecond float64
	took      []time.Duration
}

// load runs one client per request over its own connection to addr for d.
func load(ctx context.Context, addr string, requests [][]byte, d time.Duration) (round, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var (
		mu   sync.Mutex
		all  round
		errs []error
		wg   sync.WaitGroup
	)
	began := time.Now()
	for _, request := range requests {
		wg.Go(func() {
			took, err := hammerOne(ctx, addr, request)
			mu.Lock()
			defer mu.Unlock()
			all.took = append(all.took, took...)
			if err != nil {
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	all.perSecond = float64(len(all.took)) / time.Since(began).Seconds()
	return all, errors.Join(errs...)
}

func hammerOne(ctx context.Context, addr string, request []byte) ([]time.Duration, error) {
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	took := make([]time.Duration, 0, 1<<14)
	for ctx.Err() == nil {
		began := time.Now()
		status, body, err := c.do(request)
		if err != nil {
			return took, err
		}
		if status != 200 {
			return took, fmt.Errorf("HTTP %d: %.300s", status, body)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
