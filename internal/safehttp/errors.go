package safehttp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// Error kinds; test with errors.Is.
var (
	// ErrUnsafeURL reports a URL that the rules refuse. Nothing was sent.
	ErrUnsafeURL = errors.New("safehttp: URL refused")
	// ErrTooLarge reports an answer beyond MaxBody or the header bound.
	ErrTooLarge = errors.New("safehttp: answer too large")
	// ErrTimeout reports an exchange that did not end in time.
	ErrTimeout = errors.New("safehttp: no answer in time")
	// ErrUnreachable reports a host that does not resolve, cannot be connected to
	// or breaks the connection off.
	ErrUnreachable = errors.New("safehttp: host unreachable")
	// ErrResponse reports an answer that is not HTTP as we can read it.
	ErrResponse = errors.New("safehttp: unreadable answer")
	// ErrRequest reports a request that cannot be sent as it is: its method or a
	// header is invalid.
	ErrRequest = errors.New("safehttp: invalid request")
	// ErrCanceled reports that the caller gave up; it is context.Canceled too.
	ErrCanceled = errors.New("safehttp: canceled")
)

// Error is every error of the package. Its text is fit for strangers: it names the
// host as it was given and no address that it resolved to. Cause is for our log.
type Error struct {
	Kind   error
	Host   string // host and port as given, cut
	Reason string
	Cause  error // may hold addresses; nil if Reason says all
}

// maxShownHost bounds what a hostile URL adds to an error.
const maxShownHost = 100

func (e *Error) Error() string {
	kind := strings.TrimPrefix(e.Kind.Error(), "safehttp: ")
	if e.Host == "" {
		return fmt.Sprintf("safehttp: %s: %s", kind, e.Reason)
	}
	return fmt.Sprintf("safehttp: %s: %s: %s", e.Host, kind, e.Reason)
}

// Unwrap makes both the kind and the cause found by errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// shownHost is the authority of a URL in printable ASCII, cut, without any user
// name or password.
func shownHost(raw string) string {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, `/?#\`); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndex(rest, "@")+1:]
	rest = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, rest[:min(len(rest), maxShownHost)])
	return rest
}

// exchangeError sorts what an exchange under ctx returned.
func exchangeError(ctx context.Context, host string, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		own := *own
		own.Host = host
		return &own
	}
	e := &Error{Kind: ErrUnreachable, Host: host, Cause: err}
	var (
		netErr  net.Error
		cert    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		alert   tls.AlertError
		record  tls.RecordHeaderError
		text    = err.Error()
	)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Kind, e.Reason, e.Cause = ErrCanceled, "the caller gave up", context.Canceled
	case ctx.Err() != nil || errors.As(err, &netErr) && netErr.Timeout():
		e.Kind, e.Reason = ErrTimeout, "the host is slow or drops packets"
		e.Cause = errors.Join(context.DeadlineExceeded, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = "connection refused; is it running?"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		e.Reason = "no route to it"
	case errors.As(err, &cert), errors.As(err, &unknown):
		e.Reason = "its TLS certificate is not valid for this name or not trusted"
	case errors.As(err, &alert), errors.As(err, &record), strings.Contains(text, "tls: "):
		e.Reason = "the TLS handshake failed"
	case strings.Contains(text, "malformed"), strings.Contains(text, "unsupported transfer encoding"),
		strings.Contains(text, "chunk"), strings.Contains(text, "Content-Length"):
		e.Kind, e.Reason = ErrResponse, "it does not answer in proper HTTP"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "closed"):
		e.Reason = "it broke the connection off"
	default:
		e.Reason = "the exchange failed"
	}
	return e
}
