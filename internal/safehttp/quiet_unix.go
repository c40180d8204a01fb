//go:build unix

package safehttp

import (
	"net"
	"syscall"
)

// quiet reports whether a kept connection has nothing to read: neither its end,
// which the other side announced meanwhile, nor bytes that nobody asked for.
func quiet(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var read error
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, read = syscall.Read(int(fd), one[:]) // sockets of package net do not block
		return true
	})
	return err == nil && (read == syscall.EAGAIN || read == syscall.EWOULDBLOCK)
}
