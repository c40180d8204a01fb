package safehttp

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// firstRead is the most that is set aside on the word of a Content-Length.
const firstRead = 64 << 10

// read returns the whole body, decoded, or an error once it passes the bound.
func (c *Client) read(resp *http.Response) ([]byte, error) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil, &Error{Kind: ErrResponse, Reason: "it switches to a protocol that was not asked for"}
	}
	if resp.ContentLength > c.o.MaxBody && resp.Request.Method != http.MethodHead {
		return nil, c.tooLarge()
	}
	body, size := io.Reader(resp.Body), resp.ContentLength
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); {
	case encoding == "" || encoding == "identity" || resp.Request.Method == http.MethodHead:
	case encoding == "gzip" || encoding == "x-gzip": // not asked for, yet common
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		z, err := gzip.NewReader(body)
		if errors.Is(err, io.EOF) { // no body at all
			return nil, nil
		}
		if err != nil {
			return nil, gzipError(err)
		}
		body, size = gzipReader{z}, -1
	default:
		return nil, &Error{Kind: ErrResponse, Reason: "its body has an encoding that was not asked for"}
	}
	if size < 0 {
		size = bytes.MinRead
	}
	// One byte more, so that the end is found without growing.
	buf := bytes.NewBuffer(make([]byte, 0, min(size, firstRead)+bytes.MinRead))
	n, err := buf.ReadFrom(io.LimitReader(body, c.o.MaxBody+1))
	if err == nil && n > c.o.MaxBody {
		err = c.tooLarge()
	}
	if err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func (c *Client) tooLarge() *Error {
	return &Error{Kind: ErrTooLarge, Reason: fmt.Sprintf("its body is larger than %d bytes", c.o.MaxBody)}
}

// gzipReader tells damage in the encoding from damage on the way.
type gzipReader struct{ z *gzip.Reader }

func (g gzipReader) Read(p []byte) (int, error) {
	n, err := g.z.Read(p)
	if err != nil && err != io.EOF {
		err = gzipError(err)
	}
	return n, err
}

func gzipError(err error) error {
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || strings.HasPrefix(err.Error(), "flate: ") {
		return &Error{Kind: ErrResponse, Reason: "its body is not the gzip it claims to be", Cause: err}
	}
	return err
}
